//! Whatever bytes a page holds, every verb ends in a result or an error.

use ann::codec::{CodeKind, Codec, Space};
use ann::element::Element;
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::world::damage;
use super::{Shape, World, tid_no};
use crate::coded::exact::ExactQuery;
use crate::coded::info::list_info;
use crate::coded::model;
use crate::coded::rerank::{CodedScan, RerankParams};
use crate::coded::vacuum::{bulk_delete, stats};
use crate::error::Error;
use crate::ivf::centroids::read_centroids;
use crate::ivf::check::check;
use crate::ivf::scan::Iterative;
use crate::mem::MemPages;
use crate::meta::Meta;
use crate::page::{BODY_START, PAGE_SIZE, Page};

/// The index as somebody who opens it sees it. None if it is of another kind.
pub fn opened<E: Element>(world: &World<E>, pages: Vec<Page>) -> Result<Option<World<E>>, Error> {
    let mut world = world.on(MemPages::from_pages(pages), world.model.clone());
    let meta = Meta::read(&world.mem)?;
    let Some(coded) = meta.coded.filter(|_| meta.element == E::TAG) else { return Ok(None) };
    let (kind, dims, metric) = (coded.params.kind, meta.dims, meta.metric);
    world.centroids = read_centroids(&world.mem, &meta)?;
    let floats = model::read(&world.mem, coded.model_first, coded.model_len(dims))?;
    let params = floats[floats.len() - kind.params_len(dims)..].to_vec();
    let Some(codec) = Codec::from_params(kind, Space { dims, metric }, params) else {
        return Err(Error::corrupted(coded.model_first, "trained parameters make no code"));
    };
    world.codec = codec;
    world.shape = Shape { kind, metric, dims, refine: coded.params.refine, ..world.shape };
    if dims != meta.geometry.dims || world.model.values().any(|v| v.len() != dims) {
        world.model.clear();
    }
    world.meta = meta;
    Ok(Some(world))
}

/// Every verb; the errors it ended in.
pub fn all_verbs<E: Element>(world: &World<E>) -> Vec<Error> {
    let (mem, meta) = (&world.mem, &world.meta);
    let mut errors = Vec::new();
    errors.extend(list_info(mem, meta).err());
    errors.extend(stats(mem, meta).err());
    let query = vec![0.1; meta.dims];
    let exact = ExactQuery::new(meta.metric, &query);
    for iterative in [Iterative::Strict, Iterative::Relaxed, Iterative::Off] {
        let mut scan = CodedScan::new();
        let (max_scan_tuples, k_factor) = (5000, 2);
        scan.begin(&query, RerankParams { nprobe: 2, iterative, max_scan_tuples, k_factor });
        loop {
            match world.next(&mut scan, &exact) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    errors.push(error);
                    break;
                }
            }
        }
    }
    for i in 0..40 {
        let vector = vec![E::from_f32(0.2 * (i % 3) as f32 - 0.1); meta.dims];
        errors.extend(world.put(tid_no(90_000 + i), &vector).err());
    }
    errors.extend(bulk_delete(mem, meta, |tid| tid.to_u64().is_multiple_of(2)).err());
    for error in &errors {
        assert!(matches!(error, Error::Corrupted { .. }), "{error}");
    }
    errors
}

/// Opens damaged pages and does everything.
fn everything<E: Element>(world: &World<E>, pages: Vec<Page>) {
    check(&MemPages::from_pages(pages.clone()));
    match opened(world, pages) {
        Ok(Some(world)) => {
            all_verbs(&world);
            check(&world.mem);
        }
        Ok(None) => {}
        Err(error) => {
            let expected = matches!(error, Error::Corrupted { .. } | Error::Version { .. });
            assert!(expected, "{error}");
        }
    }
}

fn flip(rng: &mut Rng, page: &mut Page) {
    let bytes = page.bytes_mut();
    match rng.below(4) {
        // A single bit, somewhere.
        0 => bytes[rng.below(PAGE_SIZE as u32) as usize] ^= 1 << rng.below(8),
        // A field of a head or an array: small numbers make the nastiest links.
        1 => {
            let at = BODY_START + 4 * rng.below(40) as usize;
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

/// An index with shelves and freed lanes.
fn used<E: Element>(shape: Shape) -> World<E> {
    let mut world = World::<E>::new(shape, 1);
    (0..shape.n_rows).for_each(|_| {
        world.insert_random();
    });
    world.vacuum(|tid| tid.to_u64() % 5 == 0);
    world.verify();
    world
}

fn fuzz<E: Element>(shape: Shape, n_rounds: u64) {
    let world = used::<E>(shape);
    let pages = world.mem.to_pages();
    for seed in 0..n_rounds {
        let mut rng = Rng::new(seed);
        let mut damaged = pages.clone();
        for _ in 0..=rng.below(3) {
            let blkno = rng.below(pages.len() as u32) as usize;
            flip(&mut rng, &mut damaged[blkno]);
        }
        everything(&world, damaged);
    }
}

#[test]
fn flipped_bytes_never_panic() {
    fuzz::<f32>(Shape::new(CodeKind::Sq8, Metric::L2, 100, 3, 100), 250);
    fuzz::<f32>(Shape::new(CodeKind::RaBitQ { nbits: 1 }, Metric::Cosine, 300, 2, 50).flat(), 250);
    fuzz::<f16>(Shape::new(CodeKind::PqFs { m: 8 }, Metric::L2, 16, 2, 100).flat(), 250);
    let pq = CodeKind::Pq { m: 10, nbits: 5 };
    fuzz::<f32>(Shape::new(pq, Metric::InnerProduct, 40, 2, 100), 250);
    fuzz::<f32>(Shape::new(CodeKind::Sq4, Metric::InnerProduct, 3000, 2, 20).flat(), 250);
}

#[test]
fn pages_of_noise_or_nothing_never_panic() {
    let world =
        used::<f32>(Shape::new(CodeKind::RaBitQ { nbits: 1 }, Metric::L2, 300, 2, 60).flat());
    for byte in [0, 0xA5, 0xFF] {
        for blkno in 0..world.n_pages() as usize {
            let mut pages = world.mem.to_pages();
            pages[blkno].bytes_mut().fill(byte);
            assert_ne!(damage(&MemPages::from_pages(pages.clone())), [], "block {blkno}");
            everything(&world, pages);
        }
    }
}

#[test]
fn exchanged_pages_are_noticed() {
    let world = used::<f32>(Shape::new(CodeKind::Sq8, Metric::L2, 300, 2, 60).flat());
    let pages = world.mem.to_pages();
    let identity = |i: usize| (pages[i].kind(), pages[i].owner());
    for a in 0..pages.len() {
        for b in [(a + 1) % pages.len(), (a + 7) % pages.len()] {
            let mut damaged = pages.clone();
            damaged.swap(a, b);
            // Pages of one kind and owner may trade places unnoticed; everything else may not.
            let noticed = !damage(&MemPages::from_pages(damaged.clone())).is_empty();
            assert!(noticed || identity(a) == identity(b), "{a} {b}");
            everything(&world, damaged);
        }
    }
}

#[test]
fn a_file_cut_short_never_panics() {
    let world = used::<f32>(Shape::new(CodeKind::Sq8, Metric::L2, 300, 2, 60).flat());
    for n in 1..world.n_pages() as usize {
        let mut pages = world.mem.to_pages();
        pages.truncate(n);
        assert_ne!(damage(&MemPages::from_pages(pages.clone())), []);
        everything(&world, pages);
    }
}
