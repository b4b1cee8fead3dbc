//! insert ∥ insert ∥ vacuum ∥ scan, in orders drawn from seeds. A failure names its seed.

use ann::metric::Metric;
use ann::rng::Rng;

use super::{Model, World, random_vector};
use crate::ivf::probe::Probe;
use crate::ivf::scan::{Iterative, Scan, SearchParams};
use crate::ivf::vacuum::bulk_delete;
use crate::mem::seeds;
use crate::tid::Tid;

fn is_dead(tid: Tid) -> bool {
    tid.blkno < 100 && !tid.to_u64().is_multiple_of(3)
}

/// Rows of the inserters have tids of their own.
fn new_rows(actor: u32, n: usize, dims: usize) -> Model<f32> {
    let mut rng = Rng::new(u64::from(actor));
    let tid = |i: usize| Tid::new(1000 * actor + i as u32, 1);
    (0..n).map(|i| (tid(i), random_vector(&mut rng, dims))).collect()
}

fn scan(world: &World<f32>, all: &Model<f32>, must: &Model<f32>, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut scan = Scan::<Probe<f32>>::new();
    for iterative in [Iterative::Relaxed, Iterative::Off, Iterative::Relaxed] {
        let query = random_vector::<f32>(&mut rng, world.meta.dims);
        let nprobe = if iterative == Iterative::Off { usize::MAX } else { 1 };
        let max_scan_tuples = u64::MAX;
        scan.begin(
            &query,
            SearchParams {
                nprobe,
                iterative,
                max_scan_tuples,
                max_probes: usize::MAX,
                rows_wanted: None,
                memory: 0,
            },
        );
        let mut found = std::collections::BTreeSet::new();
        while let Some(row) = scan.next(&world.mem, &world.view()).unwrap() {
            let vector = all.get(&row.tid).expect("a tid nobody inserted");
            // What is computed for a dead row is nobody's concern.
            if !is_dead(row.tid) {
                let distance = super::operator(world.meta.metric, &query, vector);
                assert_eq!(row.distance.to_bits(), distance.to_bits(), "{}", row.tid);
                assert!(found.insert(row.tid), "{} came twice", row.tid);
            }
        }
        assert!(must.keys().all(|tid| found.contains(tid)), "lost a row");
    }
}

fn interleave(metric: Metric, dims: usize, nlist: usize, n_rows: usize, n_new: usize, seed: u64) {
    let mut world = World::<f32>::new(metric, dims, nlist, n_rows, dims as u64);
    let (a, b) = (new_rows(1, n_new, dims), new_rows(2, n_new, dims));
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
    for seed in seeds(40) {
        interleave(Metric::L2, 2028, 2, 20, 10, seed);
        interleave(Metric::L2, 4000, 0, 12, 8, seed);
        interleave(Metric::Cosine, 700, 2, 24, 12, seed);
    }
    for seed in seeds(6) {
        interleave(Metric::InnerProduct, 9000, 2, 8, 6, seed);
    }
}

#[test]
fn inserters_race_for_the_first_page_of_a_list() {
    for seed in seeds(80) {
        interleave(Metric::L2, 100, 0, 0, 2, seed);
    }
}

#[test]
fn inserters_race_for_the_last_slot_and_the_next_page() {
    let full = World::<f32>::new(Metric::Cosine, 3, 0, 0, 1).meta.layout.n_slots_max();
    for seed in seeds(40) {
        // One page with two slots left for six rows.
        interleave(Metric::Cosine, 3, 0, full - 2, 3, seed);
    }
}
