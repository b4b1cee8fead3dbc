//! What a row has beside its tid comes back from its lane, whatever the verbs did.

use std::collections::{BTreeMap, BTreeSet};

use ann::codec::{CodeKind, LANES, UNIT};
use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::{Shape, World};
use crate::ahead::Ahead;
use crate::damage::rows::attributes_of;
use crate::lists::lanes::tid_of;
use crate::lists::overflow::Overflow;
use crate::lists::walk::{Extents, pieces};
use crate::tid::Tid;
use crate::trials::{crash_everywhere, random_verbs};

/// Where a block's null bitmaps begin, and the strips of values: as `README.md` has it.
const NULLS: usize = 6 * UNIT;
const STRIPS: usize = 7 * UNIT;

/// The attributes of a lane; None where it has none.
fn read(block: &[u8], widths: &[u8], lane: usize) -> Vec<Option<Vec<u8>>> {
    let mut strip = STRIPS;
    let one = |(i, width): (usize, &u8)| {
        let width = usize::from(*width);
        let is_null = block[NULLS + 4 * i + lane / 8] >> (lane % 8) & 1 == 1;
        let value = block[strip + lane * width..][..width].to_vec();
        strip += LANES * width;
        (!is_null).then_some(value)
    };
    widths.iter().enumerate().map(one).collect()
}

/// The same as an insert was told them.
pub fn told(tid: Tid, world: &World<impl Element>) -> Vec<Option<Vec<u8>>> {
    let entry = attributes_of(tid, &world.lists().params.attributes);
    let mut at = 1;
    let one = |(i, width): (usize, &u8)| {
        let value = entry[at..at + usize::from(*width)].to_vec();
        at += usize::from(*width);
        (entry[0] >> i & 1 == 0).then_some(value)
    };
    world.shape.attributes.iter().enumerate().map(one).collect()
}

/// Every row has what was put beside it.
pub fn verify<E: Element>(world: &World<E>) {
    if world.shape.attributes.is_empty() {
        return;
    }
    let (lists, mut overflow) = (world.lists(), Overflow::default());
    let mut missing: BTreeSet<Tid> = world.model.keys().copied().collect();
    for list_no in 0..lists.nlist as u32 {
        let mut extents = Extents::open(&world.mem, lists, list_no).unwrap();
        while let Some(extent) = extents.next(&mut overflow).unwrap() {
            let mut blocks: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
            pieces(&mut Ahead::new(&world.mem), &extent, |piece| {
                let empty = || vec![0; lists.layout.block_units * UNIT];
                piece.copy_to(blocks.entry(piece.block).or_insert_with(empty), 0);
                true
            })
            .unwrap();
            for (number, block) in blocks {
                let own = extent.lanes(number);
                for lane in (0..LANES).filter(|lane| own >> lane & 1 == 1) {
                    let tid = tid_of(&block, lane);
                    if tid.is_free() {
                        continue;
                    }
                    assert!(missing.remove(&tid), "{tid}");
                    let found = read(&block, world.shape.attributes, lane);
                    assert_eq!(found, told(tid, world), "{:?}: {tid}", world.shape);
                }
            }
        }
    }
    assert_eq!(missing, BTreeSet::new(), "{:?}", world.shape);
    super::filters::verify(world);
}

/// None, one of every width, and as many as there may be; those of 8 × 16 bytes make a block of more units than tids take.
const WIDTHS: [&[u8]; 8] =
    [&[], &[1], &[2, 2], &[4], &[8, 1, 4], &[16, 1], &[1, 2, 4, 8, 16, 1, 2, 4], &[16; 8]];

fn shapes() -> impl Iterator<Item = Shape> {
    let shapes = [
        Shape::flat(Metric::L2, 20, 5, 300),
        Shape::flat(Metric::Cosine, 700, 3, 120),
        Shape::flat(Metric::L1, 3, 0, 200),
        Shape::coded(CodeKind::RaBitQ { nbits: 1 }, Metric::L2, 100, 4, 300).and_vectors(),
        Shape::coded(CodeKind::Sq8, Metric::Cosine, 300, 2, 120),
    ];
    shapes.into_iter().flat_map(|shape| WIDTHS.map(|widths| shape.and_attributes(widths)))
}

#[test]
fn they_come_back_after_every_verb() {
    for (seed, shape) in (0..).zip(shapes()) {
        random_verbs(&mut World::<f32>::new(shape, seed), 6);
    }
    for widths in WIDTHS {
        let shape = Shape::flat(Metric::Hamming, 70, 3, 200).and_attributes(widths);
        random_verbs(&mut World::<Bits>::new(shape, 1), 6);
        random_verbs(&mut World::<f16>::new(Shape { metric: Metric::L2, ..shape }, 1), 6);
    }
}

#[test]
fn a_crash_after_any_record_keeps_them() {
    for shape in shapes().filter(|shape| !shape.attributes.is_empty()).step_by(3) {
        crash_everywhere(World::<f32>::new(Shape { n_rows: 30, ..shape }, 3), 24);
    }
    // A block of attributes alone goes over two pages.
    let wide = Shape::flat(Metric::Cosine, 40, 2, 70).and_attributes(&[16; 8]);
    crash_everywhere(World::<f32>::new(wide, 4), 30);
    let long = Shape::coded(CodeKind::Sq8, Metric::L2, 2000, 2, 20).and_vectors();
    crash_everywhere(World::<f32>::new(long.and_attributes(&[4, 16]), 4), 12);
}

/// Nothing of the row before is left in a lane: not a bit that says null, not one that says there is a value.
#[test]
fn a_lane_taken_again_has_the_new_rows_attributes() {
    let shape = Shape::flat(Metric::L2, 8, 1, 64).and_attributes(&[4, 2, 1, 8]);
    let mut world = World::<f32>::new(shape, 5);
    let pages = world.n_pages();
    for round in 0..6 {
        world.vacuum(|tid| tid.to_u64() % 6 == round);
        let free = 64 - world.model.len();
        assert!(free > 0);
        world.insert_random(free);
        world.verify();
    }
    assert_eq!(world.n_pages(), pages);
}

#[test]
fn a_row_with_other_attributes_is_refused() {
    let world = World::<f32>::new(Shape::flat(Metric::L2, 8, 2, 9).and_attributes(&[4]), 5);
    let tid = Tid::new(900, 1);
    for attributes in [&[][..], &[0; 4], &[0; 6]] {
        let mut row = world.coded(tid, &[0.5; 8]);
        row.attributes = attributes.to_vec();
        let refused = crate::lists::insert::insert(&world.mem, world.lists(), None, &row.row(tid));
        assert!(matches!(refused, Err(crate::Error::Internal(_))));
    }
}
