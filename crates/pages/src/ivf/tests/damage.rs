//! Whatever bytes a page holds, every verb ends in a result or an error.

use ann::element::Element;
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::{World, damage, tid_no};
use crate::error::Error;
use crate::ivf::centroids::read_centroids;
use crate::ivf::check::check;
use crate::ivf::info::list_info;
use crate::ivf::lists::View;
use crate::ivf::probe::Probe;
use crate::ivf::scan::{Iterative, Scan, SearchParams, TRANCHE_FIRST};
use crate::ivf::vacuum::{bulk_delete, stats};
use crate::mem::MemPages;
use crate::meta::Meta;
use crate::page::{BODY_START, PAGE_SIZE, Page};

fn all_verbs<E: Element>(world: &World<E>) -> Result<(), Error> {
    let meta = Meta::read(&world.mem)?;
    if meta.element != E::TAG || meta.dims != world.meta.dims {
        return Ok(());
    }
    read_centroids(&world.mem, &meta).map(drop).or_else(|e| tolerate(&e))?;
    list_info(&world.mem, &meta).map(drop).or_else(|e| tolerate(&e))?;
    stats(&world.mem, &meta).map(drop).or_else(|e| tolerate(&e))?;
    for iterative in [Iterative::Strict, Iterative::Relaxed, Iterative::Off] {
        let mut scan = Scan::<Probe<E>>::new();
        scan.begin(
            &vec![0.1; meta.dims],
            SearchParams { nprobe: 2, iterative, max_scan_tuples: 5000, tranche: TRANCHE_FIRST },
        );
        let view = View { meta: &meta, ..world.view() };
        let mut next = || scan.next(&world.mem, &view);
        while let Ok(Some(_)) = next() {}
        assert!(!matches!(next(), Ok(Some(_))));
    }
    for i in 0..3 {
        let vector = vec![E::from_f32(0.2 * i as f32); meta.dims];
        world.put(tid_no(90_000 + i), &vector).or_else(|e| tolerate(&e))?;
    }
    bulk_delete(&world.mem, &meta, |tid| tid.to_u64().is_multiple_of(2))
        .map(drop)
        .or_else(|e| tolerate(&e))
}

fn tolerate(error: &Error) -> Result<(), Error> {
    assert!(matches!(error, Error::Corrupted { .. }), "{error}");
    Ok(())
}

fn flip(rng: &mut Rng, page: &mut Page) {
    let bytes = page.bytes_mut();
    match rng.below(4) {
        // A single bit, somewhere.
        0 => bytes[rng.below(PAGE_SIZE as u32) as usize] ^= 1 << rng.below(8),
        // A field of a head or an array: small numbers make the nastiest links.
        1 => {
            let at = BODY_START + 4 * rng.below(24) as usize;
            bytes[at..at + 4].copy_from_slice(&rng.below(40).to_le_bytes());
        }
        2 => {
            let at = BODY_START + 2 * rng.below(60) as usize;
            bytes[at..at + 2].fill(0xFF);
        }
        _ => {
            let at = rng.below(PAGE_SIZE as u32 - 64) as usize;
            (at..at + 64).for_each(|i| bytes[i] = rng.below(256) as u8);
        }
    }
}

fn fuzz<E: Element>(metric: Metric, dims: usize, nlist: usize, n_rows: usize, n_rounds: u64) {
    let world = World::<E>::new(metric, dims, nlist, n_rows, 1);
    let pages = world.mem.to_pages();
    for seed in 0..n_rounds {
        let mut rng = Rng::new(seed);
        let damaged = world.on(MemPages::from_pages(pages.clone()), world.model.clone());
        for _ in 0..=rng.below(3) {
            let blkno = rng.below(pages.len() as u32);
            damaged.mem.damage(blkno, |page| flip(&mut rng, page));
        }
        check(&damaged.mem);
        drop(all_verbs(&damaged));
        check(&damaged.mem);
    }
}

#[test]
fn flipped_bytes_never_panic() {
    fuzz::<f32>(Metric::L2, 100, 3, 100, 400);
    fuzz::<f32>(Metric::Cosine, 1536, 2, 20, 400);
    fuzz::<f16>(Metric::Cosine, 3, 0, 2000, 300);
    fuzz::<f32>(Metric::InnerProduct, 9000, 2, 6, 200);
}

#[test]
fn pages_of_noise_never_panic() {
    let world = World::<f32>::new(Metric::L2, 100, 3, 100, 1);
    for blkno in 0..world.mem.to_pages().len() as u32 {
        let damaged = world.on(MemPages::from_pages(world.mem.to_pages()), world.model.clone());
        damaged.mem.damage(blkno, |page| page.bytes_mut().fill(0xA5));
        assert_ne!(damage(&damaged.mem), [], "block {blkno}");
        drop(all_verbs(&damaged));
    }
}

#[test]
fn exchanged_pages_are_noticed() {
    let world = World::<f32>::new(Metric::L2, 100, 3, 100, 1);
    let n = world.mem.to_pages().len();
    for a in 0..n {
        let mut pages = world.mem.to_pages();
        pages.swap(a, (a + 1) % n);
        let mem = MemPages::from_pages(pages);
        // Two DATA pages of one list may trade places unnoticed; everything else may not.
        let same_list = |i: usize| {
            let page = &world.mem.to_pages()[i % n];
            (page.kind(), page.owner())
        };
        assert!(same_list(a) == same_list(a + 1) || !check(&mem).is_empty(), "{a}");
        drop(all_verbs(&world.on(mem, world.model.clone())));
    }
}

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
