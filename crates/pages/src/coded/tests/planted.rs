//! Damage that check must find, and that no verb may trip over.

use ann::codec::CodeKind;
use ann::metric::Metric;

use super::world::damage;
use super::{Shape, World};
use crate::bytes::{put_u16, put_u32, u32_at};
use crate::coded::directory;
use crate::coded::layout::{UNITS_START, factor_place, tid_places};
use crate::damage::ask;
use crate::mem::MemPages;
use crate::page::{BODY_END, Page, PageKind};

/// One list with two packed blocks and two shelves, full of rows.
fn world(kind: CodeKind, dims: usize) -> World<f32> {
    let mut world = World::<f32>::new(Shape::new(kind, Metric::L2, dims, 1, 64).flat(), 1);
    let shelf = world.layout().layout.shelf_blocks * 32;
    (0..shelf + 5).for_each(|_| {
        world.insert_random();
    });
    world.verify();
    world
}

fn small() -> World<f32> {
    world(CodeKind::RaBitQ { nbits: 1 }, 900)
}

/// Blocks and shelves of several pages.
fn large() -> World<f32> {
    world(CodeKind::Sq8, 1000)
}

/// What check says after a page was changed; no verb may panic on it.
fn found(world: &World<f32>, blkno: u32, change: impl FnOnce(&mut Page)) -> String {
    let mut pages = world.mem.to_pages();
    change(&mut pages[blkno as usize]);
    let pages = MemPages::from_pages(pages);
    let problems = damage(&pages);
    ask(&pages, None);
    problems.iter().map(|p| format!("{}: {}\n", p.blkno, p.what)).collect()
}

fn first(world: &World<f32>) -> (directory::Entry, u32, Vec<u8>) {
    let entry = directory::read(&world.mem, &world.meta, 0).unwrap();
    let body = world.mem.to_pages()[entry.shelf_first as usize].body().to_vec();
    (entry, entry.shelf_first, body)
}

fn of_kind(world: &World<f32>, kind: PageKind) -> Vec<u32> {
    let pages = world.mem.to_pages();
    (0..world.n_pages()).filter(|i| pages[*i as usize].kind() == Some(kind)).collect()
}

#[test]
fn a_page_of_another_owner() {
    for world in [small(), large()] {
        for kind in [PageKind::Shelf, PageKind::Codes, PageKind::Data, PageKind::Model] {
            for blkno in of_kind(&world, kind) {
                let found = found(&world, blkno, |page| put_u32(page.bytes_mut(), BODY_END + 4, 3));
                assert!(found.contains("has owner 3"), "{kind:?} {blkno}: {found}");
            }
        }
    }
}

#[test]
fn a_chain_that_is_a_cycle() {
    let world = small();
    let (_, shelf, body) = first(&world);
    let second = u32_at(&body, 0);
    for (at, next) in [(shelf, shelf), (second, shelf), (second, second)] {
        let found = found(&world, at, |page| put_u32(page.body_mut(), 0, next));
        assert!(found.contains("cycle") || found.contains("something else uses"), "{found}");
    }
    let found = found(&world, second, |page| put_u32(page.body_mut(), 0, 77_777));
    assert!(found.contains("beyond the end"), "{found}");
}

#[test]
fn a_row_that_is_there_twice() {
    let world = small();
    let codes = of_kind(&world, PageKind::Codes);
    let found = found(&world, codes[0], |page| {
        let (block, offset) = (tid_places(0), tid_places(1));
        page.body_mut().copy_within(UNITS_START + block.0..UNITS_START + block.0 + 4, {
            UNITS_START + offset.0
        });
        page.body_mut().copy_within(UNITS_START + block.1..UNITS_START + block.1 + 2, {
            UNITS_START + offset.1
        });
    });
    assert!(found.contains("in the index twice"), "{found}");
}

#[test]
fn a_page_that_is_named_twice() {
    for world in [small(), large()] {
        let layout = world.layout().layout;
        let (_, shelf, body) = first(&world);
        let mut places: Vec<usize> =
            (1..layout.shelf_pages).map(|i| layout.shelf_page_at(i)).collect();
        places.extend((0..layout.shelf_vector_pages()).map(|i| layout.shelf_vector_at(i)));
        let mut names: Vec<u32> = places.iter().map(|at| u32_at(&body, *at)).collect();
        names.extend([shelf, 0, world.layout().codes_first, u32_at(&body, 0)]);
        for at in places {
            for name in &names {
                if u32_at(&body, at) == *name {
                    continue;
                }
                let found = found(&world, shelf, |page| put_u32(page.body_mut(), at, *name));
                assert_ne!(found, "", "{at} {name}");
            }
        }
    }
}

#[test]
fn lists_that_leave_or_share_packed_blocks() {
    let shape = Shape::new(CodeKind::Sq8, Metric::L2, 40, 3, 300);
    let world = World::<f32>::new(shape, 1);
    let (page, at) = directory::place(&world.meta, 1).unwrap();
    let entry = directory::read(&world.mem, &world.meta, 1).unwrap();
    let (start, n_blocks) = (entry.start, entry.n_blocks);
    for (start, n_blocks) in
        [(start - 1, n_blocks), (start + 1, n_blocks - 1), (start, n_blocks - 1), (start, 0)]
    {
        let insert_block = 0;
        let damaged = directory::Entry { start, n_blocks, insert_block, ..entry };
        let found = found(&world, page, |page| directory::put_entry(page, at, damaged));
        assert!(found.contains("begins at block") || found.contains("packed blocks of"), "{found}");
    }
    for damaged in [
        directory::Entry { n_blocks: u32::MAX, ..entry },
        directory::Entry { insert_block: n_blocks + 1, ..entry },
        directory::Entry { insert_shelf: 1, ..entry },
    ] {
        let found = found(&world, page, |page| directory::put_entry(page, at, damaged));
        assert!(found.contains("out of range"), "{found}");
    }
}

#[test]
fn a_hint_that_leads_elsewhere() {
    let world = small();
    let (entry, _, _) = first(&world);
    let (page, at) = directory::place(&world.meta, 0).unwrap();
    let damaged = directory::Entry { insert_shelf: 1, ..entry };
    let found = found(&world, page, |page| directory::put_entry(page, at, damaged));
    assert!(found.contains("is not in its chain"), "{found}");
}

#[test]
fn numbers_that_are_none() {
    let nan = f32::NAN.to_bits();
    let world = small();
    let codes = of_kind(&world, PageKind::Codes)[0];
    for f in 0..2 {
        let at = UNITS_START + factor_place(3, f);
        let found = found(&world, codes, |page| put_u32(page.body_mut(), at, nan));
        assert!(found.contains("a factor of tid (0,4) is not finite"), "{found}");
    }
    let data = of_kind(&world, PageKind::Data)[0];
    let found_in_data = found(&world, data, |page| put_u32(page.body_mut(), UNITS_START + 8, nan));
    assert!(found_in_data.contains("vector is not finite"), "{found_in_data}");
    let world = large();
    let model = of_kind(&world, PageKind::Model)[0];
    let found = found(&world, model, |page| put_u32(page.body_mut(), 8, nan));
    assert!(found.contains("parameter is not finite"), "{found}");
}

#[test]
fn a_factor_of_nobody_may_be_anything() {
    let mut world = small();
    world.vacuum(|tid| tid.to_u64() == 4);
    let codes = of_kind(&world, PageKind::Codes)[0];
    let at = UNITS_START + factor_place(3, 0);
    assert_eq!(found(&world, codes, |page| put_u32(page.body_mut(), at, f32::NAN.to_bits())), "");
    // So may the heap block of a free lane.
    let (block, offset) = tid_places(3);
    let mut pages = world.mem.to_pages();
    put_u32(pages[codes as usize].body_mut(), UNITS_START + block, 99);
    put_u16(pages[codes as usize].body_mut(), UNITS_START + offset, 0);
    assert_eq!(damage(&MemPages::from_pages(pages)), []);
}
