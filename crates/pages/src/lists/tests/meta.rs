//! What META says is believed only if it makes sense.

use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::metric::Metric;

use super::{Shape, World};
use crate::damage::ask;
use crate::error::Error;
use crate::lists::Meta;
use crate::lists::check::check;
use crate::lists::meta::{FORMAT_VERSION, seal};
use crate::page::{META_BLKNO, Page, PageKind};

/// Where things lie in the body of the page, as `README.md` has it.
const VERSION: usize = 4;
const METRIC_OF_ROWS: usize = 64 + 1;
const METRIC_OF_CENTROIDS: usize = 128 + 1;
const NAME: usize = 192;
const END: usize = 256;
const USED: usize = 512;

fn world(metric: Metric, nlist: usize) -> World<f32> {
    World::new(Shape::flat(metric, 4, nlist, 10), 1)
}

/// What is read of an index whose metapage was changed.
fn read<E: Element>(
    world: &World<E>,
    change: impl FnOnce(&mut [u8; crate::page::BODY_SIZE]),
) -> Result<Meta, Error> {
    let pages = world.mem.fork();
    pages.damage(META_BLKNO, |page| {
        change(page.body_mut().try_into().unwrap());
        seal(page);
    });
    Meta::read(&pages)
}

fn is_damage(read: Result<Meta, Error>) -> bool {
    matches!(read, Err(Error::Corrupted { blkno: META_BLKNO, .. }))
}

#[test]
fn a_metric_without_centroids_is_damage() {
    let floats = world(Metric::L2, 3);
    assert!(is_damage(read(&floats, |body| body[METRIC_OF_ROWS] = Metric::L1.to_u8())));
    let bits = World::<Bits>::new(Shape::flat(Metric::Hamming, 9, 2, 5), 1);
    assert!(is_damage(read(&bits, |body| body[METRIC_OF_ROWS] = Metric::Jaccard.to_u8())));
}

#[test]
fn a_metric_that_the_elements_do_not_have_is_damage() {
    let bits = World::<Bits>::new(Shape::flat(Metric::Hamming, 9, 0, 5), 1);
    assert!(is_damage(read(&bits, |body| body[METRIC_OF_ROWS] = Metric::L2.to_u8())));
    let floats = world(Metric::L2, 0);
    assert!(is_damage(read(&floats, |body| body[METRIC_OF_ROWS] = Metric::Jaccard.to_u8())));
}

/// Centroids that are measured in another way than the rows' metric asks for.
#[test]
fn rows_and_centroids_of_two_metrics_are_damage() {
    let cosine = world(Metric::Cosine, 3);
    let l2 = Metric::L2.to_u8();
    assert!(is_damage(read(&cosine, |body| body[METRIC_OF_ROWS] = l2)));
    assert!(is_damage(read(&cosine, |body| body[METRIC_OF_CENTROIDS] = l2)));
}

#[test]
fn another_format_version_is_named() {
    let found = read(&world(Metric::L2, 0), |body| body[VERSION] = 9);
    assert_eq!(found, Err(Error::Version { found: 9, expected: FORMAT_VERSION }));
}

#[test]
fn the_name_of_a_model_is_read_back_or_refused() {
    let trained = world(Metric::L2, 2);
    let name = |read: Result<Meta, Error>| read.map(|meta| meta.model);
    assert_eq!(name(read(&trained, |_| {})).unwrap().unwrap().as_str(), "some model");
    // Not UTF-8, too long, more behind the end.
    for (at, bytes) in [(0, &[0xFF][..]), (0, &[b'x'; 64]), (0, b"\0"), (20, b"x")] {
        let damaged =
            read(&trained, |body| body[NAME + at..][..bytes.len()].copy_from_slice(bytes));
        let error = damaged.unwrap_err().to_string();
        assert!(error.contains("bad name of a model"), "{at} {bytes:?}: {error}");
    }
    assert_eq!(name(read(&trained, |body| body[NAME..END].fill(0))).unwrap(), None);
    // What is not trained comes from no model.
    let untrained = world(Metric::L2, 0);
    assert_eq!(name(read(&untrained, |_| {})).unwrap(), None);
    assert!(is_damage(read(&untrained, |body| body[NAME] = b'x')));
}

#[test]
fn what_an_index_has_beside_its_rows_is_read_back() {
    for shape in [Shape::flat(Metric::L2, 4, 2, 10), Shape::flat(Metric::L1, 4, 0, 10)] {
        let shape = shape.and_attributes(&[4, 16, 1]);
        let world = World::<f32>::new(shape, 1);
        let meta = Meta::read(&world.mem).unwrap();
        assert!(meta.lists.params.attributes.widths().eq([4, 16, 1]));
        assert!(meta.quantizer.is_none_or(|lists| lists.params.attributes.widths().count() == 0));
        assert_eq!(meta.fit, shape.params(f32::TAG, 1).fit);
        assert_eq!((meta.seed, meta.build_rows, meta.nlist_option as usize), (1, 10, shape.nlist));
    }
}

/// Every number of META changed, one at a time, is refused. Where its checksum says that it was meant, the index is refused, or
/// whatever is asked of it ends.
#[test]
fn no_number_of_meta_leads_astray() {
    for shape in [
        Shape::flat(Metric::Cosine, 8, 3, 40).and_attributes(&[4, 2]),
        Shape::flat(Metric::L2, 9, 0, 40),
        Shape::coded(CodeKind::PqFs { m: 4 }, Metric::L2, 8, 2, 60).and_vectors(),
        Shape::coded(CodeKind::RaBitQ { nbits: 2 }, Metric::Cosine, 20, 2, 60),
    ] {
        let world = World::<f32>::new(shape, 2);
        for (size, numbers) in [
            (1, &[1, 0x80, 0xFF, 7][..]),
            (2, &[1, 0x0100, 0xFFFF, 0x8000]),
            (4, &[1, 2, u32::MAX, 1 << 31, 0x0001_0000]),
        ] {
            for at in (0..USED).step_by(size) {
                for number in numbers {
                    let pages = world.mem.fork();
                    pages.damage(META_BLKNO, |page| flip(page, at, size, *number));
                    let refused = Meta::read(&pages);
                    let is_version = matches!(refused, Err(Error::Version { .. }));
                    assert!(is_damage(refused) || is_version, "{shape:?}: {at} {size} {number:x}");
                    assert!(!check(&pages).is_empty());
                    pages.damage(META_BLKNO, seal);
                    ask(&pages, None);
                }
            }
        }
    }
}

fn flip(page: &mut Page, at: usize, size: usize, number: u32) {
    let flipped = number.to_le_bytes();
    let bytes = &mut page.body_mut()[at..at + size];
    bytes.iter_mut().zip(flipped).for_each(|(byte, flip)| *byte ^= flip);
}

#[test]
fn bits_beyond_the_last_are_damage() {
    let world = World::<Bits>::new(Shape::flat(Metric::Hamming, 9, 0, 5), 1);
    let data = world.lists().vectors_first;
    assert_eq!(world.mem.page(data).kind(), Some(PageKind::Data));
    world.mem.damage(data, |page| page.body_mut()[crate::geometry::ROWS_START + 1] |= 1);
    let problems = check(&world.mem);
    assert!(problems.iter().any(|p| p.what.contains("beyond its last")), "{problems:?}");
}
