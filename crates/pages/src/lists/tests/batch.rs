//! Many scans whose first rows are found together give what each gives alone.

use std::collections::BTreeSet;

use ann::codec::{CodeKind, Stored};
use ann::element::{Bits, Element};
use ann::metric::Metric;
use ann::topk::Hit;
use half::f16;

use super::rows::ModelRows;
use super::{ALL, METRICS, REFINES, Shape, World, kinds, params, rule};
use crate::damage::search::ListSearch;
use crate::lists::candidates::{CodedScan, RerankParams};
use crate::lists::scan::batch::BatchParams;
use crate::search::exact::{ExactQuery, StoredRows};
use crate::search::params::Iterative;
use crate::search::rerank::{Budget, Exact};

/// So little memory that lists come in many parts.
const BATCH: BatchParams = BatchParams { threads: 3, memory: 0 };

fn modes(shape: &Shape) -> Vec<RerankParams> {
    let mode = |nprobe, iterative| RerankParams {
        budget: Budget::fixed(3),
        ..params(nprobe, iterative, 300)
    };
    let (few, all) = (shape.nlist.div_ceil(10).max(1), shape.nlist.max(1));
    let adapting = RerankParams { rule: Some(rule()), ..mode(few.max(3), Iterative::Strict) };
    if shape.code.is_some() {
        let modes = [(1, Iterative::Strict), (3, Iterative::Relaxed), (all, Iterative::Off)];
        let modes = modes.map(|(nprobe, iterative)| mode(nprobe, iterative));
        return modes.into_iter().chain([adapting]).collect();
    }
    let orders = [Iterative::Strict, Iterative::Relaxed, Iterative::Off];
    let nprobes = [1, few, all, 2 * all];
    let modes = nprobes.into_iter().flat_map(|n| orders.map(|order| mode(n, order)));
    modes.chain([adapting]).collect()
}

/// Rows as bits, since NaN is a distance too, and what else a search says.
fn told<E: Element>(
    world: &World<E>,
    mut search: ListSearch<E>,
    query: &[f32],
) -> (Vec<(u64, u64)>, u64, u64) {
    let rows = world.rest(&mut search, query);
    let rows = rows.iter().map(|row| (row.tid.to_u64(), row.distance.to_bits())).collect();
    (rows, search.visited(), search.late())
}

/// The keys that a scan would look for itself.
fn keys(by: &mut dyn Exact, candidates: &[Hit]) -> Vec<Option<f64>> {
    let mut keys = vec![None; candidates.len()];
    by.keys(candidates, &mut |i, key| keys[i] = Some(key)).unwrap();
    keys
}

/// Gives a scan the keys of its first candidates, as whoever has found them for many scans.
fn give_keys<E: Element>(world: &World<E>, scan: &mut CodedScan, query: &[f32]) {
    let query = &ExactQuery::new(world.shape.metric, query);
    let (mem, lists) = (&world.mem, world.lists());
    let mut rows = ModelRows { rows: &world.model, query };
    let first = scan.first_candidates().to_vec();
    let narrow = match &world.index.code.as_ref().unwrap().stored {
        Stored::None => return scan.take_first(&keys(&mut rows, &first)),
        Stored::Flat => {
            let mut stored = StoredRows::new(mem, lists, |row: &[E]| query.key(row)).unwrap();
            return scan.take_first(&keys(&mut stored, &first));
        }
        Stored::SqFp16 => {
            let mut stored = StoredRows::new(mem, lists, |row: &[f16]| query.key(row)).unwrap();
            keys(&mut stored, &first)
        }
        Stored::Sq8(sq) => {
            let key = |row: &[u8]| query.key::<f32>(&sq.decode(row));
            keys(&mut StoredRows::new(mem, lists, key).unwrap(), &first)
        }
    };
    scan.narrow_first(&narrow);
    let narrowed = scan.narrowed().to_vec();
    assert!(narrowed.len() <= first.len());
    scan.take_narrowed(&keys(&mut rows, &narrowed));
}

fn assert_same<E: Element>(world: &World<E>, queries: &[Vec<f32>]) {
    for params in modes(&world.shape) {
        let begun = |query: &Vec<f32>| {
            let mut search = ListSearch::new(&world.index);
            search.begin(&world.index, query, &params);
            search
        };
        let together = queries.iter().map(begun).collect();
        let together = ListSearch::first(&world.mem, &world.view(), together, BATCH).unwrap();
        for (i, (mut search, query)) in together.into_iter().zip(queries).enumerate() {
            if let ListSearch::Coded(scan) = &mut search {
                assert!(params.nprobe == 1 || !scan.first_candidates().is_empty());
                if i % 2 == 0 {
                    give_keys(world, scan, query);
                    assert!(scan.first_candidates().is_empty());
                }
            }
            let alone = told(world, begun(query), query);
            assert_eq!(told(world, search, query), alone, "{:?} {params:?}", world.shape);
        }
    }
}

fn check<E: Element>(shape: Shape) {
    let mut world = World::<E>::new(shape, 11);
    world.vacuum(|tid| tid.offset % 7 == 0);
    world.insert_random(shape.n_rows / 6);
    let mut queries: Vec<_> = (0..10).map(|_| world.random_query()).collect();
    queries.push(vec![0.0; shape.dims]);
    assert_same(&world, &queries);
}

fn flat<E: Element>(metric: Metric, dims: usize, nlist: usize, n_rows: usize) {
    check::<E>(Shape::flat(metric, dims, nlist, n_rows));
}

#[test]
fn together_as_alone() {
    for metric in METRICS {
        flat::<f32>(metric, 6, 40, 3000);
        flat::<f16>(metric, 130, 12, 1000);
        flat::<f32>(metric, 6, 0, 500);
        flat::<f32>(metric, 6, 3, 0);
        for kind in kinds(12) {
            check::<f32>(Shape::coded(kind, metric, 12, 8, 600));
        }
    }
    flat::<f32>(Metric::L1, 6, 0, 500);
    flat::<Bits>(Metric::Hamming, 70, 20, 2000);
    flat::<Bits>(Metric::Jaccard, 70, 0, 500);
}

#[test]
fn together_as_alone_over_several_pages() {
    flat::<f32>(Metric::Cosine, 5000, 4, 60);
    flat::<f16>(Metric::L2, 16_000, 2, 20);
    for kind in kinds(400) {
        check::<f32>(Shape::coded(kind, Metric::Cosine, 400, 3, 100));
    }
}

#[test]
fn together_as_alone_with_stored_vectors() {
    for refine in REFINES {
        for kind in kinds(7) {
            check::<f16>(Shape { refine, ..Shape::coded(kind, Metric::L2, 7, 5, 300) });
        }
    }
}

/// A batch compares every centroid, a scan that goes on alone those of the best codes: still every row comes, each once.
#[test]
fn scans_found_together_go_on_alone_where_centroids_are_coded() {
    let mut world = World::<f32>::new(Shape::flat(Metric::L2, 4, 4100, 3000), 12);
    let queries: Vec<_> = (0..5).map(|_| world.random_query()).collect();
    let begun = |(query, nprobe): (&Vec<f32>, usize)| {
        let mut search = ListSearch::new(&world.index);
        search.begin(&world.index, query, &params(nprobe, Iterative::Relaxed, u64::MAX));
        search
    };
    let searches = queries.iter().zip([1, 2, 100, 4099, 4100]).map(begun).collect();
    let searches = ListSearch::first(&world.mem, &world.view(), searches, BATCH).unwrap();
    for (mut search, query) in searches.into_iter().zip(&queries) {
        let tids: BTreeSet<_> = world.rest(&mut search, query).iter().map(|row| row.tid).collect();
        assert_eq!((tids.len(), search.visited()), (3000, 3000));
    }
}

#[test]
fn a_query_of_another_dimension_fails_the_batch() {
    for shape in
        [Shape::flat(Metric::L2, 6, 4, 100), Shape::coded(CodeKind::Sq8, Metric::L2, 6, 4, 100)]
    {
        let world = World::<f32>::new(shape, 13);
        let mut search = ListSearch::<f32>::new(&world.index);
        search.begin(&world.index, &[0.0; 5], &ALL);
        assert!(ListSearch::first(&world.mem, &world.view(), vec![search], BATCH).is_err());
    }
}

#[test]
fn empty_lists_first_do_not_end_a_search() {
    for shape in
        [Shape::flat(Metric::L2, 6, 40, 3000), Shape::coded(CodeKind::Sq8, Metric::L2, 6, 40, 3000)]
    {
        let mut world = World::<f32>::new(shape, 14);
        let query = world.random_query();
        let near = world.list_of(&query);
        let in_list =
            |(tid, vector): (_, &Vec<f32>)| (world.list_of(vector) == near).then_some(tid);
        let gone: Vec<_> =
            world.model.iter().filter_map(|(tid, vector)| in_list((*tid, vector))).collect();
        world.vacuum(|tid| gone.contains(&tid));
        for iterative in [Iterative::Strict, Iterative::Relaxed] {
            let (rows, _) = world.search(&query, params(1, iterative, 500));
            assert!(!rows.is_empty());
        }
        if shape.code.is_none() {
            assert_same(&world, &[query]);
        }
    }
}
