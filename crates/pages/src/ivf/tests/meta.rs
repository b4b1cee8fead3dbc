//! What META says is believed only if it makes sense.

use ann::element::Bits;
use ann::metric::Metric;

use super::World;
use crate::error::Error;
use crate::geometry::ROWS_START;
use crate::ivf::check::check;
use crate::meta::Meta;
use crate::page::PageKind;
use crate::store::Pages;

#[test]
fn centroids_under_l1_are_damage() {
    let world = World::<f32>::new(Metric::L2, 4, 3, 9, 1);
    world.mem.damage(0, |page| page.body_mut()[7] = Metric::L1.to_u8());
    assert!(matches!(Meta::read(&world.mem), Err(Error::Corrupted { blkno: 0, .. })));
}

#[test]
fn another_format_version_is_named() {
    let world = World::<f32>::new(Metric::L2, 4, 0, 1, 1);
    world.mem.damage(0, |page| page.body_mut()[4] = 9);
    assert_eq!(Meta::read(&world.mem), Err(Error::Version { found: 9, expected: 2 }));
}

#[test]
fn the_name_of_a_model_is_read_back_or_refused() {
    const NAME: usize = 112;
    let trained = World::<f32>::new(Metric::L2, 4, 2, 10, 1);
    let name_of = |world: &World<f32>| Meta::read(&world.mem).map(|meta| meta.model);
    assert_eq!(name_of(&trained).unwrap().unwrap().as_str(), "some model");
    // Not UTF-8, too long, more behind the end.
    for (at, bytes) in [(0, &[0xFF][..]), (0, &[b'x'; 64]), (0, b"\0"), (20, b"x")] {
        let world = World::<f32>::new(Metric::L2, 4, 2, 10, 1);
        world
            .mem
            .damage(0, |page| page.body_mut()[NAME + at..][..bytes.len()].copy_from_slice(bytes));
        let error = name_of(&world).unwrap_err().to_string();
        assert!(error.contains("bad name of a model"), "{at} {bytes:?}: {error}");
    }
    // What is not trained comes from no model.
    let untrained = World::<f32>::new(Metric::L2, 4, 0, 10, 1);
    assert_eq!(name_of(&untrained).unwrap(), None);
    untrained.mem.damage(0, |page| page.body_mut()[NAME] = b'x');
    assert!(name_of(&untrained).is_err());
    // Written before there were models: zeros from where the page ended then.
    trained.mem.damage(0, |page| {
        page.body_mut()[NAME..NAME + 64].fill(0);
        page.set_used(NAME);
    });
    assert_eq!(name_of(&trained).unwrap(), None);
}

#[test]
fn a_metric_that_the_elements_do_not_have_is_damage() {
    let bits = World::<Bits>::new(Metric::Hamming, 9, 0, 5, 1);
    bits.mem.damage(0, |page| page.body_mut()[7] = Metric::L2.to_u8());
    assert!(matches!(Meta::read(&bits.mem), Err(Error::Corrupted { blkno: 0, .. })));
    let floats = World::<f32>::new(Metric::L2, 9, 0, 5, 1);
    floats.mem.damage(0, |page| page.body_mut()[7] = Metric::Jaccard.to_u8());
    assert!(matches!(Meta::read(&floats.mem), Err(Error::Corrupted { blkno: 0, .. })));
    // There are no centroids under Jaccard distance.
    let lists = World::<Bits>::new(Metric::Hamming, 9, 2, 5, 1);
    lists.mem.damage(0, |page| page.body_mut()[7] = Metric::Jaccard.to_u8());
    assert!(matches!(Meta::read(&lists.mem), Err(Error::Corrupted { blkno: 0, .. })));
}

#[test]
fn bits_beyond_the_last_are_damage() {
    let world = World::<Bits>::new(Metric::Hamming, 9, 0, 5, 1);
    let n_blocks = world.mem.n_blocks().unwrap();
    let is_data = |blkno: &u32| world.mem.read(*blkno).unwrap().is(PageKind::Data, 0);
    let data = (0..n_blocks).find(is_data).unwrap();
    world.mem.damage(data, |page| page.body_mut()[ROWS_START + 1] |= 1);
    let problems = check(&world.mem);
    assert!(problems.iter().any(|p| p.what.contains("beyond its last")), "{problems:?}");
}
