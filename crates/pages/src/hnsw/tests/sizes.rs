//! The size foretold is the size built.

use ann::metric::Metric;
use half::f16;

use super::{Kind, World};
use crate::hnsw::Code;
use crate::hnsw::size::built_bytes;
use crate::page::PAGE_SIZE;
use crate::store::Pages;

#[test]
fn sizes_are_foretold() {
    for (code, dims, m, n_rows) in [
        (Code::Flat, 24, 4, 3000),
        (Code::SqFp16, 100, 16, 1000),
        (Code::Sq8, 300, 2, 700),
        (Code::Flat, 2000, 32, 300),
    ] {
        let kind = Kind::new(Metric::L2, dims, m, n_rows).code(code);
        let world = World::<f16>::new(kind, 1);
        let foretold = built_bytes(&world.meta.params, n_rows as u64).unwrap() as f64;
        let built = world.mem.n_blocks().unwrap() as f64 * PAGE_SIZE as f64;
        let allowed = (0.03 * built).max(2.0 * PAGE_SIZE as f64);
        assert!(
            (foretold - built).abs() <= allowed,
            "{kind:?}: {foretold} foretold, {built} built"
        );
    }
}
