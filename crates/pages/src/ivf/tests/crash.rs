//! A crash after every single record.

use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::World;
use crate::trials::crash_everywhere;

fn crash<E: Element>(metric: Metric, dims: usize, nlist: usize, n_rows: usize) {
    crash_everywhere(World::<E>::new(metric, dims, nlist, n_rows, dims as u64), 30);
}

#[test]
fn a_crash_after_any_record_loses_nothing() {
    crash::<f32>(Metric::L2, 100, 3, 60);
    crash::<f32>(Metric::InnerProduct, 2028, 2, 20);
    crash::<f32>(Metric::Cosine, 4000, 0, 10);
    crash::<f16>(Metric::Cosine, 1536, 3, 0);
    crash::<f32>(Metric::Cosine, 1536, 3, 10);
    crash::<f32>(Metric::L2, 9000, 2, 5);
    crash::<Bits>(Metric::Hamming, 9, 3, 60);
    crash::<Bits>(Metric::Jaccard, 120_000, 0, 10);
    // The chain grows by a LIST page.
    crash::<f32>(Metric::Cosine, 3, 0, 790);
}
