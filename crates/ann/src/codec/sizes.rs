//! What follows from a kind of code alone: its sizes, and how many rows train it.

use super::codebooks::POINTS_PER_CENTROID;
use super::{CodeKind, PQ_NBITS};

/// Points that FAISS trains a scalar quantizer of an inverted file with at most.
const SQ_ROWS: usize = 100_000;

impl CodeKind {
    /// Sub-quantizers and their bits.
    fn quantizers(self) -> Option<(usize, u8)> {
        match self {
            CodeKind::Pq { m, nbits } => Some((usize::from(m), nbits)),
            CodeKind::PqFs { m } => Some((usize::from(m), 4)),
            _ => None,
        }
    }

    /// Bytes of a vector's code in FAISS's layout, its factors included.
    pub fn code_size(self, dims: usize) -> usize {
        let bare = match self {
            CodeKind::SqFp16 => 2 * dims,
            CodeKind::Sq8 => dims,
            CodeKind::Sq4 => dims.div_ceil(2),
            CodeKind::Pq { m, nbits } => (usize::from(m) * usize::from(nbits)).div_ceil(8),
            CodeKind::PqFs { m } => usize::from(m).div_ceil(2),
            CodeKind::RaBitQ => dims.div_ceil(8),
        };
        bare + size_of::<f32>() * self.n_factors()
    }

    /// Units of a block's codes, factors not included.
    pub fn units(self, dims: usize) -> usize {
        match self {
            CodeKind::SqFp16 => 2 * dims,
            CodeKind::Sq8 => dims,
            CodeKind::Sq4 => dims.div_ceil(2),
            CodeKind::Pq { m, nbits: ..=4 } | CodeKind::PqFs { m } => usize::from(m).div_ceil(2),
            CodeKind::Pq { m, nbits: 5..=8 } => usize::from(m),
            // Three for two sub-quantizers; an odd last one has its low bytes and its high bits.
            CodeKind::Pq { m, .. } => usize::from(m / 2) * 3 + usize::from(m % 2) * 2,
            CodeKind::RaBitQ => dims.div_ceil(4).div_ceil(2),
        }
    }

    /// Floats kept per vector beside its code.
    pub fn n_factors(self) -> usize {
        if self == CodeKind::RaBitQ { 2 } else { 0 }
    }

    /// Whether the code is of the vector less its list's centroid.
    pub fn by_residual(self) -> bool {
        !matches!(self, CodeKind::PqFs { .. })
    }

    /// How many floats training gives.
    pub fn params_len(self, dims: usize) -> usize {
        match (self, self.quantizers()) {
            (_, Some((_, nbits))) => dims << nbits.min(16),
            (CodeKind::Sq8 | CodeKind::Sq4, _) => 2 * dims,
            _ => 0,
        }
    }

    /// The most points that FAISS would train with; 0 where there is nothing to train.
    pub fn training_rows(self) -> usize {
        match (self, self.quantizers()) {
            (_, Some((_, nbits))) => POINTS_PER_CENTROID << nbits.min(16),
            (CodeKind::Sq8 | CodeKind::Sq4, _) => SQ_ROWS,
            _ => 0,
        }
    }

    /// The fewest points that can train it.
    pub fn rows_min(self) -> usize {
        self.quantizers().map_or(1, |(_, nbits)| 1 << nbits.min(16))
    }

    /// Candidates to re-rank for each row wanted, where nobody said how many: the fewer bits a component has, the less
    /// the estimates can be trusted.
    pub fn k_factor(self, dims: usize) -> usize {
        let bits = 8.0 * (self.code_size(dims) - size_of::<f32>() * self.n_factors()) as f64;
        match bits / dims.max(1) as f64 {
            8.0.. => 2,
            4.0.. => 3,
            2.0.. => 8,
            1.0.. => 12,
            _ => 24,
        }
    }

    /// Whether there is such a code of vectors of `dims` components: bits in range, and `m` divides the dimension.
    pub fn fits(self, dims: usize) -> bool {
        dims > 0
            && self.quantizers().is_none_or(|(m, nbits)| {
                PQ_NBITS.contains(&nbits) && m > 0 && dims.is_multiple_of(m)
            })
    }
}
