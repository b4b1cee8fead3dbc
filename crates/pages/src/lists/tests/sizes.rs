//! The size foretold is the size built.

use ann::codec::CodeKind;
use ann::element::Element;
use ann::metric::Metric;
use half::f16;

use super::{REFINES, Shape, World};
use crate::lists::size::built_bytes;
use crate::page::PAGE_SIZE;

/// By how much of what was built, or for how many pages, the forecast may be wrong.
fn check<E: Element>(shape: Shape, share: f64, n_pages: f64) {
    for attributes in [&[][..], &[4], &[8, 1, 16]] {
        let shape = Shape { attributes, ..shape };
        let world = World::<E>::new(shape, 1);
        let foretold =
            built_bytes(&shape.params(E::TAG, 1).lists, shape.nlist, shape.n_rows as u64);
        let foretold = foretold.unwrap() as f64;
        let built = f64::from(world.n_pages()) * PAGE_SIZE as f64;
        let allowed = (share * built).max(n_pages * PAGE_SIZE as f64);
        let off = (foretold - built).abs();
        assert!(off <= allowed, "{shape:?}: {foretold} foretold, {built} built");
    }
}

/// Lists of vectors leave nothing between them.
#[test]
fn sizes_of_vectors_are_foretold_to_the_page() {
    for (metric, dims, nlist, n_rows) in [
        (Metric::L2, 128, 20, 4000),
        (Metric::Cosine, 100, 16, 3000),
        (Metric::L2, 2, 7, 5000),
        (Metric::L2, 700, 12, 600),
        (Metric::InnerProduct, 5000, 3, 40),
        (Metric::L2, 64, 0, 1111),
        (Metric::L1, 64, 0, 31),
        (Metric::L2, 64, 0, 0),
        (Metric::L2, 64, 300, 0),
        (Metric::Cosine, 3, 4500, 2000),
    ] {
        let shape = Shape::flat(metric, dims, nlist, n_rows);
        check::<f32>(shape, 0.0, 0.0);
        check::<f16>(shape, 0.0, 0.0);
    }
}

#[test]
fn sizes_of_codes_are_foretold() {
    for (kind, metric, dims, nlist, n_rows) in [
        (CodeKind::Sq8, Metric::L2, 24, 8, 2000),
        (CodeKind::Sq4, Metric::Cosine, 300, 12, 3000),
        (CodeKind::RaBitQ { nbits: 1 }, Metric::L2, 96, 40, 4000),
        (CodeKind::RaBitQ { nbits: 1 }, Metric::InnerProduct, 96, 1, 1000),
        (CodeKind::PqFs { m: 16 }, Metric::L2, 32, 20, 3000),
        (CodeKind::Pq { m: 8, nbits: 6 }, Metric::L2, 32, 1, 900),
    ] {
        for refine in REFINES {
            let shape = Shape { refine, ..Shape::coded(kind, metric, dims, nlist, n_rows) };
            let (share, n_pages) = if nlist == 1 { (0.0, 0.0) } else { (0.03, 1.0) };
            check::<f16>(shape, share, n_pages);
        }
    }
}
