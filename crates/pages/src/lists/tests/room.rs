//! Where rows go: slots that the build left and vacuum freed first, then overflow extents; what the hints say.

use ann::codec::{CodeKind, LANES};
use ann::metric::Metric;

use super::{Shape, World, tid_no};
use crate::lists::directory;
use crate::lists::info::list_info;
use crate::lists::vacuum::stats;
use crate::page::INVALID_BLKNO;

fn entry(world: &World<f32>) -> directory::Entry {
    directory::read(&world.mem, world.lists(), 0).unwrap()
}

/// Pages that overflow extents with so many rows take.
fn overflow_pages(world: &World<f32>, n_rows: usize) -> u32 {
    let layout = &world.lists().layout;
    let slots = layout.overflow_slots();
    let of_vectors =
        |n: usize| layout.vectors.map_or(0, |g| n.div_ceil(g.block_vectors) * g.block_pages);
    let (full, rest) = (n_rows / slots, n_rows % slots);
    let of_rest = if rest > 0 { layout.overflow_pages + of_vectors(rest) } else { 0 };
    (full * (layout.overflow_pages + of_vectors(slots)) + of_rest) as u32
}

fn fills_up(shape: Shape) {
    let mut world = World::<f32>::new(shape, 1);
    let built = world.n_pages();
    // Lists of codes own the rest of their last block.
    let n_slots = if shape.code.is_some() { 64 } else { 40 };
    assert_eq!((entry(&world).n_slots, entry(&world).insert_slot), (n_slots, 40));
    world.insert_random(n_slots as usize - 40);
    assert_eq!(world.n_pages(), built);
    assert_eq!(entry(&world).overflow_first, INVALID_BLKNO);
    let slots = world.lists().layout.overflow_slots();
    let mut first = INVALID_BLKNO;
    for n in [1, 2, LANES, slots - 1, slots, slots + 1, slots + LANES] {
        let before = world.model.len() - n_slots as usize;
        world.insert_random(n.saturating_sub(before));
        let n = world.model.len() - n_slots as usize;
        assert_eq!(world.n_pages(), built + overflow_pages(&world, n), "{shape:?} {n}");
        assert_eq!(entry(&world).insert_slot, n_slots);
        if n == 1 {
            first = entry(&world).overflow_first;
            assert_ne!(first, INVALID_BLKNO);
        }
        assert_eq!(entry(&world).insert_overflow == first, n <= slots);
    }
    world.verify();
    // What vacuum frees is filled again, in both places.
    let removed = world.vacuum(|tid| tid.to_u64() % 3 == 0).removed as usize;
    assert!(entry(&world).insert_slot < 3);
    assert_eq!(entry(&world).insert_overflow, first);
    let pages = world.n_pages();
    world.insert_random(removed);
    assert_eq!(world.n_pages(), pages);
    world.verify();
}

#[test]
fn rows_take_slots_before_overflow_extents() {
    for (kind, dims) in
        [(CodeKind::Sq8, 40), (CodeKind::RaBitQ { nbits: 1 }, 700), (CodeKind::Sq4, 3000)]
    {
        let shape = Shape::coded(kind, Metric::L2, dims, 1, 40);
        fills_up(shape);
        fills_up(shape.and_vectors());
    }
    fills_up(Shape::coded(CodeKind::Sq8, Metric::L2, 40, 1, 40).and_attributes(&[4, 16]));
    for dims in [3, 700, 3000] {
        fills_up(Shape::flat(Metric::Cosine, dims, 1, 40));
        fills_up(Shape::flat(Metric::L2, dims, 0, 40).and_attributes(&[8]));
    }
}

#[test]
fn a_full_block_leaves_nothing_to_try() {
    for shape in
        [Shape::coded(CodeKind::Sq8, Metric::L2, 40, 1, 64), Shape::flat(Metric::L2, 40, 1, 64)]
    {
        let world = World::<f32>::new(shape, 1);
        assert_eq!((entry(&world).n_slots, entry(&world).insert_slot), (64, 64));
        assert_eq!(stats(&world.mem, world.lists()).unwrap().free_slots, 0);
    }
}

#[test]
fn vacuum_without_a_dead_row_writes_nothing() {
    for shape in
        [Shape::coded(CodeKind::Sq8, Metric::L2, 100, 5, 500), Shape::flat(Metric::L2, 100, 5, 500)]
    {
        let mut world = World::<f32>::new(shape, 1);
        world.insert_random(300);
        let writes = world.mem.n_writes();
        world.vacuum(|_| false);
        assert_eq!(world.mem.n_writes(), writes);
    }
}

#[test]
fn an_insert_behind_the_hint_writes_one_record() {
    let shape = Shape::coded(CodeKind::Sq8, Metric::L2, 40, 1, 40);
    for shape in [shape, shape.and_vectors(), Shape::flat(Metric::L2, 40, 1, 64)] {
        let mut world = World::<f32>::new(shape, 1);
        if shape.code.is_none() {
            world.vacuum(|tid| tid.offset > 40);
        }
        let centre = world.centroids.to_vec();
        for tid in 1000..1009 {
            let writes = world.mem.n_writes();
            // Not beyond the radius: the directory stays as it is.
            let tid = tid_no(tid);
            world.put(tid, &centre).unwrap();
            world.model.insert(tid, centre.clone());
            assert_eq!(world.mem.n_writes(), writes + 1, "{shape:?}");
        }
        world.verify();
    }
}

#[test]
fn space_of_dead_rows_is_used_again() {
    let coded = [1, 100, 2028].map(|dims| Shape::coded(CodeKind::Sq4, Metric::L2, dims, 3, 300));
    let flat = [3, 100, 2028, 5000].map(|dims| Shape::flat(Metric::L2, dims, 3, 300));
    for shape in flat.into_iter().chain(coded.map(Shape::and_vectors)) {
        let mut world = World::<f32>::new(shape, 1);
        // The second round may need an extent for what the first left partly filled.
        let mut sizes = Vec::new();
        for round in 0..6 {
            world.vacuum(|tid| tid.to_u64() % 2 == round % 2 || tid.blkno > 3);
            world.insert_random(300 - world.model.len());
            sizes.push(world.n_pages());
            world.verify();
        }
        let largest = sizes.iter().max().unwrap();
        assert!(*largest <= sizes[0] + sizes[0] / 4 + 8, "{shape:?}: {sizes:?}");
    }
}

#[test]
fn an_emptied_index_is_filled_again_where_it_was() {
    let coded = Shape::coded(CodeKind::RaBitQ { nbits: 1 }, Metric::L2, 64, 3, 100);
    for shape in [coded, Shape::flat(Metric::L2, 64, 3, 100), Shape::flat(Metric::L2, 2028, 3, 100)]
    {
        let mut world = World::<f32>::new(shape, 1);
        world.insert_random(200);
        let rows: Vec<Vec<f32>> = world.model.values().cloned().collect();
        let pages = world.n_pages();
        let stats = world.vacuum(|_| true);
        assert_eq!((stats.live, stats.removed, stats.pages), (0, 300, pages));
        assert_eq!(
            (stats.pages_freed, world.search(&vec![0.1; shape.dims], super::ALL).0.len()),
            (0, 0)
        );
        world.verify();
        rows.into_iter().for_each(|row| _ = world.insert(row));
        assert_eq!(world.n_pages(), pages, "{shape:?}");
        world.verify();
    }
}

#[test]
fn holes_before_the_last_row_are_counted() {
    for shape in
        [Shape::coded(CodeKind::Sq8, Metric::L2, 8, 1, 128), Shape::flat(Metric::L2, 8, 1, 128)]
    {
        let mut world = World::<f32>::new(shape, 1);
        let ndead = |world: &World<f32>| list_info(&world.mem, world.lists()).unwrap()[0].ndead;
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
}
