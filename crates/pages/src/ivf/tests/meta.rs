//! What META says is believed only if it makes sense.

use ann::metric::Metric;

use super::World;
use crate::error::Error;
use crate::meta::Meta;

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
