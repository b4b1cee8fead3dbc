//! From the rows of a table to what a graph stores of them.

use ann::codec::Stored;
use ann::element::Element;
use ann::hnsw::{Factors, Grid};
use ann::metric::Metric;
use ann::parallel::{self, Job};
use pages::hnsw::{Code, MetaParams};

use crate::am::transform::Transform;

/// Vectors that one worker codes at a time.
const CHUNK_ROWS: usize = 64;

/// Rows as a graph sees them, one after the other.
pub struct CodedBatch {
    pub codes: Vec<u8>,
    pub factors: Vec<Factors>,
    /// The vectors that a graph of vectors is built of: of length 1 under cosine, as they are under inner product, else shortened.
    pub points: Vec<f32>,
}

/// How rows are coded and stored.
pub struct Coder<'a> {
    grid: &'a Grid,
    dims: usize,
    transform: Transform<'static>,
    stored: Stored,
}

impl<'a> Coder<'a> {
    pub fn new(params: &MetaParams, grid: &'a Grid) -> Self {
        let stored = match params.code {
            // The codes of bits are the vectors.
            Code::Flat if params.metric.is_of_bits() => Stored::None,
            Code::Flat => Stored::Flat,
            Code::SqFp16 => Stored::SqFp16,
            Code::Sq8 => Stored::None,
        };
        Self { grid, dims: params.dims, transform: transform(params.metric), stored }
    }

    /// The vector as it is coded: of length 1 under cosine, else shortened.
    pub fn point<E: Element>(&self, elements: &[E]) -> Vec<f32> {
        let mut point = Vec::new();
        self.transform.apply(&E::widened(elements, self.dims), &mut point);
        point
    }

    /// One row.
    pub fn code<E: Element>(&self, elements: &[E]) -> CodedBatch {
        let point = self.point(elements);
        let mut codes = vec![0; self.grid.size()];
        let factors = vec![self.grid.encode(&point, &mut codes)];
        let points = self.points_of(elements, point);
        CodedBatch { codes, factors, points }
    }

    /// What a graph of vectors is built of: under inner product of vectors that are not shortened, for the longest are what is looked
    /// for.
    fn points_of<E: Element>(&self, elements: &[E], coded: Vec<f32>) -> Vec<f32> {
        if self.grid.metric() != Metric::InnerProduct {
            return coded;
        }
        let rows = elements.chunks_exact(E::count(self.dims).max(1));
        rows.flat_map(|row| E::widened(row, self.dims)).collect()
    }

    /// Codes of vectors, on the pool it is called in.
    pub fn code_batch<E: Element>(&self, elements: &[E], job: &Job) -> CodedBatch {
        let points = self.transform.apply_batch(elements, self.dims, job);
        let size = self.grid.size();
        let n = points.len() / self.dims.max(1);
        let mut coded = vec![0; n * (size + size_of::<Factors>())];
        // Each code with its factors behind, so that one pass cuts both into chunks.
        let record = size + size_of::<Factors>();
        parallel::for_each_chunk(&mut coded, CHUNK_ROWS * record, |chunk, records| {
            let points = points.chunks_exact(self.dims).skip(chunk * CHUNK_ROWS);
            for (record, point) in records.chunks_exact_mut(record).zip(points) {
                let (code, factors) = record.split_at_mut(size);
                factors.copy_from_slice(bytemuck::bytes_of(&self.grid.encode(point, code)));
            }
        });
        let (mut codes, mut factors) = (Vec::with_capacity(n * size), Vec::with_capacity(n));
        for record in coded.chunks_exact(record) {
            let (code, behind) = record.split_at(size);
            codes.extend_from_slice(code);
            factors.push(bytemuck::pod_read_unaligned(behind));
        }
        let points = self.points_of(elements, points);
        CodedBatch { codes, factors, points }
    }

    /// Bytes that are stored of a vector of these elements.
    pub fn stored_size<E: Element>(&self) -> usize {
        match self.stored {
            Stored::Flat => self.dims * size_of::<E>(),
            Stored::SqFp16 => self.dims * size_of::<half::f16>(),
            _ => 0,
        }
    }

    /// Writes what is stored of each vector, one after the other.
    pub fn store<E: Element>(&self, elements: &[E], out: &mut Vec<u8>) {
        let size = self.stored_size::<E>();
        out.clear();
        out.resize(elements.len() / self.dims.max(1) * size, 0);
        if size > 0 {
            for (vector, to) in elements.chunks_exact(self.dims).zip(out.chunks_exact_mut(size)) {
                self.stored.put(vector, to);
            }
        }
    }
}

/// What happens to a vector before it is coded.
pub fn transform(metric: Metric) -> Transform<'static> {
    Transform::unit_length(metric == Metric::Cosine)
}
