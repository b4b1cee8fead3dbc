//! The size foretold is the size built.

use ann::codec::CodeKind;
use ann::metric::Metric;
use half::f16;

use super::{REFINES, Shape, World};
use crate::meta::MetaParams;
use crate::page::PAGE_SIZE;
use crate::size::built_bytes;
use crate::store::Pages;

#[test]
fn sizes_are_foretold() {
    for (kind, metric, dims, nlist, n_rows) in [
        (CodeKind::Sq8, Metric::L2, 24, 8, 2000),
        (CodeKind::Sq4, Metric::Cosine, 300, 12, 3000),
        (CodeKind::RaBitQ { nbits: 1 }, Metric::L2, 96, 40, 4000),
        (CodeKind::RaBitQ { nbits: 1 }, Metric::InnerProduct, 96, 1, 1000),
        (CodeKind::PqFs { m: 16 }, Metric::L2, 32, 20, 3000),
        (CodeKind::Pq { m: 8, nbits: 6 }, Metric::L2, 32, 1, 900),
    ] {
        for refine in REFINES {
            let shape = Shape { refine, ..Shape::new(kind, metric, dims, nlist, n_rows) };
            let world = World::<f16>::new(shape, 1);
            let meta = &world.meta;
            let params = MetaParams {
                element: meta.element,
                metric,
                dims,
                nlist_option: 0,
                seed: 0,
                trained_rows: 0,
                code: meta.coded.map(|coded| coded.params),
                fit: meta.fit,
                model: None,
            };
            let foretold = built_bytes(&params, nlist, n_rows as u64).unwrap() as f64;
            let built = world.mem.n_blocks().unwrap() as f64 * PAGE_SIZE as f64;
            let off = (foretold - built).abs();
            let allowed = if nlist == 1 { 0.0 } else { (0.03 * built).max(PAGE_SIZE as f64) };
            assert!(off <= allowed, "{shape:?}: {foretold} foretold, {built} built");
        }
    }
}
