//! A crash after every single record.

use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::{Shape, World};
use crate::trials::crash_everywhere;

fn crash<E: Element>(shape: Shape, n_steps: usize) {
    crash_everywhere(World::<E>::new(shape, shape.dims as u64), n_steps);
}

#[test]
fn a_crash_after_any_record_loses_nothing() {
    crash::<f32>(Shape::flat(Metric::L2, 100, 3, 60), 30);
    crash::<f32>(Shape::flat(Metric::InnerProduct, 2028, 2, 20), 30);
    crash::<f32>(Shape::flat(Metric::Cosine, 4000, 0, 10), 30);
    crash::<f16>(Shape::flat(Metric::Cosine, 1536, 3, 0), 30);
    crash::<f32>(Shape::flat(Metric::Cosine, 1536, 3, 10), 30);
    crash::<f32>(Shape::flat(Metric::L2, 9000, 2, 5), 30);
    crash::<Bits>(Shape::flat(Metric::Hamming, 9, 3, 60), 30);
    crash::<Bits>(Shape::flat(Metric::Jaccard, 120_000, 0, 10), 30);
    // The last slots of an overflow extent, and the next one.
    let shape = Shape::flat(Metric::Cosine, 3, 0, 5);
    let mut grown = World::<f32>::new(shape, 3);
    let slots = grown.lists().layout.overflow_slots();
    grown.insert_random(slots - 8);
    crash_everywhere(grown, 30);
}

#[test]
fn a_crash_after_any_record_loses_no_code() {
    use CodeKind::{Pq, PqFs, RaBitQ, Sq4, Sq8, SqFp16};
    use Metric::{Cosine, InnerProduct, L2};
    crash::<f32>(Shape::coded(Sq8, L2, 100, 3, 60), 30);
    crash::<f32>(Shape::coded(RaBitQ { nbits: 1 }, L2, 100, 3, 0).and_vectors(), 30);
    crash::<f16>(Shape::coded(SqFp16, Cosine, 700, 2, 20).and_vectors(), 30);
    crash::<f32>(Shape::coded(Pq { m: 32, nbits: 5 }, InnerProduct, 2048, 2, 10), 20);
    crash::<f32>(Shape::coded(PqFs { m: 32 }, InnerProduct, 9056, 2, 5).and_vectors(), 20);
    // Blocks and overflow extents of several pages; the first row makes an extent.
    crash::<f32>(Shape::coded(Sq8, L2, 4000, 2, 0).and_vectors(), 20);
    // The last lanes of an overflow extent, and the next one.
    crash::<f32>(Shape::coded(Sq4, Cosine, 500, 1, 30), 60);
}
