//! An index as a file: what comes before and after its codes. With no codes at all it is a model.

use ann::Metric;
use ann::codec::CodeKind;
use ann::factory::{Refine, RotationKind};
use ann::rotation::Rotation;
use pages::blob::TrainedModel;

use crate::index::{INNER_PRODUCT, L1, L2};
use crate::write::{BLOCK, Head, Writer};

/// What an index in a file is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// How nearness is measured.
    pub metric: Metric,
    /// Components.
    pub dims: usize,
    /// Whether there are inverted lists.
    pub has_lists: bool,
    /// The code; None: vectors as they are.
    pub code: Option<CodeKind>,
    /// Whether vectors are divided by their norm; always under cosine.
    pub normalizes: bool,
    /// The rotation, and whether it was drawn at random.
    pub rotation: Option<(bool, &'a [f32])>,
    /// The lists that FAISS is to probe.
    pub nprobe: u64,
    /// A centroid for each list.
    pub centroids: &'a [f32],
    /// What the code was trained to.
    pub params: &'a [f32],
}

impl Plan<'_> {
    /// What the headers say of `n` vectors. Under cosine vectors are divided by their norm, and it is the inner product.
    pub fn head(&self, ntotal: u64) -> Head {
        let metric = match self.metric {
            Metric::L2 => L2,
            Metric::L1 => L1,
            _ => INNER_PRODUCT,
        };
        Head { dims: self.dims, ntotal, metric }
    }

    /// Up to the index in the middle: what vectors go through. With a refinement under cosine it is the refinement that gets
    /// vectors divided by their norm.
    pub fn outside(&self, n: u64, has_ids: bool, has_refine: bool) -> Vec<u8> {
        let (head, mut out) = (self.head(n), Writer::new());
        if has_ids {
            out.head(b"IxM2", &head);
        }
        let mut normalizes = self.normalizes || self.metric == Metric::Cosine;
        if has_refine {
            if self.metric == Metric::Cosine {
                out.pre_transform(&head, true, None);
                normalizes = false;
            }
            out.head(b"IxRF", &head);
        }
        if normalizes || self.rotation.is_some() {
            out.pre_transform(&head, normalizes, self.rotation);
        }
        out.into_bytes()
    }

    /// The index in the middle up to its codes; with lists `sizes` says how long these are.
    pub fn before_codes(&self, n: u64, sizes: &[u64]) -> Vec<u8> {
        let mut out = Writer::new();
        let head = self.head(n);
        if self.has_lists {
            self.lists(&mut out, &head, sizes);
        } else {
            self.plain(&mut out, &head);
        }
        out.into_bytes()
    }

    fn lists(&self, out: &mut Writer, head: &Head, sizes: &[u64]) {
        let dims = self.dims;
        let Some(kind) = self.code else {
            out.head(b"IwFl", head);
            out.coarse(head, self.nprobe, self.centroids);
            return out.list_array(dims * size_of::<f32>(), sizes);
        };
        let size = kind.code_size(dims);
        match kind {
            CodeKind::SqFp16 | CodeKind::Sq8 | CodeKind::Sq4 => {
                out.head(b"IwSq", head);
                out.coarse(head, self.nprobe, self.centroids);
                out.sq(kind, dims, self.params);
                out.u64(size as u64);
                out.u8(1);
            }
            CodeKind::Pq { m, nbits } => {
                out.head(b"IwPQ", head);
                out.coarse(head, self.nprobe, self.centroids);
                out.u8(1);
                out.u64(size as u64);
                out.pq(dims, m, nbits, self.params);
            }
            CodeKind::PqFs { m } => {
                out.head(b"IwPf", head);
                out.coarse(head, self.nprobe, self.centroids);
                out.u8(0);
                out.u64(size as u64);
                out.i32(BLOCK as i32);
                out.u64(u64::from(m.next_multiple_of(2)));
                out.i32(0);
                out.u64(0);
                out.pq(dims, m, 4, self.params);
                return out.list_blocks(sizes.len(), m);
            }
            CodeKind::RaBitQ { nbits } => {
                out.head(if nbits == 1 { b"Iwrq" } else { b"Iwrr" }, head);
                out.coarse(head, self.nprobe, self.centroids);
                out.rabitq(nbits, head);
                out.u64(size as u64);
                out.u8(1);
                out.query_bits();
            }
        }
        out.list_array(size, sizes);
    }

    fn plain(&self, out: &mut Writer, head: &Head) {
        let Some(kind) = self.code else { return out.flat(head) };
        let (dims, n) = (self.dims, head.ntotal);
        match kind {
            CodeKind::SqFp16 | CodeKind::Sq8 | CodeKind::Sq4 => {
                out.head(b"IxSQ", head);
                out.sq(kind, dims, self.params);
            }
            CodeKind::Pq { m, nbits } => {
                out.head(b"IxPq", head);
                out.pq(dims, m, nbits, self.params);
            }
            CodeKind::PqFs { m } => {
                out.head(b"IPfs", head);
                out.pq(dims, m, 4, self.params);
                let padded = n.next_multiple_of(BLOCK as u64);
                let m = u64::from(m.next_multiple_of(2));
                out.i32(0);
                out.i32(BLOCK as i32);
                out.i32(0);
                out.u64(padded);
                out.u64(m);
                return out.u64(padded / BLOCK as u64 * (m / 2) * BLOCK as u64);
            }
            CodeKind::RaBitQ { nbits } => {
                out.head(if nbits == 1 { b"Ixrq" } else { b"Ixrr" }, head);
                out.rabitq(nbits, head);
            }
        }
        out.u64(n * kind.code_size(dims) as u64);
    }

    /// What comes after the codes of the index in the middle.
    pub fn after_codes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match self.code {
            Some(CodeKind::Pq { m, nbits }) if !self.has_lists => {
                out.i32(0);
                out.u8(0);
                out.i32(i32::from(m) * i32::from(nbits) + 1);
            }
            Some(CodeKind::RaBitQ { .. }) if !self.has_lists => {
                out.floats(self.centroids);
                out.query_bits();
            }
            _ => {}
        }
        out.into_bytes()
    }

    /// A refinement of `n` vectors as they are, up to these.
    pub fn before_vectors(&self, n: u64) -> Vec<u8> {
        let mut out = Writer::new();
        out.flat(&self.head(n));
        out.into_bytes()
    }

    /// What ends a refinement: how many candidates FAISS puts in order for each result, unless told otherwise.
    pub fn after_vectors(k_factor: f32) -> Vec<u8> {
        k_factor.to_le_bytes().into()
    }
}

/// A model as a trained FAISS index without vectors, and whether its refinement had to be left out: that of 8 bits under cosine, whose
/// ranges are those of vectors that FAISS would have divided by their norm.
pub fn model_file(model: &TrainedModel) -> (Vec<u8>, bool) {
    let (dims, code) = (model.dims, model.code);
    let kind = code.map_or(RotationKind::None, |code| code.rotation);
    let rotation_len = kind.params_len(dims).min(model.params.len());
    let (rotation, rest) = model.params.split_at(rotation_len);
    let rotation = Rotation::from_params(kind, dims, rotation.to_vec());
    let matrix = rotation.as_ref().map(Rotation::matrix);
    let params_len = code.map_or(0, |code| code.kind.params_len(dims)).min(rest.len());
    let (params, ranges) = rest.split_at(params_len);
    let plan = Plan {
        metric: model.metric,
        dims,
        has_lists: model.has_lists,
        code: code.map(|code| code.kind),
        normalizes: code.is_some_and(|code| code.normalize),
        rotation: matrix.as_deref().map(|matrix| (kind.is_drawn(), matrix)),
        nprobe: 1,
        centroids: &model.centroids,
        params,
    };
    let refine = code.map_or(Refine::Heap, |code| code.refine);
    let is_lost = refine == Refine::Sq8 && model.metric == Metric::Cosine;
    let refine = if is_lost { Refine::Heap } else { refine };
    let sizes = vec![0; if model.has_lists { model.nlist() } else { 0 }];
    let mut bytes = plan.outside(0, false, refine != Refine::Heap);
    bytes.extend(plan.before_codes(0, &sizes));
    if let (true, Some(CodeKind::PqFs { .. })) = (model.has_lists, plan.code) {
        // Every list in blocks has its own two lengths.
        bytes.resize(bytes.len() + sizes.len() * 16, 0);
    }
    bytes.extend(plan.after_codes());
    if refine != Refine::Heap {
        bytes.extend(refinement(&plan, refine, ranges));
        bytes.extend(Plan::after_vectors(1.0));
    }
    (bytes, is_lost)
}

/// A refinement without vectors.
fn refinement(plan: &Plan<'_>, refine: Refine, ranges: &[f32]) -> Vec<u8> {
    let kind = match refine {
        Refine::SqFp16 => CodeKind::SqFp16,
        Refine::Sq8 => CodeKind::Sq8,
        _ => return plan.before_vectors(0),
    };
    let mut out = Writer::new();
    out.head(b"IxSQ", &plan.head(0));
    out.sq(kind, plan.dims, ranges);
    out.u64(0);
    out.into_bytes()
}
