//! Rows as the table has them.

use ann::codec::{CodeKind, Coding};
use ann::element::{Bits, Element};
use ann::kernels::{cosine_distance, l1, l2_distance, negative_inner_product};
use ann::kernels::{hamming_distance, jaccard_distance};
use ann::metric::Metric;
use ann::topk::Hit;

use super::{Model, Shape, World, tid_no};
use crate::error::Error;
use crate::lists::build::Payload;
use crate::search::exact::ExactQuery;
use crate::search::rerank::Exact;
use crate::tid::Tid;

/// The table's rows.
pub struct ModelRows<'a, E: Element> {
    pub rows: &'a Model<E>,
    pub query: &'a ExactQuery,
}

impl<E: Element> Exact for ModelRows<'_, E> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        for (i, candidate) in candidates.iter().enumerate() {
            if let Some(row) = self.rows.get(&Tid::from_u64(candidate.id)) {
                each(i, self.query.key(row));
            }
        }
        Ok(())
    }
}

pub fn operator<E: Element>(metric: Metric, query: &[f32], vector: &[E]) -> f64 {
    let (vector, bits) = (&E::widened(vector, query.len())[..], Bits::pack(query));
    match metric {
        Metric::Hamming => hamming_distance(Bits::bytes(&bits), Bits::bytes(&Bits::pack(vector))),
        Metric::Jaccard => jaccard_distance(Bits::bytes(&bits), Bits::bytes(&Bits::pack(vector))),
        Metric::L2 => l2_distance(query, vector),
        Metric::InnerProduct => negative_inner_product(query, vector),
        Metric::Cosine => cosine_distance(query, vector),
        Metric::L1 => f64::from(l1(query, vector)),
    }
}

/// How a row's payload is divided is how a row is coded.
#[test]
fn payloads_divide_as_rows_are_coded() {
    for nbits in [1, 4] {
        let shape = Shape::coded(CodeKind::RaBitQ { nbits }, Metric::L2, 40, 2, 0).and_vectors();
        for (attributes, size) in [(&[][..], 0), (&[4, 1, 16], 22)] {
            let world = World::<f32>::new(Shape { attributes, ..shape }, 1);
            let code = world.index.code.as_ref().unwrap();
            let payload = Payload::new(&world.lists().layout, code.codec.bare_size());
            let row = world.coded(tid_no(0), &[0.25; 40]);
            assert_eq!((payload.code, payload.factors), (row.code.len(), 4 * row.factors.len()));
            let code = 5 * usize::from(nbits);
            assert_eq!((payload.vector, payload.size()), (160, code + 8 + size + 160));
            assert_eq!(payload.split(&vec![7; payload.size()]).unwrap().attributes.len(), size);
            assert!(payload.split(&vec![0; payload.size() + 1]).is_none());
            assert!(payload.split(&[]).is_none());
        }
    }
}
