//! Marks of rows that are dead to all.

use ann::codec::CodeKind;
use ann::metric::Metric;
use ann::topk::Hit;

use super::rows::point_of;
use super::{Shape, World};
use crate::coded::marks::mark;
use crate::coded::probe::CodedProbe;
use crate::coded::vacuum::bulk_delete;
use crate::ivf::scan::{Iterative, Scan, SearchParams};
use crate::mem::seeds;
use crate::tid::Tid;
use crate::trials::{self, Marked};

impl Marked for World<f32> {
    fn hits(&self, trusts_marks: bool) -> Vec<Hit> {
        let params = SearchParams {
            nprobe: usize::MAX,
            iterative: Iterative::Relaxed,
            max_scan_tuples: u64::MAX,
            max_probes: usize::MAX,
            rows_wanted: None,
            memory: 0,
        };
        let query = point_of(self.meta.metric, &vec![0.1f32; self.meta.dims]);
        let mut scan = Scan::<CodedProbe>::new();
        scan.begin_candidates(&query, params, 100, 1);
        let mut hits = Vec::new();
        let view = self.view().trusting(trusts_marks);
        loop {
            let some = scan.candidates(&self.mem, &view, 100, true).unwrap();
            if some.is_empty() {
                break;
            }
            hits.extend_from_slice(some);
        }
        assert_eq!(scan.visited(), hits.len() as u64);
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

/// Blocks of few units and of more than a page has, so that tids are cut in every way.
fn shapes() -> impl Iterator<Item = Shape> {
    let kinds = [
        (CodeKind::PqFs { m: 8 }, 16),
        (CodeKind::Sq8, 29),
        (CodeKind::Sq8, 450),
        (CodeKind::RaBitQ { nbits: 3 }, 70),
    ];
    kinds.into_iter().map(|(kind, dims)| Shape::new(kind, Metric::L2, dims, 3, 400))
}

#[test]
fn marked_rows_are_rows_to_all_but_scans() {
    for (shape, seed) in shapes().zip(1..) {
        trials::marks(World::new(shape, seed));
        trials::marks(World::new(Shape { metric: Metric::Cosine, ..shape.flat() }, seed));
        // All of them inserted.
        let mut grown = World::new(Shape { n_rows: 0, ..shape }, seed);
        trials::Trial::add(&mut grown, 200);
        trials::marks(grown);
    }
}

#[test]
fn no_new_row_gets_the_mark_of_the_one_before_it() {
    for seed in seeds(20) {
        for shape in shapes() {
            let shape = Shape { n_rows: 40, nlist: 2, ..shape };
            trials::marks_meet_vacuum(World::new(shape, seed), seed);
        }
    }
}
