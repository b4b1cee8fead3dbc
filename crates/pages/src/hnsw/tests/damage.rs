//! Whatever bytes a page holds, every verb ends in a result or an error.

use ann::element::Element;
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::world::damage;
use super::{Kind, World};
use crate::coded::exact::ExactQuery;
use crate::error::Error;
use crate::hnsw::check::check;
use crate::hnsw::scan::{GraphParams, GraphScan};
use crate::hnsw::vacuum::bulk_delete;
use crate::hnsw::{Code, Map, Meta, info};
use crate::ivf::scan::Iterative;
use crate::mem::MemPages;
use crate::page::{BODY_START, PAGE_SIZE, Page};
use crate::store::Pages;

/// The index as somebody who opens it sees it. None if it is of another kind.
fn opened<E: Element>(world: &World<E>, pages: Vec<Page>) -> Result<Option<World<E>>, Error> {
    let mut world = world.on(MemPages::from_pages(pages), world.model.clone());
    let meta = Meta::read(&world.mem)?;
    if meta.params.element != E::TAG {
        return Ok(None);
    }
    world.grid = meta.read_grid(&world.mem)?;
    world.kind.metric = meta.params.metric;
    if meta.params.dims != world.kind.dims {
        world.model.clear();
        world.kind.dims = meta.params.dims;
    }
    world.meta = meta;
    Ok(Some(world))
}

/// Every verb; the errors it ended in.
fn all_verbs<E: Element>(world: &World<E>) -> Result<Vec<Error>, Error> {
    let map = Map::read(&world.mem, &world.meta)?;
    let view = world.view(&map);
    let mut errors = Vec::new();
    errors.extend(info::totals(&world.mem, &view).err());
    let query = vec![0.1; world.meta.params.dims];
    let exact = ExactQuery::new(world.meta.params.metric, &query);
    for iterative in [Iterative::Strict, Iterative::Relaxed, Iterative::Off] {
        let mut scan = GraphScan::new();
        scan.begin(&query, GraphParams { ef: 5, iterative, max_scan_tuples: 5000 });
        loop {
            match world.next(&mut scan, view, &exact, &world.model) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    errors.push(error);
                    break;
                }
            }
        }
    }
    let half = |tid: crate::Tid| tid.to_u64().is_multiple_of(2);
    errors.extend(bulk_delete(&world.mem, &view, half).err());
    Ok(errors)
}

/// Opens damaged pages and does everything.
fn everything<E: Element>(world: &World<E>, pages: Vec<Page>) {
    check(&MemPages::from_pages(pages.clone()));
    let result = opened(world, pages).and_then(|world| {
        let Some(world) = world else { return Ok(Vec::new()) };
        let errors = all_verbs(&world)?;
        check(&world.mem);
        Ok(errors)
    });
    let errors = result.unwrap_or_else(|error| vec![error]);
    for error in errors {
        let expected = matches!(error, Error::Corrupted { .. } | Error::Version { .. });
        assert!(expected, "{error}");
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

fn fuzz<E: Element>(kind: Kind, n_rounds: u64) {
    let world = World::<E>::new(kind, 1);
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
    fuzz::<f32>(Kind::new(Metric::L2, 16, 4, 150).twins(5), 300);
    fuzz::<f32>(Kind::new(Metric::Cosine, 30, 2, 100).twins(3), 300);
    fuzz::<f16>(Kind::new(Metric::L1, 600, 3, 30).twins(9), 300);
    fuzz::<f32>(Kind::new(Metric::InnerProduct, 3000, 2, 20), 150);
    fuzz::<f32>(Kind::new(Metric::L2, 16, 4, 150).code(Code::Sq8).twins(2), 300);
}

#[test]
fn pages_of_noise_or_nothing_never_panic() {
    let world = World::<f32>::new(Kind::new(Metric::L2, 100, 2, 60).twins(6), 1);
    for byte in [0, 0xA5, 0xFF] {
        for blkno in 0..world.mem.n_blocks().unwrap() as usize {
            let mut pages = world.mem.to_pages();
            pages[blkno].bytes_mut().fill(byte);
            assert_ne!(damage(&MemPages::from_pages(pages.clone())), [], "block {blkno}");
            everything(&world, pages);
        }
    }
}

#[test]
fn exchanged_pages_are_noticed() {
    let world = World::<f32>::new(Kind::new(Metric::L2, 100, 2, 300).twins(6), 1);
    let pages = world.mem.to_pages();
    for a in 0..pages.len() {
        for b in [(a + 1) % pages.len(), (a + 7) % pages.len()] {
            let mut damaged = pages.clone();
            damaged.swap(a, b);
            let noticed = !damage(&MemPages::from_pages(damaged.clone())).is_empty();
            assert!(noticed || a == b, "{a} {b}: {:?}", pages[a].kind());
            everything(&world, damaged);
        }
    }
}

#[test]
fn a_file_cut_short_never_panics() {
    let world = World::<f32>::new(Kind::new(Metric::L2, 100, 2, 300).twins(6), 1);
    for n in 1..world.mem.n_blocks().unwrap() as usize {
        let mut pages = world.mem.to_pages();
        pages.truncate(n);
        assert_ne!(damage(&MemPages::from_pages(pages.clone())), []);
        everything(&world, pages);
    }
}
