//! What is written into a page is read from it, and nothing else is.

use ann::hnsw::{Factors, Grid};
use ann::metric::Metric;
use ann::rng::Rng;

use crate::error::Error;
use crate::geometry::Geometry;
use crate::hnsw::entry::Entry;
use crate::hnsw::links::{self, Slot, UpperAt};
use crate::hnsw::nodes::{self, Lane, Nodes, State};
use crate::hnsw::upper::{self, Record, Upper};
use crate::hnsw::{Code, Map, Meta, MetaParams, Shape, map};
use crate::mem::MemPages;
use crate::page::META_BLKNO;
use crate::page::{INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::search::attributes::Attributes;
use crate::tid::Tid;

/// No attributes.
const NONE: Attributes = Attributes::NONE;

pub const PARAMS: MetaParams = MetaParams {
    element: 0,
    metric: Metric::L2,
    dims: 128,
    m: 16,
    ef_construction: 64,
    code: Code::Flat,
    seed: 7,
    trained_rows: 3,
    attributes: NONE,
};

fn shape() -> Shape {
    Shape::new(16, 128, Geometry::new(128, 4), NONE).unwrap()
}

#[test]
fn meta_round_trips_and_damage_is_noticed() {
    let mut meta = Meta::new(&PARAMS).unwrap();
    meta.build_rows = 9;
    (meta.model_first, meta.map_first, meta.entry_blkno) = (2, 3, 1);
    assert!(Meta::is_graph(&meta.to_page()));
    let filler = Page::new(PageKind::Free, NO_OWNER);
    let read = |page: Page| Meta::read(&MemPages::from_pages(vec![page, filler, filler, filler]));
    assert_eq!(read(meta.to_page()).unwrap(), meta);
    let mut rng = Rng::new(1);
    for _ in 0..3000 {
        let mut page = meta.to_page();
        let at = 24 + rng.below(64) as usize;
        page.bytes_mut()[at] = rng.below(256) as u8;
        if let Err(error) = read(page) {
            assert!(matches!(error, Error::Corrupted { .. } | Error::Version { .. }));
        }
    }
    for params in [
        MetaParams { m: 1, ..PARAMS },
        MetaParams { m: 101, ..PARAMS },
        MetaParams { dims: 0, ..PARAMS },
        MetaParams { dims: 16_001, ..PARAMS },
        MetaParams { element: 2, ..PARAMS },
    ] {
        assert!(Meta::new(&params).is_none(), "{params:?}");
    }
    let sq8 = Meta::new(&MetaParams { code: Code::Sq8, ..PARAMS }).unwrap();
    assert_eq!((sq8.shape.vectors, sq8.shape.data_pages), (None, 0));
    assert_eq!(sq8.shape.code_bytes, Grid::code_bytes(Metric::L2, 128));
}

#[test]
fn entries_round_trip() {
    let entry = Entry {
        node: 5,
        level: 3,
        room_chunk: 1,
        upper_last: 9,
        upper_room: 8,
        by_vectors: true,
        misplaced: 7,
        counted_from: 1 << 20,
        sparse_last: 11,
        sparse_room: 10,
    };
    for entry in [entry, Entry::EMPTY] {
        assert_eq!(Entry::decode(&entry.to_page(), 1).unwrap(), entry);
    }
    let high = Entry { level: 77, ..entry };
    assert!(Entry::decode(&high.to_page(), 1).is_err());
    assert!(Entry::decode(&Page::new(PageKind::Meta, NO_OWNER), 1).is_err());
}

#[test]
fn lanes_are_taken_and_freed() {
    let shape = shape();
    let mut page = Page::default();
    nodes::init(&mut page, &shape, 7, 1);
    let factors = Factors { bias: 0.5, step: 3.0 };
    let lane = |n: u16| Lane { state: State::Node, tid: Tid::new(1, n), level: 2, factors };
    for place in 0..shape.node_lanes {
        let nodes = Nodes::new(&page, 0, &shape, 7, 1).unwrap();
        assert!(nodes.has_room(1));
        assert_eq!(nodes.free_place(1), Some(place));
        nodes::fill(&mut page, &shape, place, &lane(place as u16 + 1), &[place as u8; 128]);
    }
    assert_eq!(Nodes::new(&page, 0, &shape, 7, 1).unwrap().free_place(1), None);
    nodes::free(&mut page, &shape, 5);
    nodes::clear_tid(&mut page, &shape, 6);
    let nodes = Nodes::new(&page, 0, &shape, 7, 1).unwrap();
    assert_eq!((nodes.n_used, nodes.n_free), (shape.node_lanes, 1));
    assert_eq!(nodes.free_place(1), Some(5));
    assert_eq!(nodes.lane(0, 5).unwrap(), Lane::FREE);
    assert!(nodes.lane(0, 6).unwrap().is_ghost());
    assert_eq!(nodes.lane(0, 7).unwrap(), lane(8));
    assert!(nodes::coded(&page, &shape, 5).is_none());
    assert_eq!(nodes::coded(&page, &shape, 6), Some((&[6u8; 128][..], factors)));
    for wrong in [(8, 1), (7, 0)] {
        assert!(Nodes::new(&page, 0, &shape, wrong.0, wrong.1).is_err());
    }
}

#[test]
fn slots_and_records_round_trip() {
    let shape = shape();
    let mut page = Page::default();
    links::init(&mut page, &shape, 3, 6);
    assert!(links::check(&page, 0, 3, 6).is_ok());
    assert!(links::check(&page, 0, 3, 5).is_err());
    let upper = UpperAt { blkno: 44, slot: 3 };
    let last = shape.link_lanes - 1;
    let found = Slot { n: 32, upper, duplicate: 8, ..Slot::EMPTY };
    let many: Vec<u32> = (0..32).collect();
    links::put(&mut page, &shape, last, &found, &many);
    assert_eq!(links::slot(&page, 0, &shape, last).unwrap(), found);
    assert_eq!(links::links(&page, &shape, last, 32), many);
    assert_eq!(links::slot(&page, 0, &shape, last - 1).unwrap(), Slot::EMPTY);
    assert_eq!(page.used(), shape.links_used());

    upper::init(&mut page, &shape, 12);
    let record = Record { node: 9, level: 1, n: 16, next: UpperAt { blkno: 1, slot: 2 } };
    for slot in 0..upper::records_max(&shape) {
        let found = Upper::new(&page, 0, &shape).unwrap();
        assert_eq!((found.free_slot(), found.prev), (Some(slot), 12));
        assert!(found.record(slot).is_err());
        upper::fill(&mut page, &shape, slot, &record, &many[..16]);
        let found = Upper::new(&page, 0, &shape).unwrap();
        assert_eq!(found.record(slot).unwrap(), record);
        assert_eq!(found.links(slot, 16), &many[..16]);
    }
    upper::free(&mut page, &shape, 4);
    let found = Upper::new(&page, 0, &shape).unwrap();
    assert!(found.record(4).unwrap().is_free());
    assert_eq!((found.free_slot(), found.n_free), (Some(4), 1));
}

#[test]
fn the_copy_of_the_map_follows() {
    let shape = shape();
    let mut meta = Meta::new(&PARAMS).unwrap();
    meta.map_first = 1;
    let mut first = Page::default();
    map::init(&mut first);
    let mem = MemPages::from_pages(vec![meta.to_page(), first, first]);
    let known = Map::read(&mem, &meta).unwrap();
    assert_eq!((known.n_nodes(), known.block(&mem, 0, 0).unwrap()), (0, INVALID_BLKNO));
    let n = map::entries_max(&shape);
    mem.damage(1, |page| {
        for entry in 0..n {
            map::add_entry(page, &shape);
            map::set_block(page, &shape, entry, 2, 100 + entry as u32);
        }
    });
    assert_eq!(known.block(&mem, 1, 2).unwrap(), 101);
    assert_eq!(known.cached(1, 3), INVALID_BLKNO);
    mem.damage(1, |page| {
        map::set_block(page, &shape, 1, 3, 55);
        map::set_next(page, 2);
    });
    assert_eq!(known.block(&mem, 1, 3).unwrap(), 55);
    mem.damage(2, |page| {
        map::add_entry(page, &shape);
        map::set_block(page, &shape, 0, 0, 77);
    });
    assert_eq!(known.block(&mem, n as u32, 0).unwrap(), 77);
    assert_eq!(known.cached(n as u32, 0), 77);
    assert_eq!(known.n_chunks(), n as u32 + 1);
    assert_eq!((known.map_pages(), known.place(n as u32)), (vec![1, 2], (2, 0)));
    assert!(known.existing(&mem, 9999, 0, META_BLKNO).is_err());
    // A page of the chain that comes again.
    mem.damage(2, |page| {
        (1..n).for_each(|_| map::add_entry(page, &shape));
        map::set_next(page, 1);
    });
    assert!(matches!(Map::read(&mem, &meta), Err(Error::Corrupted { .. })));
}
