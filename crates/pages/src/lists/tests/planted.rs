//! Damage that check must find, and that no verb may trip over.

use ann::codec::CodeKind;
use ann::metric::Metric;

use super::world::damage;
use super::{Shape, World};
use crate::bytes::{put_u16, put_u32, u32_at};
use crate::damage::ask;
use crate::lists::directory;
use crate::lists::layout::{UNITS_START, tid_places};
use crate::mem::MemPages;
use crate::page::{BODY_END, Page, PageKind};

/// One list with two packed blocks and two overflow extents, full of rows.
fn world(shape: Shape) -> World<f32> {
    let mut world = World::<f32>::new(Shape { nlist: 1, n_rows: 64, ..shape }, 1);
    world.insert_random(world.lists().layout.overflow_slots() + 5);
    world.verify();
    world
}

fn small() -> World<f32> {
    world(Shape::coded(CodeKind::RaBitQ { nbits: 1 }, Metric::L2, 900, 1, 64).and_vectors())
}

/// Blocks and overflow extents of several pages.
fn large() -> World<f32> {
    world(Shape::coded(CodeKind::Sq8, Metric::L2, 1000, 1, 64).and_vectors())
}

/// Vectors as they are.
fn flat() -> World<f32> {
    world(Shape::flat(Metric::Cosine, 600, 1, 64))
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
    let entry = directory::read(&world.mem, world.lists(), 0).unwrap();
    let body = world.mem.to_pages()[entry.overflow_first as usize].body().to_vec();
    (entry, entry.overflow_first, body)
}

fn of_kind(world: &World<f32>, kind: PageKind) -> Vec<u32> {
    let pages = world.mem.to_pages();
    (0..world.n_pages()).filter(|i| pages[*i as usize].kind() == Some(kind)).collect()
}

#[test]
fn a_page_of_another_owner() {
    for world in [small(), large(), flat()] {
        for kind in [PageKind::Overflow, PageKind::Codes, PageKind::Data, PageKind::Model] {
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
    let (_, overflow, body) = first(&world);
    let second = u32_at(&body, 0);
    for (at, next) in [(overflow, overflow), (second, overflow), (second, second)] {
        let found = found(&world, at, |page| put_u32(page.body_mut(), 0, next));
        assert!(found.contains("cycle") || found.contains("something else uses"), "{found}");
    }
    let found = found(&world, second, |page| put_u32(page.body_mut(), 0, 77_777));
    assert!(found.contains("beyond the end"), "{found}");
}

#[test]
fn a_row_that_is_there_twice() {
    let world = small();
    let found = found(&world, world.lists().codes_first, |page| {
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
    for world in [small(), large(), flat()] {
        let layout = world.lists().layout;
        let (_, overflow, body) = first(&world);
        let mut places: Vec<usize> =
            (1..layout.overflow_pages).map(|i| layout.overflow_page_at(i)).collect();
        places.extend((0..layout.overflow_vector_pages()).map(|i| layout.overflow_vector_at(i)));
        let mut names: Vec<u32> = places.iter().map(|at| u32_at(&body, *at)).collect();
        names.extend([overflow, 0, world.lists().codes_first, u32_at(&body, 0)]);
        let (every, one) = (places.len() / 12 + 1, names.len() / 12 + 1);
        for at in places.into_iter().step_by(every) {
            for name in names.iter().rev().step_by(one) {
                if u32_at(&body, at) == *name {
                    continue;
                }
                let found = found(&world, overflow, |page| put_u32(page.body_mut(), at, *name));
                assert_ne!(found, "", "{at} {name}");
            }
        }
    }
}

#[test]
fn lists_that_leave_or_share_packed_slots() {
    let coded = Shape::coded(CodeKind::Sq8, Metric::L2, 40, 3, 300);
    for (shape, step) in [(coded, 32), (Shape::flat(Metric::L2, 40, 3, 300), 1)] {
        let world = World::<f32>::new(shape, 1);
        let (page, at) = directory::place(world.lists(), 1).unwrap();
        let entry = directory::read(&world.mem, world.lists(), 1).unwrap();
        let (first, n_slots) = (entry.first, entry.n_slots);
        let all = u64::from(step);
        for (first, n_slots) in [
            (first - all, n_slots),
            (first + all, n_slots - step),
            (first, n_slots - step),
            (first, 0),
        ] {
            let damaged = directory::Entry { first, n_slots, insert_slot: 0, ..entry };
            let found = found(&world, page, |page| directory::put_entry(page, at, damaged));
            let is_said = found.contains("begins at slot") || found.contains("packed slots of");
            assert!(is_said, "{found}");
        }
        let mut damages = vec![
            directory::Entry { n_slots: u32::MAX, ..entry },
            directory::Entry { first: u64::MAX, ..entry },
            directory::Entry { insert_slot: n_slots + 1, ..entry },
            directory::Entry { insert_overflow: 1, ..entry },
        ];
        if shape.code.is_some() {
            // Lists of codes begin at blocks.
            damages.push(directory::Entry { first: first - 1, ..entry });
            damages.push(directory::Entry { n_slots: n_slots - 1, insert_slot: 0, ..entry });
        }
        for damaged in damages {
            let found = found(&world, page, |page| directory::put_entry(page, at, damaged));
            assert!(found.contains("out of range"), "{found}");
        }
    }
}

#[test]
fn a_hint_that_leads_elsewhere() {
    let world = small();
    let (entry, _, _) = first(&world);
    let (page, at) = directory::place(world.lists(), 0).unwrap();
    let damaged = directory::Entry { insert_overflow: 1, ..entry };
    let found = found(&world, page, |page| directory::put_entry(page, at, damaged));
    assert!(found.contains("is not in its chain"), "{found}");
}

#[test]
fn numbers_that_are_none() {
    let nan = f32::NAN.to_bits();
    let of_code = "a factor of tid (0,4) is not finite";
    let of_vector = "norm of tid (0,4) is not that of its vector";
    for (world, n_factors, said) in [(small(), 2, of_code), (flat(), 1, of_vector)] {
        let lists = world.lists();
        for f in 0..n_factors {
            let at = UNITS_START + lists.layout.factor_place(3, f);
            let found = found(&world, lists.codes_first, |page| put_u32(page.body_mut(), at, nan));
            assert!(found.contains(said), "{found}");
        }
        let change = |page: &mut Page| put_u32(page.body_mut(), UNITS_START + 8, nan);
        let found_in_data = found(&world, lists.vectors_first, change);
        assert!(found_in_data.contains("vector of tid (0,1) is not finite"), "{found_in_data}");
        let centroids = world.index.meta.quantizer.unwrap().vectors_first;
        let found_in_centroid = found(&world, centroids, change);
        assert!(found_in_centroid.contains("is not finite"), "{found_in_centroid}");
    }
    let world = large();
    let model = of_kind(&world, PageKind::Model)[0];
    let found = found(&world, model, |page| put_u32(page.body_mut(), 8, nan));
    assert!(found.contains("parameter is not finite"), "{found}");
}

/// Of vectors as they are, what is stored beside them and with their list follows from them.
#[test]
fn numbers_that_are_others() {
    let world = flat();
    let lists = world.lists();
    let at = UNITS_START + lists.layout.factor_place(3, 0);
    let one = 1.0f32.to_bits();
    let norm = found(&world, lists.codes_first, |page| put_u32(page.body_mut(), at, one));
    assert!(norm.contains("norm of tid (0,4) is not that of its vector"), "{norm}");
    let (page, at) = directory::place(lists, 0).unwrap();
    let damaged = directory::Entry { radius: -1.5, ..first(&world).0 };
    let radius = found(&world, page, |page| directory::put_entry(page, at, damaged));
    assert!(radius.contains("is farther from the centroid than the radius"), "{radius}");
    let rows = |page: &mut Page| page.body_mut()[UNITS_START..][..4].fill(0xC0);
    let vector = found(&world, lists.vectors_first, rows);
    assert!(vector.contains("is not that of its vector"), "{vector}");
}

/// The entries of the coarse quantizer are the lists, each once.
#[test]
fn centroids_that_name_other_lists() {
    let world = World::<f32>::new(Shape::flat(Metric::L2, 20, 40, 200), 1);
    let codes = world.index.meta.quantizer.unwrap().codes_first;
    for (lane, named) in [(0, 1), (5, 39), (7, 40), (9, u32::MAX - 1)] {
        let at = UNITS_START + tid_places(lane).0;
        let named = found(&world, codes, |page| put_u32(page.body_mut(), at, named));
        assert!(named.contains("does not name every list once"), "{named}");
    }
    let at = UNITS_START + tid_places(3).1;
    let missing = found(&world, codes, |page| put_u16(page.body_mut(), at, 0));
    assert!(missing.contains("does not name every list once"), "{missing}");
}

#[test]
fn a_factor_of_nobody_may_be_anything() {
    let mut world = small();
    world.vacuum(|tid| tid.to_u64() == 4);
    let codes = world.lists().codes_first;
    let at = UNITS_START + world.lists().layout.factor_place(3, 0);
    assert_eq!(found(&world, codes, |page| put_u32(page.body_mut(), at, f32::NAN.to_bits())), "");
    // So may the heap block of a free lane.
    let (block, offset) = tid_places(3);
    let mut pages = world.mem.to_pages();
    put_u32(pages[codes as usize].body_mut(), UNITS_START + block, 99);
    put_u16(pages[codes as usize].body_mut(), UNITS_START + offset, 0);
    assert_eq!(damage(&MemPages::from_pages(pages)), []);
}
