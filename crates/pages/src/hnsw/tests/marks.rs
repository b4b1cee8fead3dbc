//! Marks of rows that are dead to all.

use ann::metric::Metric;
use ann::topk::Hit;

use super::insert::put;
use super::{ALL, Kind, World};
use crate::hnsw::Code;
use crate::hnsw::insert::Inserter;
use crate::hnsw::marks::mark;
use crate::hnsw::scan::{GraphParams, HnswScan};
use crate::hnsw::vacuum::bulk_delete;
use crate::mem::seeds;
use crate::search::rerank::Candidates;
use crate::tid::Tid;
use crate::trials::{self, Marked};

impl Marked for World<f32> {
    fn hits(&self, trusts_marks: bool) -> Vec<Hit> {
        let map = self.map();
        let view = self.view(&map).trusting(trusts_marks);
        let mut scan = HnswScan::new();
        let params = GraphParams { ef: 100, ..ALL };
        let _terms = scan.begin(&vec![0.1; self.kind.dims], &params, 10);
        let mut hits = Vec::new();
        loop {
            let some = scan.candidates(&self.mem, &view, 100, true).unwrap();
            if some.is_empty() {
                break;
            }
            hits.extend_from_slice(some);
        }
        hits
    }

    fn mark(&self, mut hits: Vec<Hit>, is_dead: &mut dyn FnMut(Tid) -> bool) -> u64 {
        let map = self.map();
        mark(&self.mem, &self.view(&map), &mut hits, is_dead).unwrap()
    }

    fn put_row(&self, tid: Tid, vector: &[f32]) {
        let map = self.map();
        put(&mut Inserter::new(), &self.mem, &self.view(&map), tid, vector);
    }

    fn clear(&self, is_dead: &mut dyn FnMut(Tid) -> bool) {
        let map = self.map();
        bulk_delete(&self.mem, &self.view(&map), is_dead).unwrap();
    }
}

#[test]
fn marked_rows_are_rows_to_all_but_scans() {
    for kind in [
        Kind::new(Metric::L2, 24, 8, 700),
        Kind::new(Metric::L2, 24, 8, 700).duplicates(5),
        Kind::new(Metric::Cosine, 16, 4, 300).code(Code::Sq8).duplicates(3),
        Kind::new(Metric::InnerProduct, 20, 6, 300).by_vectors(),
    ] {
        trials::marks(World::new(kind, 1));
    }
}

/// Of a chain of equal rows no more is walked than what is seen, and what was added since the last walk.
#[test]
fn ends_of_chains_are_not_walked() {
    let mut world = World::<f32>::new(Kind::new(Metric::L2, 8, 4, 300).duplicates(1), 7);
    let locks = |world: &World<f32>| {
        let before = world.mem.n_locks();
        world.hits(true);
        world.mem.n_locks() - before
    };
    let all = locks(&world);
    world.mark(world.hits(true), &mut |_| true);
    world.hits(true);
    let marked = locks(&world);
    assert!(marked * 5 < all, "{marked} locks instead of {all}");
    let vector = world.model.values().next().unwrap().clone();
    let new = Tid::new(1000, 1);
    world.insert(vec![(new, vector.clone())]);
    world.insert(vec![(Tid::new(1000, 2), vector)]);
    world.mark(world.hits(true), &mut |tid| tid == new);
    let seen: Vec<Tid> = world.hits(true).iter().map(|hit| Tid::from_u64(hit.id)).collect();
    assert_eq!(seen, [Tid::new(1000, 2)]);
    assert!(locks(&world) < marked + 20);
    assert_eq!(world.hits(false).len(), 302);
    world.vacuum(|tid| tid.blkno < 1000 || tid == new);
    world.verify();
}

#[test]
fn no_new_row_gets_the_mark_of_the_one_before_it() {
    for seed in seeds(20) {
        let kind = Kind::new(Metric::L2, 8, 4, 40);
        trials::marks_meet_vacuum(World::new(kind, seed), seed);
        trials::marks_meet_vacuum(World::new(kind.duplicates(3), seed), seed);
    }
}
