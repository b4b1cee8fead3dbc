//! Random verbs against the model.

use std::collections::BTreeMap;

use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::{Shape, World};
use crate::lists::rows::{Row, for_each_row};
use crate::tid::Tid;
use crate::trials;

fn random_verbs<E: Element>(shape: Shape, seed: u64) {
    trials::random_verbs(&mut World::<E>::new(shape, seed), 12);
}

#[test]
fn random_verbs_keep_the_model() {
    use Metric::{Cosine, Hamming, InnerProduct, Jaccard, L1, L2};
    for seed in 0..3 {
        random_verbs::<f32>(Shape::flat(L2, 3, 0, 200), seed);
        random_verbs::<f32>(Shape::flat(L2, 128, 5, 200), seed);
        random_verbs::<f16>(Shape::flat(Cosine, 1536, 4, 200), seed);
        random_verbs::<f32>(Shape::flat(Cosine, 1536, 2, 200), seed);
        random_verbs::<f32>(Shape::flat(InnerProduct, 2028, 3, 200), seed);
    }
    random_verbs::<f32>(Shape::flat(L2, 9000, 2, 200), 7);
    random_verbs::<f32>(Shape::flat(L1, 9000, 0, 200), 7);
    random_verbs::<f16>(Shape::flat(L1, 100, 0, 200), 7);
    for (dims, nlist) in [(1, 0), (9, 2), (64, 5), (1000, 3), (100_000, 2)] {
        random_verbs::<Bits>(Shape::flat(Hamming, dims, nlist, 200), 7);
        random_verbs::<Bits>(Shape::flat(Jaccard, dims, 0, 200), 7);
    }
}

#[test]
fn random_verbs_over_codes_keep_the_model() {
    use CodeKind::{Pq, PqFs, RaBitQ, Sq4, Sq8, SqFp16};
    use Metric::{Cosine, InnerProduct, L2};
    for seed in 0..3 {
        random_verbs::<f32>(Shape::coded(Sq8, L2, 1, 4, 200), seed);
        random_verbs::<f32>(Shape::coded(RaBitQ { nbits: 1 }, L2, 100, 5, 200).and_vectors(), seed);
        random_verbs::<f32>(Shape::coded(RaBitQ { nbits: 4 }, Cosine, 300, 3, 150), seed);
        random_verbs::<f16>(Shape::coded(PqFs { m: 32 }, Cosine, 64, 4, 200), seed);
        random_verbs::<f16>(Shape::coded(SqFp16, Cosine, 700, 2, 100).and_vectors(), seed);
        random_verbs::<f32>(Shape::coded(Sq4, InnerProduct, 1000, 3, 100).and_vectors(), seed);
        let pq = Shape::coded(Pq { m: 10, nbits: 6 }, InnerProduct, 40, 30, 200);
        random_verbs::<f32>(pq, seed);
    }
    random_verbs::<f32>(Shape::coded(Sq8, L2, 4000, 2, 60).and_vectors(), 7);
}

fn rows_are_shown<E: Element>(metric: Metric, dims: usize) {
    let mut world = World::<E>::new(Shape::flat(metric, dims, 0, 150), 8);
    world.vacuum(|tid| tid.to_u64() % 4 == 0);
    world.insert_random(90);
    let mut shown: BTreeMap<Tid, Vec<u8>> = BTreeMap::new();
    for_each_row(&world.mem, &world.index.meta, |Row { tid, vector, .. }| {
        assert!(shown.insert(tid, vector.to_vec()).is_none());
        Ok(())
    })
    .unwrap();
    let bytes = |vector: &Vec<E>| bytemuck::cast_slice(vector).to_vec();
    let rows: BTreeMap<_, _> = world.model.iter().map(|(tid, v)| (*tid, bytes(v))).collect();
    assert_eq!(shown, rows);
}

/// What becomes a graph is every row with its vector; the first error ends it.
#[test]
fn every_row_of_one_list_is_shown_with_its_vector() {
    for dims in [3, 700, 5000] {
        rows_are_shown::<f32>(Metric::L2, dims);
        rows_are_shown::<f16>(Metric::Cosine, dims);
        rows_are_shown::<Bits>(Metric::Hamming, dims);
    }
    let world = World::<f32>::new(Shape::flat(Metric::L2, 3, 0, 50), 8);
    let mut n = 0;
    let ended = for_each_row(&world.mem, &world.index.meta, |_| {
        n += 1;
        if n < 7 { Ok(()) } else { Err(crate::Error::Internal("enough".into())) }
    });
    assert_eq!((ended, n), (Err(crate::Error::Internal("enough".into())), 7));
    let trained = World::<f32>::new(Shape::flat(Metric::L2, 3, 2, 50), 8);
    assert!(for_each_row(&trained.mem, &trained.index.meta, |_| Ok(())).is_err());
}
