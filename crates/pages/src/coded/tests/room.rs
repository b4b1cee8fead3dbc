//! Where rows go: lanes that the build left and vacuum freed first, then shelves; what the hints say.

use ann::codec::{CodeKind, LANES};
use ann::metric::Metric;

use super::{Shape, World};
use crate::coded::directory;
use crate::coded::info::list_info;
use crate::coded::vacuum::stats;
use crate::page::INVALID_BLKNO;

fn entry(world: &World<f32>) -> directory::Entry {
    directory::read(&world.mem, &world.meta, 0).unwrap()
}

fn insert(world: &mut World<f32>, n: usize) {
    (0..n).for_each(|_| {
        world.insert_random();
    });
}

#[test]
fn rows_take_lanes_before_shelves() {
    for (kind, dims) in
        [(CodeKind::Sq8, 40), (CodeKind::RaBitQ { nbits: 1 }, 700), (CodeKind::Sq4, 3000)]
    {
        let shape = Shape::new(kind, Metric::L2, dims, 1, 40);
        for shape in [shape, shape.flat()] {
            let mut world = World::<f32>::new(shape, 1);
            let layout = world.layout().layout;
            let built = world.n_pages();
            assert_eq!((entry(&world).n_blocks, entry(&world).insert_block), (2, 1));
            insert(&mut world, 2 * LANES - 40);
            assert_eq!(world.n_pages(), built);
            assert_eq!(entry(&world).shelf_first, INVALID_BLKNO);
            let vectors = layout.vectors.map_or(0, |g| g.block_pages) as u32;
            insert(&mut world, 1);
            assert_eq!(world.n_pages(), built + layout.shelf_pages as u32 + vectors);
            assert_eq!(entry(&world).insert_block, 2);
            let first = entry(&world).shelf_first;
            assert_eq!(entry(&world).insert_shelf, first);
            // The rest of the shelf.
            insert(&mut world, layout.shelf_blocks * LANES - 1);
            let shelf = (layout.shelf_pages + layout.shelf_vector_pages()) as u32;
            assert_eq!(world.n_pages(), built + shelf);
            insert(&mut world, 1);
            assert_eq!(world.n_pages(), built + shelf + layout.shelf_pages as u32 + vectors);
            assert_ne!(entry(&world).insert_shelf, first);
            world.verify();
            // What vacuum frees is filled again, in both places.
            let removed = world.vacuum(|tid| tid.to_u64() % 3 == 0).removed as usize;
            assert_eq!((entry(&world).insert_block, entry(&world).insert_shelf), (0, first));
            let pages = world.n_pages();
            insert(&mut world, removed);
            assert_eq!(world.n_pages(), pages);
            world.verify();
        }
    }
}

#[test]
fn a_full_block_leaves_nothing_to_try() {
    let world = World::<f32>::new(Shape::new(CodeKind::Sq8, Metric::L2, 40, 1, 64), 1);
    assert_eq!((entry(&world).n_blocks, entry(&world).insert_block), (2, 2));
    assert_eq!(stats(&world.mem, &world.meta).unwrap().free_slots, 0);
}

#[test]
fn vacuum_without_a_dead_row_writes_nothing() {
    let mut world = World::<f32>::new(Shape::new(CodeKind::Sq8, Metric::L2, 100, 5, 500), 1);
    insert(&mut world, 300);
    let writes = world.mem.n_writes();
    world.vacuum(|_| false);
    assert_eq!(world.mem.n_writes(), writes);
}

#[test]
fn an_insert_behind_the_hint_writes_one_record() {
    let mut world = World::<f32>::new(Shape::new(CodeKind::Sq8, Metric::L2, 40, 1, 40), 1);
    let centre = world.centroids.clone();
    for tid in [1000, 1001] {
        let writes = world.mem.n_writes();
        // Not beyond the radius: the directory stays as it is.
        let tid = super::tid_no(tid);
        world.put(tid, &centre).unwrap();
        world.model.insert(tid, centre.clone());
        assert_eq!(world.mem.n_writes(), writes + 1);
    }
    world.verify();
}

#[test]
fn space_of_dead_rows_is_used_again() {
    for dims in [1, 100, 2028] {
        for shape in [Shape::new(CodeKind::Sq4, Metric::L2, dims, 3, 300)] {
            let mut world = World::<f32>::new(shape.flat(), 1);
            let mut sizes = Vec::new();
            for round in 0..6 {
                world.vacuum(|tid| tid.to_u64() % 2 == round % 2 || tid.blkno > 3);
                while world.model.len() < 300 {
                    world.insert_random();
                }
                sizes.push(world.n_pages());
                world.verify();
            }
            let largest = sizes.iter().max().unwrap();
            assert!(*largest <= sizes[0] + sizes[0] / 4 + 8, "{dims}: {sizes:?}");
        }
    }
}

#[test]
fn an_emptied_index_is_filled_again_where_it_was() {
    let mut world =
        World::<f32>::new(Shape::new(CodeKind::RaBitQ { nbits: 1 }, Metric::L2, 64, 3, 100), 1);
    insert(&mut world, 200);
    let pages = world.n_pages();
    let stats = world.vacuum(|_| true);
    assert_eq!((stats.live, stats.removed, stats.pages), (0, 300, pages));
    world.verify();
    insert(&mut world, 60);
    assert_eq!(world.n_pages(), pages);
    world.verify();
}

#[test]
fn holes_before_the_last_row_are_counted() {
    let mut world = World::<f32>::new(Shape::new(CodeKind::Sq8, Metric::L2, 8, 1, 128), 1);
    let ndead = |world: &World<f32>| list_info(&world.mem, &world.meta).unwrap()[0].ndead;
    assert_eq!(ndead(&world), 0);
    // Rows 0..50 are heap block 0: the whole first block, and 18 lanes of the second.
    world.vacuum(|tid| tid.blkno == 0);
    assert_eq!(ndead(&world), 50);
    world.vacuum(|tid| tid.blkno == 2);
    assert_eq!(ndead(&world), 50);
    // What is left is 50..100: lane 3 is the last one of the last block with a row.
    world.vacuum(|tid| tid.offset < 21 || tid.offset == 49);
    assert_eq!(ndead(&world), 50 + 20 + 1);
}
