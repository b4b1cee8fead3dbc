//! Indexes, one in the other.

use super::{DEPTH_MAX, Reader};
use crate::error::{Error, FourCc};
use crate::index::{Body, Header, Index, Ivf, IvfCode, Lists};
use crate::index::{INNER_PRODUCT, L2};

/// FAISS's own bound.
const DIMS_MAX: i32 = 1 << 20;
/// The most transforms of a chain; FAISS's factory makes three.
const CHAIN_MAX: i32 = 16;

impl Reader<'_> {
    /// A whole index.
    pub(super) fn index(&mut self) -> Result<Index, Error> {
        let (at, outer) = (self.at, self.code);
        let code = FourCc(self.raw("a type")?);
        self.code = code;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.damaged(at, format!("more than {DEPTH_MAX} indexes in each other")));
        }
        let index = self.known(at, code)?;
        self.depth -= 1;
        self.code = outer;
        Ok(index)
    }

    fn known(&mut self, at: u64, code: FourCc) -> Result<Index, Error> {
        let known = [
            b"IxF2", b"IxFI", b"IxFl", b"IxSQ", b"IxPq", b"IPfs", b"Ixrq", b"Ixrr", b"Irfn",
            b"IwFl", b"IwSq", b"IwPQ", b"IwPf", b"Iwrq", b"Iwrr", b"Iwrn", b"IHNf", b"IHNs",
            b"IHNp", b"IxPT", b"IxRF", b"IxMp", b"IxM2",
        ];
        if !known.contains(&&code.0) {
            return Err(self.stranger(at));
        }
        let header = self.header()?;
        let body = match &code.0 {
            b"IxF2" | b"IxFI" | b"IxFl" => self.flat(&header)?,
            b"IxSQ" => self.sq_index(&header)?,
            b"IxPq" => self.pq_index(&header)?,
            b"IPfs" => self.pqfs_index(&header)?,
            b"Ixrq" | b"Ixrr" => self.rabitq_index(&header, code.0 == *b"Ixrr")?,
            b"Irfn" => self.rabitqfs_index(&header)?,
            b"IHNf" | b"IHNs" | b"IHNp" => self.hnsw(&header)?,
            b"IxPT" => self.pre_transform()?,
            b"IxRF" => self.refine(&header)?,
            b"IxMp" | b"IxM2" => self.id_map(&header)?,
            _ => self.ivf(&header, code)?,
        };
        Ok(Index { code, at, header, body })
    }

    /// A type that is none of ours: of FAISS or of nothing.
    fn stranger(&self, at: u64) -> Error {
        let is_faiss = self.code.0[0] == b'I' && self.code.0.iter().all(u8::is_ascii_alphanumeric);
        if !is_faiss {
            return self.damaged(at, "this is no type of a FAISS index");
        }
        Error::Unsupported {
            code: self.code,
            at,
            what: "an index of this type has no counterpart here".into(),
            hint: "Types that are read are those of Flat, SQ, PQ, PQ…x4fs, RaBitQ, of IVF with these, of HNSW, and PreTransform, Refine, IDMap and IDMap2 around them.",
        }
    }

    fn header(&mut self) -> Result<Header, Error> {
        let at = self.at;
        let dims = self.i32("the dimension")?;
        if !(1..=DIMS_MAX).contains(&dims) {
            return Err(self.damaged(at, format!("the dimension is {dims}, not in 1..{DIMS_MAX}")));
        }
        let at = self.at;
        let ntotal = self.i64("the number of vectors")?;
        let Ok(ntotal) = u64::try_from(ntotal) else {
            return Err(self.damaged(at, format!("the number of vectors is {ntotal}")));
        };
        for _ in 0..2 {
            self.u64("a number without meaning")?;
        }
        let is_trained = self.bool("the flag of training")?;
        let metric = self.i32("the metric")?;
        if ![INNER_PRODUCT, L2].contains(&metric) {
            self.f32("the metric's argument")?;
        }
        Ok(Header { dims: dims as usize, ntotal, is_trained, metric })
    }

    fn flat(&mut self, header: &Header) -> Result<Body, Error> {
        let floats = header.ntotal.saturating_mul(header.dims as u64);
        Ok(Body::Flat { vectors: self.exactly(floats, 4, "the array of vectors")? })
    }

    fn pre_transform(&mut self) -> Result<Body, Error> {
        let at = self.at;
        let n = self.i32("the number of transforms")?;
        if !(0..=CHAIN_MAX).contains(&n) {
            return Err(self.damaged(at, format!("{n} transforms, not 0..{CHAIN_MAX}")));
        }
        let mut chain = Vec::new();
        for _ in 0..n {
            chain.push(self.transform()?);
        }
        Ok(Body::PreTransform { chain, inner: Box::new(self.index()?) })
    }

    fn refine(&mut self, header: &Header) -> Result<Body, Error> {
        let base = self.inner(header)?;
        let refine = self.inner(header)?;
        self.f32("k_factor")?;
        Ok(Body::Refine { base, refine })
    }

    fn id_map(&mut self, header: &Header) -> Result<Body, Error> {
        let inner = self.inner(header)?;
        let ids = self.exactly(inner.header.ntotal, 8, "the array of ids")?;
        Ok(Body::IdMap { inner, ids })
    }

    /// An index of the same vectors.
    pub(super) fn inner(&mut self, header: &Header) -> Result<Box<Index>, Error> {
        let at = self.at;
        let index = self.index()?;
        self.same(at, "its dimension", index.header.dims as u64, header.dims as u64)?;
        Ok(Box::new(index))
    }

    fn ivf(&mut self, header: &Header, code: FourCc) -> Result<Body, Error> {
        let nlist = self.count("nlist", u64::from(u32::MAX))? as u64;
        self.u64("nprobe")?;
        let quantizer = *self.inner(header)?;
        self.direct_map()?;
        let (by_residual, kind, code_size) = self.ivf_code(header, code)?;
        let lists = self.lists(nlist, code_size)?;
        let is_blocks = matches!(lists, Lists::Blocks);
        let wants_blocks = matches!(kind, IvfCode::PqFs(_)) || code.0 == *b"Iwrn";
        if is_blocks != wants_blocks && lists != Lists::None {
            return Err(self.damaged(self.at, "its lists are not laid out as its code needs"));
        }
        Ok(Body::Ivf(Box::new(Ivf { nlist, quantizer, by_residual, code: kind, lists })))
    }

    fn direct_map(&mut self) -> Result<(), Error> {
        let at = self.at;
        let kind = self.u8("the kind of direct map")?;
        self.array(8, "the direct map")?;
        match kind {
            0 | 1 => Ok(()),
            2 => self.array(16, "the direct map's pairs").map(|_pairs| ()),
            other => Err(self.damaged(at, format!("the kind of direct map is {other}"))),
        }
    }
}
