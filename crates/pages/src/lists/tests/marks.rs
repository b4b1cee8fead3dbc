//! Marks of rows that are dead to all.

use ann::codec::CodeKind;
use ann::metric::Metric;
use ann::topk::Hit;

use super::{ALL, Shape, World};
use crate::damage::coding::point_of;
use crate::damage::search::flat_params;
use crate::lists::coded::CodedScanner;
use crate::lists::flat::FlatScanner;
use crate::lists::marks::mark;
use crate::lists::scan::Scan;
use crate::lists::scanner::ListScanner;
use crate::lists::vacuum::bulk_delete;
use crate::mem::seeds;
use crate::tid::Tid;
use crate::trials::{self, Marked};

/// All candidates of a scan.
fn hits_of<L: ListScanner>(world: &World<f32>, trusts_marks: bool) -> Vec<Hit> {
    let mut scan = Scan::<L>::new();
    let query = point_of(&world.lists().params, None, &vec![0.1f32; world.shape.dims]);
    scan.begin_candidates(&query, flat_params(&ALL), 100, 1);
    let mut hits = Vec::new();
    let view = world.view().trusting(trusts_marks);
    loop {
        let some = scan.candidates(&world.mem, &view, 100, true).unwrap();
        if some.is_empty() {
            break;
        }
        hits.extend_from_slice(some);
    }
    assert_eq!(scan.visited(), hits.len() as u64);
    hits
}

impl Marked for World<f32> {
    fn hits(&self, trusts_marks: bool) -> Vec<Hit> {
        match self.shape.code {
            None => hits_of::<FlatScanner<f32>>(self, trusts_marks),
            Some(_) => hits_of::<CodedScanner>(self, trusts_marks),
        }
    }

    fn mark(&self, mut hits: Vec<Hit>, is_dead: &mut dyn FnMut(Tid) -> bool) -> u64 {
        mark(&self.mem, self.lists(), &mut hits, is_dead).unwrap()
    }

    fn put_row(&self, tid: Tid, vector: &[f32]) {
        self.put(tid, vector).unwrap();
    }

    fn clear(&self, is_dead: &mut dyn FnMut(Tid) -> bool) {
        bulk_delete(&self.mem, self.lists(), is_dead).unwrap();
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
    kinds.into_iter().map(|(kind, dims)| Shape::coded(kind, Metric::L2, dims, 3, 400))
}

/// An index whose packed slots are not all taken, so that inserts come to pages with marks.
pub fn with_room(shape: Shape, seed: u64) -> World<f32> {
    let mut world = World::new(shape, seed);
    world.vacuum(|tid| tid.to_u64().is_multiple_of(7));
    world
}

#[test]
fn marked_rows_are_rows_to_all_but_scans() {
    trials::marks(with_room(Shape::flat(Metric::L2, 24, 5, 900), 1));
    trials::marks(with_room(Shape::flat(Metric::Cosine, 24, 3, 500), 2));
    trials::marks(with_room(Shape::flat(Metric::InnerProduct, 5000, 2, 60), 3));
    trials::marks(with_room(Shape::flat(Metric::L2, 8, 0, 300), 4));
    for (shape, seed) in shapes().zip(1..) {
        trials::marks(World::new(shape, seed));
        trials::marks(World::new(Shape { metric: Metric::Cosine, ..shape.and_vectors() }, seed));
        // All of them inserted.
        let mut grown = World::new(Shape { n_rows: 0, ..shape }, seed);
        grown.insert_random(200);
        trials::marks(grown);
    }
    let mut grown = World::new(Shape::flat(Metric::Cosine, 30, 3, 0).and_attributes(&[8]), 5);
    grown.insert_random(300);
    trials::marks(grown);
}

#[test]
fn no_new_row_gets_the_mark_of_the_one_before_it() {
    for seed in seeds(25) {
        let flat = [Shape::flat(Metric::L2, 16, 2, 40), Shape::flat(Metric::Cosine, 900, 0, 40)];
        let coded = shapes().map(|shape| Shape { n_rows: 40, nlist: 2, ..shape });
        for shape in flat.into_iter().chain(coded) {
            trials::marks_meet_vacuum(World::new(shape, seed), seed);
        }
    }
}

/// What a scan gives names its place, which is what is marked.
#[test]
fn the_row_given_last_can_be_marked() {
    let world = World::<f32>::new(Shape::flat(Metric::L2, 16, 4, 200), 6);
    let mut scan = Scan::<FlatScanner<f32>>::new();
    scan.begin(&[0.1; 16], flat_params(&ALL));
    let mut hits = Vec::new();
    while let Some(row) = scan.next(&world.mem, &world.view()).unwrap() {
        let hit = scan.last_given().unwrap();
        assert_eq!(Tid::from_u64(hit.id), row.tid);
        hits.push(hit);
    }
    assert_eq!(world.mark(hits, &mut |_| true), 200);
    assert!(world.hits(true).is_empty());
}

/// Neither the vectors of a DATA block of dead rows are read, nor the pages of their vectors locked.
#[test]
fn vectors_of_marked_rows_are_not_read() {
    let world = World::<f32>::new(Shape::flat(Metric::L2, 100, 1, 500), 5);
    let locks = |trusts: bool| {
        let before = world.mem.n_locks();
        world.hits(trusts);
        world.mem.n_locks() - before
    };
    let all = locks(true);
    world.mark(world.hits(true), &mut |_| true);
    assert!(locks(true) * 10 < all, "{} of {all}", locks(true));
    assert_eq!(locks(false), all);
}
