//! A crash after every single record.

use ann::codec::CodeKind;
use ann::element::Float;
use ann::metric::Metric;
use half::f16;

use super::{Shape, World};
use crate::trials::crash_everywhere;

fn crash<E: Float>(shape: Shape, n_steps: usize) {
    crash_everywhere(World::<E>::new(shape, shape.dims as u64), n_steps);
}

#[test]
fn a_crash_after_any_record_loses_nothing() {
    use CodeKind::{Pq, PqFs, RaBitQ, Sq4, Sq8, SqFp16};
    use Metric::{Cosine, InnerProduct, L2};
    crash::<f32>(Shape::new(Sq8, L2, 100, 3, 60), 30);
    crash::<f32>(Shape::new(RaBitQ { nbits: 1 }, L2, 100, 3, 0).flat(), 30);
    crash::<f16>(Shape::new(SqFp16, Cosine, 700, 2, 20).flat(), 30);
    crash::<f32>(Shape::new(Pq { m: 32, nbits: 5 }, InnerProduct, 2048, 2, 10), 20);
    crash::<f32>(Shape::new(PqFs { m: 32 }, InnerProduct, 9056, 2, 5).flat(), 20);
    // Blocks and shelves of several pages; the first row makes a shelf.
    crash::<f32>(Shape::new(Sq8, L2, 4000, 2, 0).flat(), 20);
    // The last lanes of a shelf, and the next one.
    crash::<f32>(Shape::new(Sq4, Cosine, 500, 1, 30), 60);
}
