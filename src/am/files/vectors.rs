//! The vectors of a graph on their way into a file: as they are, or coded once all of them are known.

use ann::Metric;
use ann::codec::{CodeKind, Codec, Coding, Space};
use faissfile::write::{Head, Writer};
use pgrx::pg_sys;

use super::assembly::{Assembly, Spool};

/// Vectors, and between what bounds each component lies.
pub struct Vectors {
    index: pg_sys::Relation,
    spool: Spool,
    dims: usize,
    least: Vec<f32>,
    most: Vec<f32>,
}

impl Vectors {
    pub fn new(index: pg_sys::Relation, dims: usize) -> Self {
        let (least, most) = (vec![f32::INFINITY; dims], vec![f32::NEG_INFINITY; dims]);
        Self { index, spool: Spool::new(index), dims, least, most }
    }

    pub fn append(&mut self, points: &[f32]) {
        for row in points.chunks_exact(self.dims.max(1)) {
            for (x, (least, most)) in row.iter().zip(self.least.iter_mut().zip(&mut self.most)) {
                (*least, *most) = (x.min(*least), x.max(*most));
            }
            let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.spool.append(&bytes);
        }
    }

    /// As IndexFlat.
    pub fn flat(self, head: &Head, file: &mut Assembly) {
        let mut out = Writer::new();
        out.flat(head);
        file.bytes(out.into_bytes());
        file.spool(self.spool);
    }

    /// As IndexScalarQuantizer: the index's own 8-bit codes are scaled vector by vector, FAISS's by what all vectors have.
    pub fn coded(self, kind: CodeKind, head: &Head, file: &mut Assembly) {
        let ranges = match kind {
            CodeKind::Sq8 => {
                // Of no vectors there are no bounds; nor of what lies farther apart than a float reaches.
                let least = self.least.iter().map(|x| if x.is_finite() { *x } else { 0.0 });
                let width = self.most.iter().zip(&self.least).map(|(most, least)| most - least);
                let width = width.map(|w| if w.is_finite() { w } else { 0.0 });
                least.chain(width).collect()
            }
            _ => Vec::new(),
        };
        let space = Space { dims: self.dims, metric: Metric::L2 };
        let codec = Codec::from_params(kind, space, ranges.clone());
        let mut out = Writer::new();
        out.head(b"IxSQ", head);
        out.sq(kind, self.dims, &ranges);
        let size = kind.code_size(self.dims);
        out.u64(head.ntotal * size as u64);
        file.bytes(out.into_bytes());
        let mut codes = Spool::new(self.index);
        let width = self.dims * size_of::<f32>();
        let (mut held, mut code) = (Vec::new(), vec![0; size]);
        self.spool.each(|piece| {
            held.extend_from_slice(piece);
            let whole = held.len() / width.max(1) * width;
            for row in held.get(..whole).unwrap_or_default().chunks_exact(width.max(1)) {
                let row: Vec<f32> =
                    row.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                if let Some(codec) = &codec {
                    codec.encode(&row, &[], &mut code, &mut []);
                }
                codes.append(&code);
            }
            held.drain(..whole);
        });
        file.spool(codes);
    }
}
