//! Quantizers, and the indexes that are a quantizer and its codes.

use super::Reader;
use crate::error::{Error, FourCc};
use crate::index::{Body, Header, IvfCode, Pq, RaBitQ, Sq};

/// FAISS's bounds of a product quantizer's bits.
const PQ_BITS: std::ops::RangeInclusive<u64> = 1..=24;
/// Code sizes are checked by the kind; no kind takes more bytes a component than this, beside factors.
const BYTES_PER_COMPONENT: u64 = 8;
/// Bytes beyond that: factors.
const FACTOR_BYTES: u64 = 64;

impl Reader<'_> {
    pub(super) fn sq_index(&mut self, header: &Header) -> Result<Body, Error> {
        let sq = self.sq(header)?;
        let codes = self.codes(header, sq.code_size)?;
        Ok(Body::Sq { sq, codes })
    }

    pub(super) fn pq_index(&mut self, header: &Header) -> Result<Body, Error> {
        let pq = self.pq(header)?;
        let codes = self.codes(header, pq.code_size())?;
        self.i32("the search type")?;
        self.bool("the flag of signs")?;
        self.i32("the polysemous threshold")?;
        Ok(Body::Pq { pq, codes })
    }

    pub(super) fn pqfs_index(&mut self, header: &Header) -> Result<Body, Error> {
        let pq = self.pq(header)?;
        for what in ["the implementation", "the block size", "the query block size"] {
            self.i32(what)?;
        }
        self.u64("the padded number of vectors")?;
        self.u64("the padded number of sub-quantizers")?;
        self.array(1, "the blocks of codes")?;
        Ok(Body::PqFs { pq })
    }

    pub(super) fn rabitq_index(&mut self, header: &Header, has_bits: bool) -> Result<Body, Error> {
        let rabitq = self.rabitq(header, has_bits)?;
        let codes = Some(self.codes(header, rabitq.code_size)?);
        let centre = self.centre(header)?;
        self.u8("the bits of a query")?;
        Ok(Body::RaBitQ { rabitq, codes, centre })
    }

    pub(super) fn rabitqfs_index(&mut self, header: &Header) -> Result<Body, Error> {
        let rabitq = self.rabitq(header, true)?;
        let centre = self.centre(header)?;
        self.u8("the bits of a query")?;
        self.i32("the block size")?;
        for what in ["the padded number of vectors", "the padded sub-quantizers", "the code size"] {
            self.u64(what)?;
        }
        self.array(1, "the blocks of codes")?;
        Ok(Body::RaBitQ { rabitq, codes: None, centre })
    }

    /// Empty before training.
    fn centre(&mut self, header: &Header) -> Result<crate::source::Span, Error> {
        let at = self.at;
        let centre = self.array(4, "the centre")?;
        if centre.len != 0 || header.is_trained {
            self.same(at, "the length of the centre", centre.len, header.dims as u64)?;
        }
        Ok(centre)
    }

    fn codes(&mut self, header: &Header, size: usize) -> Result<crate::source::Span, Error> {
        let bytes = header.ntotal.saturating_mul(size as u64);
        self.exactly(bytes, 1, "the array of codes")
    }

    /// The code of inverted lists: whether of residuals, what it is, and the bytes that lists must have of each vector.
    pub(super) fn ivf_code(
        &mut self,
        header: &Header,
        code: FourCc,
    ) -> Result<(bool, IvfCode, u64), Error> {
        Ok(match &code.0 {
            b"IwFl" => (false, IvfCode::Flat, header.dims as u64 * 4),
            b"IwSq" => {
                let sq = self.sq(header)?;
                self.code_size(sq.code_size)?;
                let by_residual = self.bool("by_residual")?;
                (by_residual, IvfCode::Sq(sq), sq.code_size as u64)
            }
            b"IwPQ" => {
                let by_residual = self.bool("by_residual")?;
                let (at, size) = (self.at, self.u64("the code size")?);
                let pq = self.pq(header)?;
                self.same(at, "the code size", size, pq.code_size() as u64)?;
                (by_residual, IvfCode::Pq(pq), size)
            }
            b"IwPf" => {
                let by_residual = self.bool("by_residual")?;
                self.u64("the code size")?;
                self.i32("the block size")?;
                self.u64("the padded number of sub-quantizers")?;
                self.i32("the implementation")?;
                self.u64("the query block size")?;
                (by_residual, IvfCode::PqFs(self.pq(header)?), 0)
            }
            b"Iwrn" => {
                let rabitq = self.rabitq(header, true)?;
                let by_residual = self.bool("by_residual")?;
                self.u64("the code size")?;
                self.i32("the block size")?;
                self.u64("the query block size")?;
                self.u64("the padded number of sub-quantizers")?;
                self.i32("the implementation")?;
                self.u8("the bits of a query")?;
                self.bool("the flag of centred queries")?;
                (by_residual, IvfCode::RaBitQ(rabitq), 0)
            }
            _ => {
                let rabitq = self.rabitq(header, code.0 == *b"Iwrr")?;
                self.code_size(rabitq.code_size)?;
                let by_residual = self.bool("by_residual")?;
                self.u8("the bits of a query")?;
                (by_residual, IvfCode::RaBitQ(rabitq), rabitq.code_size as u64)
            }
        })
    }

    fn code_size(&mut self, expected: usize) -> Result<(), Error> {
        let at = self.at;
        let size = self.u64("the code size")?;
        self.same(at, "the code size", size, expected as u64)
    }

    /// The dimension, once more.
    fn same_dims(&mut self, header: &Header) -> Result<(), Error> {
        let at = self.at;
        let dims = self.u64("the quantizer's dimension")?;
        self.same(at, "the quantizer's dimension", dims, header.dims as u64)
    }

    fn pq(&mut self, header: &Header) -> Result<Pq, Error> {
        self.same_dims(header)?;
        let dims = header.dims as u64;
        let at = self.at;
        let m = self.count("the number of sub-quantizers", dims)?;
        if !header.dims.is_multiple_of(m) {
            return Err(
                self.damaged(at, format!("{m} sub-quantizers do not divide {dims} dimensions"))
            );
        }
        let at = self.at;
        let nbits = self.u64("the bits of a sub-quantizer")?;
        if !PQ_BITS.contains(&nbits) {
            return Err(self.damaged(at, format!("a sub-quantizer of {nbits} bits")));
        }
        let centroids = self.exactly(dims << nbits, 4, "the codebooks")?;
        Ok(Pq { m, nbits: nbits as u32, centroids })
    }

    fn sq(&mut self, header: &Header) -> Result<Sq, Error> {
        let kind = self.i32("the kind of scalar quantizer")?;
        self.i32("the kind of range")?;
        self.f32("the range's argument")?;
        self.same_dims(header)?;
        let (at, dims) = (self.at, header.dims as u64);
        let code_size = self.u64("the code size")?;
        let expected = match kind {
            0 | 2 | 5 | 8 => Some(dims),
            1 | 3 => Some(dims.div_ceil(2)),
            4 | 7 => Some(dims * 2),
            6 => Some((dims * 6).div_ceil(8)),
            _ => None,
        };
        match expected {
            Some(expected) => self.same(at, "the code size", code_size, expected)?,
            None if code_size > dims * BYTES_PER_COMPONENT + FACTOR_BYTES => {
                return Err(self.damaged(at, format!("the code size is {code_size}")));
            }
            None => {}
        }
        let at = self.at;
        let trained = self.array(4, "the quantizer's ranges")?;
        let expected = match kind {
            0 | 1 | 6 if header.is_trained => Some(dims * 2),
            2 | 3 if header.is_trained => Some(2),
            _ => None,
        };
        if let Some(expected) = expected {
            self.same(at, "the number of ranges", trained.len, expected)?;
        }
        Ok(Sq { kind, code_size: code_size as usize, trained })
    }

    fn rabitq(&mut self, header: &Header, has_bits: bool) -> Result<RaBitQ, Error> {
        self.same_dims(header)?;
        let (size_at, code_size) = (self.at, self.u64("the code size")?);
        self.i32("the quantizer's metric")?;
        let at = self.at;
        let nbits = if has_bits { self.u64("the bits of a component")? } else { 1 };
        if !(1..=9).contains(&nbits) {
            return Err(self.damaged(at, format!("a component of {nbits} bits")));
        }
        let dims = header.dims as u64;
        let factors = if nbits == 1 { 8 } else { 20 };
        let expected = dims.div_ceil(8) + (dims * (nbits - 1)).div_ceil(8) + factors;
        self.same(size_at, "the code size", code_size, expected)?;
        Ok(RaBitQ { nbits: nbits as u32, code_size: code_size as usize })
    }
}

impl Pq {
    /// Bytes of a code.
    pub(crate) fn code_size(&self) -> usize {
        (self.m * self.nbits as usize).div_ceil(8)
    }
}
