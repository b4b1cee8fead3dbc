//! What follows from a kind of code alone: its sizes, and how many rows train it.

use super::codebooks::POINTS_PER_CENTROID;
use super::{CodeKind, PQ_NBITS, RABITQ_NBITS};

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

    /// Bytes of a vector's code in FAISS's layout, its factors included: of RaBitQ two floats, with more than one bit five.
    pub fn code_size(self, dims: usize) -> usize {
        let factors = match self {
            CodeKind::RaBitQ { nbits: ..=1 } => 2,
            CodeKind::RaBitQ { .. } => 5,
            _ => 0,
        };
        self.bare_size(dims) + factors * size_of::<f32>()
    }

    /// Bytes of the bare code: without the factors that FAISS stores.
    pub fn bare_size(self, dims: usize) -> usize {
        match self {
            CodeKind::SqFp16 => 2 * dims,
            CodeKind::Sq8 => dims,
            CodeKind::Sq4 => dims.div_ceil(2),
            CodeKind::Pq { m, nbits } => (usize::from(m) * usize::from(nbits)).div_ceil(8),
            CodeKind::PqFs { m } => usize::from(m).div_ceil(2),
            CodeKind::RaBitQ { nbits } => {
                let rest = usize::from(nbits.saturating_sub(1));
                dims.div_ceil(8) + (dims * rest).div_ceil(8)
            }
        }
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
            CodeKind::RaBitQ { nbits } => dims.div_ceil(8) * usize::from(nbits),
        }
    }

    /// Floats kept per vector beside its code.
    pub fn n_factors(self) -> usize {
        if matches!(self, CodeKind::RaBitQ { .. }) { 2 } else { 0 }
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

    /// Bytes that a query made ready takes, about.
    pub fn query_bytes(self, dims: usize) -> usize {
        // Of a unit: two tables of bytes, and the floats that they come from.
        let unit = 2 * 16 * (1 + size_of::<f32>()) + 64;
        let tables = match self {
            CodeKind::Pq { m, nbits } => {
                let entries = if (5..=8).contains(&nbits) { 256 } else { 1 << nbits.min(16) };
                usize::from(m).next_multiple_of(2) * entries * size_of::<f32>()
            }
            CodeKind::SqFp16 | CodeKind::Sq8 | CodeKind::Sq4 => 0,
            _ => self.units(dims) * unit,
        };
        tables + 3 * dims * size_of::<f32>()
    }

    /// Candidates to re-rank for each row wanted, where nobody said how many: the fewer bits a component has, the less
    /// the estimates can be trusted. On real vectors the rows lost by these are less than one in a hundred of those found, by
    /// `RaBitQ` of several bits less than three in a thousand.
    pub fn k_factor(self, dims: usize) -> usize {
        let bits = 8.0 * self.bare_size(dims) as f64;
        match (self, bits / dims.max(1) as f64) {
            (CodeKind::RaBitQ { nbits: 3.. }, _) | (_, 8.0..) => 2,
            (_, 4.0..) => 3,
            (CodeKind::RaBitQ { nbits: 2 }, _) => 4,
            (_, 2.0..) => 8,
            (_, 1.0..) => 12,
            _ => 24,
        }
    }

    /// Whether there is such a code of vectors of `dims` components: bits in range, and `m` divides the dimension.
    pub fn fits(self, dims: usize) -> bool {
        let has_bits = match self {
            CodeKind::RaBitQ { nbits } => RABITQ_NBITS.contains(&nbits),
            _ => true,
        };
        dims > 0
            && has_bits
            && self.quantizers().is_none_or(|(m, nbits)| {
                PQ_NBITS.contains(&nbits) && m > 0 && dims.is_multiple_of(m)
            })
    }
}
