//! Rows as the table has them and as they are coded.

use ann::coarse::Coarse;
use ann::codec::{CodeKind, Codec, Coding};
use ann::element::Float;
use ann::kernels::{cosine_distance, l2_distance, negative_inner_product, norm_sqr};
use ann::metric::Metric;
use ann::topk::Hit;

use super::{Model, Shape, World};
use crate::coded::build::Payload;
use crate::coded::exact::ExactQuery;
use crate::coded::rerank::Exact;
use crate::error::Error;
use crate::tid::Tid;

/// A row as it is coded.
pub struct CodedRow {
    pub list_no: u32,
    pub coarse_distance: f32,
    pub code: Vec<u8>,
    pub factors: Vec<f32>,
}

/// The table's rows.
pub struct ModelRows<'a, E: Float> {
    pub rows: &'a Model<E>,
    pub query: &'a ExactQuery,
}

impl<E: Float> Exact for ModelRows<'_, E> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        for (i, candidate) in candidates.iter().enumerate() {
            if let Some(row) = self.rows.get(&Tid::from_u64(candidate.id)) {
                each(i, self.query.key(row));
            }
        }
        Ok(())
    }
}

pub fn operator<E: Float>(metric: Metric, query: &[f32], vector: &[E]) -> f64 {
    match metric {
        Metric::L2 => l2_distance(query, vector),
        Metric::InnerProduct => negative_inner_product(query, vector),
        Metric::Cosine => cosine_distance(query, vector),
        other => unreachable!("no code estimates {other:?}"),
    }
}

/// A vector as it is coded.
pub fn point_of<E: Float>(metric: Metric, vector: &[E]) -> Vec<f32> {
    let norm = norm_sqr(vector).sqrt();
    let scale = if metric == Metric::Cosine && norm > 0.0 { 1.0 / norm } else { 1.0 };
    vector.iter().map(|x| x.to_f32() * scale).collect()
}

/// List and code of a vector.
pub fn coded<E: Float>(coarse: &Coarse<'_>, codec: &Codec, vector: &[E]) -> CodedRow {
    let point = point_of(coarse.metric, vector);
    let (list_no, coarse_distance) = coarse.assign(&point);
    let mut factors = vec![0.0; codec.n_factors()];
    let mut code = vec![0; codec.bare_size()];
    codec.encode(&point, coarse.centroid(list_no), &mut code, &mut factors);
    CodedRow { list_no, coarse_distance, code, factors }
}

/// How a row's payload is divided is how a row is coded.
#[test]
fn payloads_divide_as_rows_are_coded() {
    for nbits in [1, 4] {
        let shape = Shape::new(CodeKind::RaBitQ { nbits }, Metric::L2, 40, 2, 0).flat();
        let world = World::<f32>::new(shape, 1);
        let payload = Payload::new(&world.codec, &world.layout().layout);
        let row = world.coded(&[0.25; 40]);
        assert_eq!((payload.code, payload.factors), (row.code.len(), 4 * row.factors.len()));
        let code = 5 * usize::from(nbits);
        assert_eq!((payload.vector, payload.size()), (160, code + 8 + 160));
        assert!(payload.split(&vec![0; payload.size()]).is_some());
        assert!(payload.split(&vec![0; payload.size() + 1]).is_none());
        assert!(payload.split(&[]).is_none());
    }
}
