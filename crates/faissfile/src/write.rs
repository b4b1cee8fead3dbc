//! Writing FAISS's structures. What is large is not written here: a structure is its bytes up to the large array, whose length
//! stands in them, and its bytes after it.

use ann::codec::CodeKind;

use crate::index::L2;

/// The two numbers without meaning in every header.
const DUMMY: i64 = 1 << 20;
/// The bits with which FAISS codes a query of RaBitQ, unless told otherwise.
const QUERY_BITS: u8 = 4;
/// Vectors of a block for fast-scan.
pub const BLOCK: usize = 32;

/// What an index begins with.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Components.
    pub dims: usize,
    /// Vectors.
    pub ntotal: u64,
    /// FAISS's number of the metric.
    pub metric: i32,
}

/// Bytes of a file, one structure after the other.
#[derive(Default, Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Four characters.
    pub fn code(&mut self, code: &[u8; 4]) {
        self.0.extend_from_slice(code);
    }

    /// A byte; flags are 0 or 1.
    pub fn u8(&mut self, x: u8) {
        self.0.push(x);
    }

    /// A 32-bit number.
    pub fn i32(&mut self, x: i32) {
        self.0.extend_from_slice(&x.to_le_bytes());
    }

    /// A 64-bit number, as a count is.
    pub fn u64(&mut self, x: u64) {
        self.0.extend_from_slice(&x.to_le_bytes());
    }

    /// A 32-bit float.
    pub fn f32(&mut self, x: f32) {
        self.0.extend_from_slice(&x.to_le_bytes());
    }

    /// An array of floats with its length.
    pub fn floats(&mut self, floats: &[f32]) {
        self.u64(floats.len() as u64);
        floats.iter().for_each(|x| self.f32(*x));
    }

    /// Type and header of a trained index.
    pub fn head(&mut self, code: &[u8; 4], head: &Head) {
        self.code(code);
        self.i32(head.dims as i32);
        self.u64(head.ntotal);
        self.0.extend_from_slice(&DUMMY.to_le_bytes());
        self.0.extend_from_slice(&DUMMY.to_le_bytes());
        self.u8(1);
        self.i32(head.metric);
        if head.metric > L2 {
            self.f32(0.0);
        }
    }

    /// IndexFlat up to its vectors.
    pub fn flat(&mut self, head: &Head) {
        let code = match head.metric {
            0 => b"IxFI",
            1 => b"IxF2",
            _ => b"IxFl",
        };
        self.head(code, head);
        self.u64(head.ntotal * head.dims as u64);
    }

    /// IndexPreTransform up to the inner index: division by the norm, then a rotation, that is drawn at random or trained.
    pub fn pre_transform(
        &mut self,
        head: &Head,
        normalizes: bool,
        rotation: Option<(bool, &[f32])>,
    ) {
        self.head(b"IxPT", head);
        self.i32(i32::from(normalizes) + i32::from(rotation.is_some()));
        if normalizes {
            self.code(b"VNrm");
            self.f32(2.0);
            self.transform_end(head.dims);
        }
        if let Some((is_random, matrix)) = rotation {
            self.code(if is_random { b"rrot" } else { b"LTra" });
            self.u8(0);
            self.floats(matrix);
            self.u64(0);
            self.transform_end(head.dims);
        }
    }

    fn transform_end(&mut self, dims: usize) {
        self.i32(dims as i32);
        self.i32(dims as i32);
        self.u8(1);
    }

    /// A scalar quantizer.
    pub fn sq(&mut self, kind: CodeKind, dims: usize, trained: &[f32]) {
        self.i32(match kind {
            CodeKind::SqFp16 => 4,
            CodeKind::Sq4 => 1,
            _ => 0,
        });
        self.i32(0);
        self.f32(0.0);
        self.u64(dims as u64);
        self.u64(kind.code_size(dims) as u64);
        self.floats(trained);
    }

    /// A product quantizer.
    pub fn pq(&mut self, dims: usize, m: u16, nbits: u8, centroids: &[f32]) {
        self.u64(dims as u64);
        self.u64(m.into());
        self.u64(nbits.into());
        self.floats(centroids);
    }

    /// RaBitQ's parameters.
    pub fn rabitq(&mut self, nbits: u8, head: &Head) {
        self.u64(head.dims as u64);
        self.u64(CodeKind::RaBitQ { nbits }.code_size(head.dims) as u64);
        self.i32(head.metric);
        if nbits > 1 {
            self.u64(nbits.into());
        }
    }

    /// The bits of a query of RaBitQ.
    pub fn query_bits(&mut self) {
        self.u8(QUERY_BITS);
    }

    /// What every index with lists has between its header and its code.
    pub fn coarse(&mut self, head: &Head, nprobe: u64, centroids: &[f32]) {
        let nlist = (centroids.len() / head.dims.max(1)) as u64;
        self.u64(nlist);
        self.u64(nprobe);
        self.flat(&Head { ntotal: nlist, ..*head });
        centroids.iter().for_each(|x| self.f32(*x));
        self.u8(0);
        self.u64(0);
    }

    /// Lists up to their entries: of each its codes, then its ids.
    pub fn list_array(&mut self, code_size: usize, sizes: &[u64]) {
        self.code(b"ilar");
        self.u64(sizes.len() as u64);
        self.u64(code_size as u64);
        self.code(b"full");
        self.u64(sizes.len() as u64);
        sizes.iter().for_each(|n| self.u64(*n));
    }

    /// Lists of codes for fast-scan up to the first list.
    pub fn list_blocks(&mut self, nlist: usize, m: u16) {
        self.code(b"ilbl");
        self.u64(nlist as u64);
        self.u64(u64::MAX);
        self.u64(BLOCK as u64);
        self.u64((usize::from(m).div_ceil(2) * BLOCK) as u64);
    }
}

/// The links of a graph, up to those: levels and offsets come from `levels`, one for each vector, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct GraphShape {
    /// Links of a vector above level 0.
    pub m: usize,
    /// Slots on level 0.
    pub slots: usize,
}

/// FAISS stops its table of probabilities where they are less likely than this.
const LEAST_LIKELY: f64 = 1e-9;

impl GraphShape {
    /// Slots of a vector of this level.
    pub fn slots_of(&self, level: u8) -> u64 {
        self.slots as u64 + u64::from(level) * self.m as u64
    }
}

impl Writer {
    /// A graph up to its links.
    pub fn graph(&mut self, shape: &GraphShape, levels: &[u8]) {
        let m = shape.m.max(2) as f64;
        let likely = |level: i32| m.powi(-level) * (1.0 - 1.0 / m);
        let most = usize::from(levels.iter().copied().max().unwrap_or(0)) + 1;
        let by_chance = (0..64).take_while(|level| likely(*level) >= LEAST_LIKELY).count();
        let n_levels = most.max(by_chance);
        self.u64(n_levels as u64);
        for level in 0..n_levels {
            self.0.extend_from_slice(&likely(level as i32).to_le_bytes());
        }
        self.u64(n_levels as u64 + 1);
        self.i32(0);
        for level in 0..n_levels {
            self.i32((shape.slots + level * shape.m) as i32);
        }
        self.u64(levels.len() as u64);
        levels.iter().for_each(|level| self.i32(i32::from(*level) + 1));
        self.u64(levels.len() as u64 + 1);
        let mut offset = 0;
        self.u64(0);
        for level in levels {
            offset += shape.slots_of(*level);
            self.u64(offset);
        }
        self.u64(offset);
    }

    /// What comes after the links of a graph: where searches start, on which level, and how wide they look.
    pub fn graph_end(&mut self, entry: i32, level: i32, ef_construction: i32, ef_search: i32) {
        [entry, level, ef_construction, ef_search, 1].iter().for_each(|x| self.i32(*x));
    }
}
