//! insert ∥ insert ∥ vacuum ∥ scan, in orders drawn from seeds. A failure names its seed.

use std::collections::BTreeSet;

use ann::codec::{CodeKind, LANES};
use ann::factory::Refine;
use ann::metric::Metric;
use ann::rng::Rng;
use ann::topk::Hit;

use super::rows::{operator, point_of};
use super::{Model, Shape, World, random_vector};
use crate::coded::exact::{ExactQuery, StoredRows};
use crate::coded::rerank::{Budget, CodedScan, Exact, RerankParams};
use crate::coded::vacuum::bulk_delete;
use crate::error::Error;
use crate::ivf::scan::Iterative;
use crate::mem::seeds;
use crate::tid::Tid;

/// Which rows die.
type Dead = fn(Tid) -> bool;

fn two_in_three(tid: Tid) -> bool {
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

fn scan(world: &World<f32>, all: &Model<f32>, is_dead: Dead, seed: u64) {
    let (mut rng, metric) = (Rng::new(seed), world.meta.metric);
    let mut scan = CodedScan::new();
    for nprobe in [1, usize::MAX, 1] {
        let query = random_vector::<f32>(&mut rng, world.meta.dims);
        let (iterative, max_scan_tuples) = (Iterative::Relaxed, u64::MAX);
        let budget = Budget::fixed(1);
        let params = RerankParams {
            nprobe,
            iterative,
            max_scan_tuples,
            max_probes: usize::MAX,
            budget,
            rows_wanted: None,
            memory: 0,
            is_exact: false,
        };
        scan.begin(&point_of(metric, &query), params);
        let exact = ExactQuery::new(metric, &query);
        let mut stored =
            StoredRows::new(&world.mem, &world.meta, |row: &[f32]| exact.key(row)).ok();
        let mut found = BTreeSet::new();
        let mut next = || match &mut stored {
            Some(rows) => scan.next(&world.mem, &world.view(), None, rows),
            None => scan.next(&world.mem, &world.view(), None, &mut KnownRows(all, &exact)),
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
        let mut must = world.model.keys().filter(|tid| !is_dead(**tid));
        assert!(must.all(|tid| found.contains(tid)), "lost a row");
    }
}

/// Actors over an index as `prepare` leaves it, who insert the rows it returns.
fn interleave(
    shape: Shape,
    seed: u64,
    is_dead: Dead,
    prepare: impl Fn(&mut World<f32>) -> [Model<f32>; 2],
) {
    let mut world = World::<f32>::new(shape, shape.dims as u64);
    let [a, b] = prepare(&mut world);
    let mut all = world.model.clone();
    all.extend(a.clone());
    all.extend(b.clone());
    {
        let (world, all) = (&world, &all);
        let insert = |rows: Model<f32>| {
            move || rows.iter().for_each(|(tid, vector)| world.put(*tid, vector).unwrap())
        };
        let vacuum = move || {
            for _ in 0..2 {
                let asked = |tid| {
                    assert!(all.contains_key(&tid), "asks about {tid}, which nobody inserted");
                    is_dead(tid)
                };
                bulk_delete(&world.mem, &world.meta, asked).unwrap();
            }
        };
        world.mem.interleave(
            seed,
            vec![
                Box::new(insert(a)),
                Box::new(insert(b)),
                Box::new(vacuum),
                Box::new(move || scan(world, all, is_dead, seed)),
            ],
        );
    }
    world.model = all;
    world.model.retain(|tid, _| !is_dead(*tid));
    world.verify();
}

/// So many rows for each inserter.
fn rows(n: usize) -> impl Fn(&mut World<f32>) -> [Model<f32>; 2] {
    move |world| [1, 2].map(|actor| new_rows(actor, n, world.meta.dims))
}

#[test]
fn actors_do_not_disturb_each_other() {
    use CodeKind::{Pq, PqFs, RaBitQ, Sq4, Sq8, SqFp16};
    use Metric::{Cosine, InnerProduct, L2};
    let run = |shape, n_new, seed| interleave(shape, seed, two_in_three, rows(n_new));
    for seed in seeds(30) {
        run(Shape::new(Sq8, L2, 100, 3, 70), 10, seed);
        run(Shape::new(RaBitQ { nbits: 4 }, Cosine, 64, 2, 40).flat(), 10, seed);
        run(Shape::new(SqFp16, L2, 700, 2, 30).flat(), 6, seed);
        run(Shape::new(Sq4, InnerProduct, 2028, 2, 60), 10, seed);
        run(Shape::new(Pq { m: 4, nbits: 4 }, L2, 16, 1, 31), 10, seed);
        run(Shape::new(PqFs { m: 8 }, L2, 9000, 1, 8).flat(), 5, seed);
    }
}

#[test]
fn inserters_race_for_the_first_shelf_of_a_list() {
    for seed in seeds(60) {
        let shape = Shape::new(CodeKind::Sq8, Metric::L2, 300, 1, 0);
        let shape = Shape { refine: [Refine::Heap, Refine::Flat][seed as usize % 2], ..shape };
        interleave(shape, seed, two_in_three, rows(2));
    }
}

#[test]
fn inserters_race_for_the_last_lane_and_the_next_shelf() {
    for seed in seeds(40) {
        // A block is a shelf: two lanes left for six rows, then 32 for 64.
        let shape = Shape::new(CodeKind::Sq8, Metric::Cosine, 200, 1, 30);
        interleave(shape, seed, two_in_three, rows(3));
        interleave(Shape { n_rows: 32, ..shape }, seed, two_in_three, rows(32));
    }
}

/// A lane gets another tid while somebody has read half of the one before.
#[test]
fn tids_cut_by_the_end_of_a_page_are_read_at_once() {
    for units in [248, 249, 250, 251, 252] {
        for seed in seeds(40) {
            // The second block begins this far from the start of the page. Half of it is free, half will be.
            let shape = Shape::new(CodeKind::Sq8, Metric::L2, units - 6, 1, 64);
            let is_dead = |tid: Tid| tid.blkno == 1 && !tid.offset.is_multiple_of(3);
            interleave(shape, seed, is_dead, |world| {
                world.vacuum(|tid| tid.blkno == 0 && tid.offset > 32 && tid.offset % 2 == 0);
                rows(9)(world)
            });
        }
    }
}

/// Rows of two blocks, of which one begins on the other's last page, share a block of exact vectors.
#[test]
fn inserters_meet_on_a_data_page() {
    for seed in seeds(60) {
        let shape = Shape::new(CodeKind::Sq8, Metric::L2, 700, 2, 50).flat();
        interleave(shape, seed, two_in_three, |world| {
            // List 0 has its last two lanes left, list 1 the first ones.
            let list_of = |world: &World<f32>, vector: &[f32]| world.coded(vector).list_no;
            let mut n = world.model.values().filter(|v| list_of(world, v) == 0).count();
            while n % LANES != LANES - 2 {
                let vector = random_vector::<f32>(&mut world.rng, 700);
                if list_of(world, &vector) == 0 {
                    let tid = world.fresh_tid();
                    world.put(tid, &vector).unwrap();
                    world.model.insert(tid, vector);
                    n += 1;
                }
            }
            let of_list_1 = world.model.iter().filter(|(_, v)| list_of(world, v) == 1);
            let first: Vec<Tid> = of_list_1.map(|(tid, _)| *tid).take(4).collect();
            world.vacuum(|tid| first.contains(&tid));
            // Each inserter has rows of one list.
            let mut list_no = 0..;
            rows(12)(world).map(|mut rows| {
                let list_no = list_no.next();
                rows.retain(|_, v| Some(list_of(world, v)) == list_no);
                rows
            })
        });
    }
}
