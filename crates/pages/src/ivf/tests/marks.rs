//! Marks of rows that are dead to all.

use ann::metric::Metric;
use ann::topk::Hit;

use super::{ALL, World};
use crate::ivf::marks::mark;
use crate::ivf::probe::Probe;
use crate::ivf::scan::Scan;
use crate::ivf::vacuum::bulk_delete;
use crate::mem::seeds;
use crate::tid::Tid;
use crate::trials::{self, Marked};

impl Marked for World<f32> {
    fn hits(&self, trusts_marks: bool) -> Vec<Hit> {
        let mut scan = Scan::<Probe<f32>>::new();
        scan.begin(&vec![0.1; self.meta.dims], ALL);
        let mut hits = Vec::new();
        let view = self.view().trusting(trusts_marks);
        while let Some(row) = scan.next(&self.mem, &view).unwrap() {
            let hit = scan.last_given().unwrap();
            assert_eq!(Tid::from_u64(hit.id), row.tid);
            hits.push(hit);
        }
        hits
    }

    fn mark(&self, mut hits: Vec<Hit>, is_dead: &mut dyn FnMut(Tid) -> bool) -> u64 {
        mark(&self.mem, &self.meta, &mut hits, is_dead).unwrap()
    }

    fn put_row(&self, tid: Tid, vector: &[f32]) {
        self.put(tid, vector).unwrap();
    }

    fn clear(&self, is_dead: &mut dyn FnMut(Tid) -> bool) {
        bulk_delete(&self.mem, &self.meta, is_dead).unwrap();
    }
}

#[test]
fn marked_rows_are_rows_to_all_but_scans() {
    trials::marks(World::new(Metric::L2, 24, 5, 900, 1));
    trials::marks(World::new(Metric::Cosine, 24, 3, 500, 2));
    trials::marks(World::new(Metric::InnerProduct, 5000, 2, 60, 3));
    trials::marks(World::new(Metric::L2, 8, 0, 300, 4));
}

#[test]
fn no_new_row_gets_the_mark_of_the_one_before_it() {
    for seed in seeds(30) {
        trials::marks_meet_vacuum(World::new(Metric::L2, 16, 2, 40, seed), seed);
    }
}

/// A block of dead rows is not read.
#[test]
fn pages_of_marked_rows_are_not_read() {
    let world = World::<f32>::new(Metric::L2, 100, 1, 500, 5);
    let locks = |trusts: bool| {
        let before = world.mem.n_locks();
        world.hits(trusts);
        world.mem.n_locks() - before
    };
    let all = locks(true);
    world.mark(world.hits(true), &mut |_| true);
    assert!(locks(true) * 10 < all);
    assert_eq!(locks(false), all);
}
