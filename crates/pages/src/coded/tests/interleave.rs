//! insert ∥ insert ∥ vacuum ∥ scan, in orders drawn from seeds. A failure names its seed.

use std::collections::BTreeSet;

use ann::codec::CodeKind;
use ann::factory::Refine;
use ann::metric::Metric;
use ann::rng::Rng;
use ann::topk::Hit;

use super::world::{operator, point_of};
use super::{Model, Shape, World, random_vector};
use crate::coded::exact::{ExactQuery, StoredRows};
use crate::coded::rerank::{Exact, RerankParams, RerankScan};
use crate::coded::vacuum::bulk_delete;
use crate::error::Error;
use crate::ivf::scan::Iterative;
use crate::tid::Tid;

fn is_dead(tid: Tid) -> bool {
    tid.blkno < 100 && !tid.to_u64().is_multiple_of(3)
}

/// Rows of the inserters have tids of their own.
fn new_rows(actor: u32, n: usize, dims: usize) -> Model<f32> {
    let mut rng = Rng::new(u64::from(actor));
    let tid = |i: usize| Tid::new(1000 * actor + i as u32, 100 * actor as u16 + i as u16);
    (0..n).map(|i| (tid(i), random_vector(&mut rng, dims))).collect()
}

/// The table's rows, of which every candidate is one.
struct KnownRows<'a>(&'a Model<f32>, &'a ExactQuery);

impl Exact for KnownRows<'_> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        for (i, candidate) in candidates.iter().enumerate() {
            let row = self.0.get(&Tid::from_u64(candidate.id));
            each(i, self.1.key(row.expect("a tid nobody inserted")));
        }
        Ok(())
    }
}

fn scan(world: &World<f32>, all: &Model<f32>, must: &Model<f32>, seed: u64) {
    let (mut rng, metric) = (Rng::new(seed), world.meta.metric);
    let mut scan = RerankScan::new();
    for iterative in [Iterative::Relaxed, Iterative::Off, Iterative::Relaxed] {
        let query = random_vector::<f32>(&mut rng, world.meta.dims);
        let nprobe = if iterative == Iterative::Off { usize::MAX } else { 1 };
        let (max_scan_tuples, k_factor) = (u64::MAX, 1);
        let params = RerankParams { nprobe, iterative, max_scan_tuples, k_factor };
        scan.begin(&point_of(metric, &query), params);
        let exact = ExactQuery::new(metric, &query);
        let mut stored = StoredRows::<_, f32>::new(&world.mem, &world.meta, &exact).ok();
        let mut found = BTreeSet::new();
        let mut next = || match &mut stored {
            Some(rows) => scan.next(&world.mem, &world.view(), rows),
            None => scan.next(&world.mem, &world.view(), &mut KnownRows(all, &exact)),
        };
        while let Some(row) = next().unwrap() {
            let vector = all.get(&row.tid).expect("a tid nobody inserted");
            // What is computed for a dead row is nobody's concern.
            if !is_dead(row.tid) {
                let distance = operator(metric, &query, vector);
                let same = exact.distance_of(row.distance).to_bits() == distance.to_bits();
                assert!(same, "{}", row.tid);
                assert!(found.insert(row.tid), "{} came twice", row.tid);
            }
        }
        assert!(must.keys().all(|tid| found.contains(tid)), "lost a row");
    }
}

/// Actors over an index from which `gone` rows were vacuumed before.
fn interleave(shape: Shape, n_new: usize, seed: u64, gone: impl Fn(&World<f32>, Tid) -> bool) {
    let mut world = World::<f32>::new(shape, shape.dims as u64);
    let freed: BTreeSet<Tid> =
        world.model.keys().filter(|tid| gone(&world, **tid)).copied().collect();
    world.vacuum(|tid| freed.contains(&tid));
    let (a, b) = (new_rows(1, n_new, shape.dims), new_rows(2, n_new, shape.dims));
    let mut all = world.model.clone();
    all.extend(a.clone());
    all.extend(b.clone());
    let mut must = world.model.clone();
    must.retain(|tid, _| !is_dead(*tid));
    {
        let (world, all, must) = (&world, &all, &must);
        let insert = |rows: Model<f32>| {
            move || rows.iter().for_each(|(tid, vector)| world.put(*tid, vector).unwrap())
        };
        let vacuum = || {
            for _ in 0..2 {
                let is_dead = |tid| {
                    assert!(all.contains_key(&tid), "asks about {tid}, which nobody inserted");
                    is_dead(tid)
                };
                bulk_delete(&world.mem, &world.meta, is_dead).unwrap();
            }
        };
        world.mem.interleave(
            seed,
            vec![
                Box::new(insert(a)),
                Box::new(insert(b)),
                Box::new(vacuum),
                Box::new(move || scan(world, all, must, seed)),
            ],
        );
    }
    world.model = all;
    world.model.retain(|tid, _| !is_dead(*tid));
    world.verify();
}

#[test]
fn actors_do_not_disturb_each_other() {
    use CodeKind::{Pq, PqFs, RaBitQ, Sq4, Sq8, SqFp16};
    use Metric::{Cosine, InnerProduct, L2};
    let none = |_: &World<f32>, _| false;
    for seed in 0..30 {
        interleave(Shape::new(Sq8, L2, 100, 3, 70), 10, seed, none);
        interleave(Shape::new(RaBitQ, Cosine, 64, 2, 40).flat(), 10, seed, none);
        interleave(Shape::new(SqFp16, L2, 700, 2, 30).flat(), 6, seed, none);
        interleave(Shape::new(Sq4, InnerProduct, 2028, 2, 60), 10, seed, none);
        interleave(Shape::new(Pq { m: 4, nbits: 4 }, L2, 16, 1, 31), 10, seed, none);
        interleave(Shape::new(PqFs { m: 8 }, L2, 9000, 1, 8).flat(), 5, seed, none);
    }
}

#[test]
fn inserters_race_for_the_first_shelf_of_a_list() {
    for seed in 0..60 {
        let shape = Shape::new(CodeKind::Sq8, Metric::L2, 300, 1, 0);
        let shape = Shape { refine: [Refine::Heap, Refine::Flat][seed as usize % 2], ..shape };
        interleave(shape, 2, seed, |_, _| false);
    }
}

#[test]
fn inserters_race_for_the_last_lane_and_the_next_shelf() {
    for seed in 0..40 {
        // A block is a shelf: two lanes left for six rows, then 32 for 64.
        interleave(Shape::new(CodeKind::Sq8, Metric::Cosine, 200, 1, 30), 3, seed, |_, _| false);
        interleave(Shape::new(CodeKind::Sq8, Metric::L2, 200, 1, 32), 32, seed, |_, _| false);
    }
}

/// A lane gets another tid while somebody has read half of the one before.
#[test]
fn tids_cut_by_the_end_of_a_page_are_read_at_once() {
    for units in [248, 249, 250, 251, 252] {
        for seed in 0..60 {
            // The second block begins this far from the start of the page.
            let dims = units - 6;
            let shape = Shape::new(CodeKind::Sq8, Metric::L2, dims, 1, 64);
            interleave(shape, 12, seed, |_, tid| tid.to_u64() % 2 == 0 && tid.offset < 34);
        }
    }
}

/// Rows of two blocks, one page apart, share a block of exact vectors.
#[test]
fn inserters_meet_on_a_data_page() {
    for seed in 0..80 {
        let shape = Shape::new(CodeKind::Sq8, Metric::L2, 700, 2, 60).flat();
        interleave(shape, 8, seed, |world, tid| {
            let list = |tid: &Tid| world.coded(&world.model[tid]).list_no;
            let of_list = list(&tid);
            let rank = world.model.keys().filter(|other| **other < tid && list(other) == of_list);
            of_list == 1 && rank.count() < 6
        });
    }
}
