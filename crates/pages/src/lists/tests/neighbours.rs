//! Lists of flat vectors begin at any lane of a block, so that neighbours share blocks, the pages of blocks and DATA pages.

use std::collections::BTreeSet;

use ann::codec::LANES;
use ann::element::Element;
use ann::metric::Metric;
use ann::topk::Hit;
use half::f16;

use super::interleave::{interleave, rows, two_in_three};
use super::marks::with_room;
use super::{METRICS, Model, Shape, World};
use crate::lists::directory;
use crate::lists::info::list_info;
use crate::mem::seeds;
use crate::tid::Tid;
use crate::trials::{Marked, crash_everywhere, marks, marks_meet_vacuum, random_verbs};

/// Lists so short that a block has several.
fn shapes(n_rows: usize) -> [Shape; 5] {
    let [l2, _, cosine] = METRICS;
    [
        Shape::flat(l2, 8, 9, n_rows),
        Shape::flat(cosine, 100, 5, n_rows).and_attributes(&[4, 1]),
        Shape::flat(Metric::InnerProduct, 700, 4, n_rows),
        Shape::flat(l2, 3000, 3, n_rows),
        Shape::flat(cosine, 12, 70, n_rows).and_attributes(&[16; 8]),
    ]
}

/// The lists whose packed slots lie in each block.
fn lists_of_blocks<E: Element>(world: &World<E>) -> Vec<BTreeSet<u32>> {
    let lists = world.lists();
    let mut blocks = vec![BTreeSet::new(); lists.n_slots.div_ceil(LANES as u64) as usize];
    for list_no in 0..lists.nlist as u32 {
        let entry = directory::read(&world.mem, lists, list_no).unwrap();
        for block in entry.packed(lists, list_no).blocks() {
            blocks[block as usize].insert(list_no);
        }
    }
    blocks
}

/// They lie slot by slot, without a gap, and what is one list's is no other's.
#[test]
fn lists_follow_each_other_without_a_gap() {
    for shape in shapes(90) {
        let world = World::<f32>::new(shape, 3);
        assert_eq!(world.lists().n_slots, 90);
        let shared = lists_of_blocks(&world).iter().filter(|lists| lists.len() > 1).count();
        assert!(shared > 0, "{shape:?}");
        let mut end = 0;
        for list_no in 0..shape.nlist as u32 {
            let entry = directory::read(&world.mem, world.lists(), list_no).unwrap();
            assert!(entry.n_slots == 0 || entry.first == end);
            assert_eq!(entry.insert_slot, entry.n_slots, "nothing is left of it");
            end += u64::from(entry.n_slots);
        }
        assert_eq!(end, 90);
    }
}

/// A slot that vacuum frees goes to a row of its list alone, and the neighbour's rows stay.
#[test]
fn freed_slots_of_a_shared_block_go_to_their_own_list() {
    for shape in shapes(90) {
        let mut world = World::<f32>::new(shape, 4);
        let places = |world: &World<f32>| {
            let mut hits = world.hits(false);
            hits.sort_unstable_by_key(|hit| hit.at);
            hits.iter()
                .map(|hit| (hit.at, world.list_of(&world.model[&Tid::from_u64(hit.id)])))
                .collect::<Vec<_>>()
        };
        let (before, pages) = (places(&world), world.n_pages());
        for round in 0..3 {
            let dead: Model<f32> = world
                .model
                .clone()
                .into_iter()
                .filter(|(tid, _)| tid.to_u64() % 3 == round)
                .collect();
            world.vacuum(|tid| dead.contains_key(&tid));
            world.verify();
            for vector in dead.into_values() {
                world.insert(vector);
            }
            world.verify();
            assert_eq!(places(&world), before, "{shape:?}");
            assert_eq!(world.n_pages(), pages);
        }
    }
}

#[test]
fn random_verbs_keep_the_neighbours() {
    for (seed, shape) in (0..).zip(shapes(120)) {
        random_verbs(&mut World::<f32>::new(shape, seed), 8);
        random_verbs(&mut World::<f16>::new(shape, seed), 8);
    }
}

/// Vacuum frees slots, inserts fill them, in blocks that both lists have, and on DATA pages that both have.
#[test]
fn inserts_and_vacuum_meet_on_shared_blocks() {
    for seed in seeds(25) {
        for shape in shapes(40) {
            interleave(shape, seed, two_in_three, |world| {
                // Some slots are free from the start.
                world.vacuum(|tid| tid.to_u64() % 5 == 1);
                rows(10)(world)
            });
        }
    }
}

/// The inserters fill the free slots of one shared block, each those of its own list.
#[test]
fn inserters_of_two_lists_fill_one_block() {
    for seed in seeds(60) {
        let shape = Shape::flat(Metric::L2, 24, 2, 28).and_attributes(&[2]);
        interleave(
            shape,
            seed,
            |tid| tid.blkno == 0 && tid.offset < 5,
            |world| {
                assert_eq!(lists_of_blocks(world), [BTreeSet::from([0, 1])]);
                world.vacuum(|tid| tid.offset % 2 == 1);
                let mut list_no = 0..;
                rows(16)(world).map(|mut rows| {
                    let list_no = list_no.next();
                    rows.retain(|_, v| Some(world.list_of(v)) == list_no);
                    rows
                })
            },
        );
    }
}

#[test]
fn a_crash_after_any_record_keeps_the_neighbours() {
    for shape in shapes(40) {
        let mut world = World::<f32>::new(shape, 6);
        world.vacuum(|tid| tid.to_u64() % 4 == 1);
        crash_everywhere(world, 24);
    }
}

/// A mark in a shared block: an edit for the neighbour's row settles it, and neither list loses a row.
#[test]
fn marks_on_a_shared_block() {
    for (seed, shape) in (0..).zip(shapes(200)) {
        marks(with_room(shape, seed));
    }
    for seed in seeds(15) {
        for shape in shapes(40) {
            marks_meet_vacuum(World::<f32>::new(shape, seed), seed);
        }
    }
}

/// Marks of one list, and then an edit for the other, in whose lanes there is none.
#[test]
fn an_edit_settles_the_neighbours_hints() {
    let mut world = World::<f32>::new(Shape::flat(Metric::L2, 24, 2, 28), 7);
    assert_eq!(lists_of_blocks(&world), [BTreeSet::from([0, 1])]);
    let list_of =
        |world: &World<f32>, hit: &Hit| world.list_of(&world.model[&Tid::from_u64(hit.id)]);
    let (of_0, of_1): (Vec<Hit>, Vec<Hit>) =
        world.hits(true).into_iter().partition(|hit| list_of(&world, hit) == 0);
    let n = of_0.len();
    assert_eq!(world.mark(of_0, &mut |_| true), n as u64);
    assert_eq!(world.mem.n_hints(), n);
    let seen: BTreeSet<u64> = of_1.iter().map(|hit| hit.id).collect();
    let found =
        |world: &World<f32>| world.hits(true).iter().map(|hit| hit.id).collect::<BTreeSet<_>>();
    assert_eq!(found(&world), seen);
    let gone = Tid::from_u64(of_1[0].id);
    world.vacuum(|tid| tid == gone);
    assert_eq!(world.mem.n_hints(), 0);
    assert_eq!(found(&world), seen.iter().copied().filter(|id| *id != gone.to_u64()).collect());
    assert_eq!(world.hits(false).len(), 27);
}

/// What is counted is each list's own, however many lists a block has.
#[test]
fn a_shared_block_is_counted_by_its_owners() {
    let mut world = World::<f32>::new(Shape::flat(Metric::L2, 24, 2, 28), 8);
    let sizes = |world: &World<f32>| {
        let lists = list_info(&world.mem, world.lists()).unwrap();
        lists.iter().map(|list| (list.ntotal, list.ndead)).collect::<Vec<_>>()
    };
    let [(a, 0), (b, 0)] = sizes(&world)[..] else { unreachable!("nobody has died") };
    assert_eq!(a + b, 28);
    // The first row of list 1.
    let first = world
        .hits(false)
        .into_iter()
        .filter(|hit| world.list_of(&world.model[&Tid::from_u64(hit.id)]) == 1)
        .min_by_key(|hit| hit.at)
        .unwrap();
    world.vacuum(|tid| tid.to_u64() == first.id);
    assert_eq!(sizes(&world), [(a, 0), (b - 1, 1)]);
}
