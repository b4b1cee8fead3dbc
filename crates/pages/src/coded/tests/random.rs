//! Random verbs against the model.

use ann::codec::CodeKind;
use ann::element::Float;
use ann::metric::Metric;
use half::f16;

use super::{Shape, World};
use crate::trials;

fn random_verbs<E: Float>(shape: Shape, seed: u64) {
    trials::random_verbs(&mut World::<E>::new(shape, seed), 10);
}

#[test]
fn random_verbs_keep_the_model() {
    use CodeKind::{Pq, PqFs, RaBitQ, Sq4, Sq8, SqFp16};
    use Metric::{Cosine, InnerProduct, L2};
    for seed in 0..3 {
        random_verbs::<f32>(Shape::new(Sq8, L2, 1, 4, 200), seed);
        random_verbs::<f32>(Shape::new(RaBitQ { nbits: 1 }, L2, 100, 5, 200).flat(), seed);
        random_verbs::<f32>(Shape::new(RaBitQ { nbits: 4 }, Cosine, 300, 3, 150), seed);
        random_verbs::<f16>(Shape::new(PqFs { m: 32 }, Cosine, 64, 4, 200), seed);
        random_verbs::<f16>(Shape::new(SqFp16, Cosine, 700, 2, 100).flat(), seed);
        random_verbs::<f32>(Shape::new(Sq4, InnerProduct, 1000, 3, 100).flat(), seed);
        random_verbs::<f32>(Shape::new(Pq { m: 10, nbits: 6 }, InnerProduct, 40, 30, 200), seed);
    }
    random_verbs::<f32>(Shape::new(Sq8, L2, 4000, 2, 60).flat(), 7);
}
