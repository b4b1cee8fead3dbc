//! Many scans whose first rows are found together give what each gives alone.

use ann::coded_coarse::CodedCoarse;
use ann::element::{Bits, Element};
use ann::metric::Metric;
use ann::parallel::Job;
use half::f16;

use super::{METRICS, World, random_query, random_vector};
use crate::ivf::lists::View;
use crate::ivf::probe::Probe;
use crate::ivf::scan::batch::{BatchParams, first_tranches};
use crate::ivf::scan::{Found, Iterative, Scan, SearchParams};

/// So little memory that lists come in many parts.
const PARAMS: BatchParams = BatchParams { threads: 3, memory: 0 };

fn modes(nlist: usize) -> impl Iterator<Item = SearchParams> {
    let nprobes = [1, nlist.div_ceil(10), nlist, 2 * nlist];
    let modes = [Iterative::Strict, Iterative::Relaxed, Iterative::Off];
    nprobes.into_iter().flat_map(move |nprobe| {
        modes.map(|iterative| SearchParams {
            nprobe: nprobe.max(1),
            iterative,
            max_scan_tuples: 500,
            max_probes: usize::MAX,
            rows_wanted: None,
            memory: 0,
        })
    })
}

fn rows_of<E: Element>(
    world: &World<E>,
    view: &View<'_>,
    scan: &mut Scan<Probe<E>>,
) -> (Vec<Found>, u64, u64) {
    let mut rows = Vec::new();
    while let Some(row) = scan.next(&world.mem, view).unwrap() {
        rows.push(row);
    }
    (rows, scan.visited(), scan.late())
}

/// As bits, since NaN is a distance too.
fn bits((rows, visited, left_out): (Vec<Found>, u64, u64)) -> (Vec<(u64, u64)>, u64, u64) {
    let rows = rows.iter().map(|row| (row.tid.to_u64(), row.distance.to_bits())).collect();
    (rows, visited, left_out)
}

fn assert_same<E: Element>(world: &World<E>, view: &View<'_>, queries: &[Vec<f32>]) {
    for params in modes(world.meta.nlist) {
        let mut scans: Vec<Scan<Probe<E>>> = queries.iter().map(|_| Scan::new()).collect();
        for (scan, query) in scans.iter_mut().zip(queries) {
            scan.begin(query, params);
        }
        let mut together: Vec<_> = scans.iter_mut().collect();
        first_tranches(&world.mem, view, &mut together, PARAMS).unwrap();
        for (scan, query) in scans.iter_mut().zip(queries) {
            let mut alone = Scan::new();
            alone.begin(query, params);
            let alone = bits(rows_of(world, view, &mut alone));
            assert_eq!(bits(rows_of(world, view, scan)), alone, "{params:?}");
        }
    }
}

fn check<E: Element>(metric: Metric, dims: usize, nlist: usize, n_rows: usize) {
    let mut world = World::<E>::new(metric, dims, nlist, n_rows, 11);
    world.vacuum(|tid| tid.offset % 7 == 0);
    for _ in 0..n_rows / 10 {
        world.insert_random();
    }
    let mut queries: Vec<_> = (0..20).map(|_| random_query::<E>(&mut world.rng, dims)).collect();
    queries.push(vec![0.0; dims]);
    assert_same(&world, &world.view(), &queries);
}

#[test]
fn together_as_alone() {
    for metric in METRICS {
        check::<f32>(metric, 6, 40, 3000);
        check::<f16>(metric, 130, 12, 1000);
        check::<f32>(metric, 6, 0, 500);
        check::<f32>(metric, 6, 3, 0);
    }
    check::<f32>(Metric::L1, 6, 0, 500);
    check::<Bits>(Metric::Hamming, 70, 20, 2000);
    check::<Bits>(Metric::Jaccard, 70, 0, 500);
}

#[test]
fn together_as_alone_over_several_pages() {
    check::<f32>(Metric::Cosine, 5000, 4, 60);
    check::<f16>(Metric::L2, 16_000, 2, 20);
}

#[test]
fn together_as_alone_where_lists_are_passed_over() {
    let mut world = World::<f32>::new(Metric::L2, 6, 64, 2000, 13);
    let coded = CodedCoarse::train(&world.coarse().unwrap(), 1, &Job::default()).unwrap();
    let queries: Vec<_> = (0..20).map(|_| random_vector::<f32>(&mut world.rng, 6)).collect();
    let view = View { coded_coarse: Some(&coded), ..world.view() };
    assert_same(&world, &view, &queries);
}

#[test]
fn a_query_of_another_dimension_fails_the_batch() {
    let world = World::<f32>::new(Metric::L2, 6, 4, 100, 13);
    let mut scan = Scan::<Probe<f32>>::new();
    scan.begin(&[0.0; 5], modes(4).next().unwrap());
    let mut scans = [&mut scan];
    assert!(first_tranches(&world.mem, &world.view(), &mut scans, PARAMS).is_err());
}

#[test]
fn empty_lists_first_do_not_end_a_search() {
    let mut world = World::<f32>::new(Metric::L2, 6, 40, 3000, 14);
    let query = random_vector::<f32>(&mut world.rng, 6);
    let near = world.coarse().unwrap().assign(&query).0;
    let lists = |tid| {
        let vector: &Vec<f32> = &world.model[&tid];
        world.coarse().unwrap().assign(vector).0
    };
    let gone: Vec<_> = world.model.keys().copied().filter(|tid| lists(*tid) == near).collect();
    world.vacuum(|tid| gone.contains(&tid));
    for iterative in [Iterative::Strict, Iterative::Relaxed] {
        let params = SearchParams {
            nprobe: 1,
            iterative,
            max_scan_tuples: 500,
            max_probes: usize::MAX,
            rows_wanted: None,
            memory: 0,
        };
        let (rows, _) = world.search(&query, params);
        assert!(!rows.is_empty());
    }
    assert_same(&world, &world.view(), &[query]);
}
