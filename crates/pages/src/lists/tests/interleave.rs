//! insert ∥ insert ∥ vacuum ∥ scan, in orders drawn from seeds. A failure names its seed.

use std::collections::BTreeSet;

use ann::codec::{CodeKind, LANES};
use ann::factory::Refine;
use ann::metric::Metric;
use ann::rng::Rng;
use ann::topk::Hit;

use super::rows::operator;
use super::{Model, Shape, World, params, random_vector};
use crate::damage::search::ListSearch;
use crate::error::Error;
use crate::lists::candidates::RerankParams;
use crate::lists::vacuum::bulk_delete;
use crate::mem::seeds;
use crate::search::exact::ExactQuery;
use crate::search::params::Iterative;
use crate::search::rerank::{Budget, Exact};
use crate::tid::Tid;

/// Which rows die.
type Dead = fn(Tid) -> bool;

pub fn two_in_three(tid: Tid) -> bool {
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
    let mut rng = Rng::new(seed);
    let mut search = ListSearch::<f32>::new(&world.index);
    let orders = [(1, Iterative::Relaxed), (usize::MAX, Iterative::Off), (1, Iterative::Relaxed)];
    for (nprobe, iterative) in orders {
        let query = random_vector::<f32>(&mut rng, world.shape.dims);
        let params =
            RerankParams { budget: Budget::fixed(1), ..params(nprobe, iterative, u64::MAX) };
        search.begin(&world.index, &query, &params);
        let exact = ExactQuery::new(world.shape.metric, &query);
        let mut rows = KnownRows(all, &exact);
        let mut found = BTreeSet::new();
        let view = world.view();
        while let Some(row) =
            search.next(&world.mem, &world.index, &view, &exact, &mut rows).unwrap()
        {
            let vector = all.get(&row.tid).expect("a tid nobody inserted");
            // What is computed for a dead row is nobody's concern.
            if !is_dead(row.tid) {
                let distance = operator(world.shape.metric, &query, vector);
                assert_eq!(row.distance.to_bits(), distance.to_bits(), "{}", row.tid);
                assert!(found.insert(row.tid), "{} came twice", row.tid);
            }
        }
        let mut must = world.model.keys().filter(|tid| !is_dead(**tid));
        assert!(must.all(|tid| found.contains(tid)), "lost a row");
    }
}

/// Actors over an index as `prepare` leaves it, who insert the rows it returns.
pub fn interleave(
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
                bulk_delete(&world.mem, world.lists(), asked).unwrap();
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
pub fn rows(n: usize) -> impl Fn(&mut World<f32>) -> [Model<f32>; 2] {
    move |world| [1, 2].map(|actor| new_rows(actor, n, world.shape.dims))
}

fn run(shape: Shape, n_new: usize, seed: u64) {
    interleave(shape, seed, two_in_three, rows(n_new));
}

#[test]
fn actors_do_not_disturb_each_other() {
    use Metric::{Cosine, InnerProduct, L2};
    for seed in seeds(40) {
        run(Shape::flat(L2, 2028, 2, 20), 10, seed);
        run(Shape::flat(L2, 4000, 0, 12), 8, seed);
        run(Shape::flat(Cosine, 700, 2, 24).and_attributes(&[4, 8]), 12, seed);
    }
    for seed in seeds(6) {
        run(Shape::flat(InnerProduct, 9000, 2, 8), 6, seed);
    }
}

#[test]
fn actors_over_codes_do_not_disturb_each_other() {
    use CodeKind::{Pq, PqFs, RaBitQ, Sq4, Sq8, SqFp16};
    use Metric::{Cosine, InnerProduct, L2};
    for seed in seeds(30) {
        run(Shape::coded(Sq8, L2, 100, 3, 70), 10, seed);
        run(Shape::coded(RaBitQ { nbits: 4 }, Cosine, 64, 2, 40).and_vectors(), 10, seed);
        run(Shape::coded(SqFp16, L2, 700, 2, 30).and_vectors(), 6, seed);
        run(Shape::coded(Sq4, InnerProduct, 2028, 2, 60).and_attributes(&[2, 16]), 10, seed);
        run(Shape::coded(Pq { m: 4, nbits: 4 }, L2, 16, 1, 31), 10, seed);
        run(Shape::coded(PqFs { m: 8 }, L2, 9000, 1, 8).and_vectors(), 5, seed);
    }
}

#[test]
fn inserters_race_for_the_first_overflow_extent_of_a_list() {
    for seed in seeds(80) {
        let shape = match seed % 3 {
            0 => Shape::flat(Metric::L2, 100, 0, 0),
            1 => Shape::coded(CodeKind::Sq8, Metric::L2, 300, 1, 0),
            _ => Shape::coded(CodeKind::Sq8, Metric::L2, 300, 1, 0).and_vectors(),
        };
        run(shape, 2, seed);
    }
}

#[test]
fn inserters_race_for_the_last_lane_and_the_next_overflow_extent() {
    for seed in seeds(40) {
        // A block is an extent: two lanes left for six rows, then 32 for 64.
        let shape = Shape::coded(CodeKind::Sq8, Metric::Cosine, 200, 1, 30);
        run(shape, 3, seed);
        run(Shape { n_rows: 32, ..shape }, 32, seed);
        // Two slots left of an extent of flat rows.
        interleave(Shape::flat(Metric::Cosine, 3, 0, 0), seed, two_in_three, |world| {
            let slots = world.lists().layout.overflow_slots();
            world.insert_random(slots - 2);
            rows(3)(world)
        });
    }
}

/// A lane gets another tid while somebody has read half of the one before.
#[test]
fn tids_cut_by_the_end_of_a_page_are_read_at_once() {
    for units in [248, 249, 250, 251, 252] {
        for seed in seeds(40) {
            // The second block begins this far from the start of the page. Half of it is free, half will be.
            let shape = Shape::coded(CodeKind::Sq8, Metric::L2, units - 6, 1, 64);
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
        let shape =
            Shape { refine: Refine::Flat, ..Shape::coded(CodeKind::Sq8, Metric::L2, 700, 2, 50) };
        interleave(shape, seed, two_in_three, |world| {
            // List 0 has its last two lanes left, list 1 the first ones.
            let mut n = world.model.values().filter(|v| world.list_of(v) == 0).count();
            while n % LANES != LANES - 2 {
                let vector = random_vector::<f32>(&mut world.rng, 700);
                if world.list_of(&vector) == 0 {
                    world.insert(vector);
                    n += 1;
                }
            }
            let of_list_1 = world.model.iter().filter(|(_, v)| world.list_of(v) == 1);
            let first: Vec<Tid> = of_list_1.map(|(tid, _)| *tid).take(4).collect();
            world.vacuum(|tid| first.contains(&tid));
            // Each inserter has rows of one list.
            let mut list_no = 0..;
            rows(12)(world).map(|mut rows| {
                let list_no = list_no.next();
                rows.retain(|_, v| Some(world.list_of(v)) == list_no);
                rows
            })
        });
    }
}
