//! The size foretold is the size built.

use ann::metric::Metric;

use super::World;
use crate::meta::MetaParams;
use crate::page::PAGE_SIZE;
use crate::size::built_bytes;
use crate::store::Pages;

#[test]
fn sizes_are_foretold() {
    for (metric, dims, nlist, n_rows) in [
        (Metric::L2, 128, 20, 4000),
        (Metric::Cosine, 100, 16, 3000),
        (Metric::L2, 2, 7, 5000),
        (Metric::L2, 700, 12, 600),
        (Metric::InnerProduct, 5000, 3, 40),
        (Metric::L2, 64, 0, 1111),
        (Metric::L2, 64, 0, 0),
    ] {
        let world = World::<f32>::new(metric, dims, nlist, n_rows, 1);
        let params = MetaParams {
            element: world.meta.element,
            metric,
            dims,
            nlist_option: 0,
            seed: 0,
            trained_rows: 0,
            code: None,
            fit: world.meta.fit,
            model: None,
        };
        let foretold = built_bytes(&params, nlist, n_rows as u64).unwrap() as f64;
        let built = world.mem.n_blocks().unwrap() as f64 * PAGE_SIZE as f64;
        let allowed = (0.03 * built).max(nlist as f64 * PAGE_SIZE as f64 / 2.0);
        let allowed = if nlist == 0 { 0.0 } else { allowed };
        let what = format!("{metric:?} {dims} {nlist} {n_rows}");
        assert!((foretold - built).abs() <= allowed, "{what}: {foretold} foretold, {built} built");
    }
}
