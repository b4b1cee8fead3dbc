//! Many scans of codes whose first candidates are found together give what each gives alone.

use ann::codec::Stored;
use ann::element::Float;
use ann::metric::Metric;
use ann::topk::Hit;
use half::f16;

use super::rows::{ModelRows, point_of};
use super::{METRICS, REFINES, Shape, World, kinds};
use crate::coded::exact::{ExactQuery, StoredRows};
use crate::coded::rerank::{Budget, CodedScan, Exact, RerankParams, first_tranches};
use crate::ivf::scan::Iterative;
use crate::ivf::scan::batch::BatchParams;

const BATCH: BatchParams = BatchParams { threads: 2, memory: 0 };

fn rows_of<E: Float>(
    world: &World<E>,
    scan: &mut CodedScan,
    query: &[f32],
) -> (Vec<(u64, u64)>, u64, u64) {
    let exact = ExactQuery::new(world.meta.metric, query);
    let mut rows = Vec::new();
    while let Some(row) = world.next(scan, &exact).unwrap() {
        rows.push((row.tid.to_u64(), row.distance.to_bits()));
    }
    (rows, scan.visited(), scan.late())
}

/// The keys that a scan would look for itself.
fn keys(by: &mut dyn Exact, candidates: &[Hit]) -> Vec<Option<f64>> {
    let mut keys = vec![None; candidates.len()];
    by.keys(candidates, &mut |i, key| keys[i] = Some(key)).unwrap();
    keys
}

/// Gives a scan the keys of its first candidates, as whoever has found them for many scans.
fn give_keys<E: Float>(world: &World<E>, scan: &mut CodedScan, query: &[f32]) {
    let query = &ExactQuery::new(world.meta.metric, query);
    let (mem, meta) = (&world.mem, &world.meta);
    let mut rows = ModelRows { rows: &world.model, query };
    let first = scan.first_candidates().to_vec();
    let narrow = match &world.stored {
        Stored::None => return scan.take_first(&keys(&mut rows, &first)),
        Stored::Flat => {
            let mut stored = StoredRows::new(mem, meta, |row: &[E]| query.key(row)).unwrap();
            return scan.take_first(&keys(&mut stored, &first));
        }
        Stored::SqFp16 => {
            let mut stored = StoredRows::new(mem, meta, |row: &[f16]| query.key(row)).unwrap();
            keys(&mut stored, &first)
        }
        Stored::Sq8(sq) => {
            let key = |row: &[u8]| query.key::<f32>(&sq.decode(row));
            keys(&mut StoredRows::new(mem, meta, key).unwrap(), &first)
        }
    };
    scan.narrow_first(&narrow);
    let narrowed = scan.narrowed().to_vec();
    assert!(narrowed.len() <= first.len());
    scan.take_narrowed(&keys(&mut rows, &narrowed));
}

fn check<E: Float>(shape: Shape) {
    let mut world = World::<E>::new(shape, 5);
    world.vacuum(|tid| tid.offset % 7 == 0);
    for _ in 0..shape.n_rows / 5 {
        world.insert_random();
    }
    let mut queries: Vec<_> = (0..8).map(|_| world.random_query()).collect();
    queries.push(vec![0.0; shape.dims]);
    for (nprobe, iterative) in
        [(1, Iterative::Strict), (3, Iterative::Relaxed), (shape.nlist, Iterative::Off)]
    {
        let params = RerankParams {
            nprobe,
            iterative,
            max_scan_tuples: 300,
            max_probes: usize::MAX,
            budget: Budget::fixed(3),
            rows_wanted: None,
            memory: 0,
            is_exact: false,
        };
        let begun = |query: &Vec<f32>| {
            let mut scan = CodedScan::new();
            scan.begin(&point_of(shape.metric, query), params);
            scan
        };
        let mut scans: Vec<CodedScan> = queries.iter().map(begun).collect();
        first_tranches(&world.mem, &world.view(), &mut scans, BATCH).unwrap();
        for (i, (scan, query)) in scans.iter_mut().zip(&queries).enumerate() {
            assert!(nprobe == 1 || !scan.first_candidates().is_empty());
            if i % 2 == 0 {
                give_keys(&world, scan, query);
                assert!(scan.first_candidates().is_empty());
            }
            let alone = rows_of(&world, &mut begun(query), query);
            assert_eq!(rows_of(&world, scan, query), alone, "{shape:?} {params:?}");
        }
    }
}

#[test]
fn together_as_alone() {
    for metric in METRICS {
        for kind in kinds(12) {
            check::<f32>(Shape::new(kind, metric, 12, 8, 600));
        }
    }
}

#[test]
fn together_as_alone_with_stored_vectors() {
    for refine in REFINES {
        for kind in kinds(7) {
            check::<f16>(Shape { refine, ..Shape::new(kind, Metric::L2, 7, 5, 300) });
        }
    }
}

#[test]
fn together_as_alone_where_blocks_are_cut() {
    for kind in kinds(400) {
        check::<f32>(Shape::new(kind, Metric::Cosine, 400, 3, 100));
    }
}
