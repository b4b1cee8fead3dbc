//! The kinds of lossy codes by name and by number.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use super::CodeKind;

/// Sub-quantizers that a product quantizer or OPQ can have; they must also divide the dimension.
pub const M_RANGE: RangeInclusive<u16> = 1..=4096;
/// Bits of a sub-quantizer of [`CodeKind::Pq`].
pub const PQ_NBITS: RangeInclusive<u8> = 4..=12;
/// Bits a component of [`CodeKind::RaBitQ`].
pub const RABITQ_NBITS: RangeInclusive<u8> = 1..=8;
/// The number that stands for vectors stored as they are, without a lossy code.
pub const FLAT: u8 = 0;

impl CodeKind {
    /// The word of the option `code`.
    pub fn name(self) -> &'static str {
        match self {
            CodeKind::SqFp16 => "sqfp16",
            CodeKind::Sq8 => "sq8",
            CodeKind::Sq4 => "sq4",
            CodeKind::Pq { .. } => "pq",
            CodeKind::PqFs { .. } => "pqfs",
            CodeKind::RaBitQ { .. } => "rabitq",
        }
    }

    /// What the metapage stores: the number of the kind, `m` (0 where there are no sub-quantizers) and `nbits`, the
    /// bits of each sub-quantizer or else of each component.
    pub fn to_numbers(self) -> (u8, u16, u8) {
        match self {
            CodeKind::SqFp16 => (1, 0, 16),
            CodeKind::Sq8 => (2, 0, 8),
            CodeKind::Sq4 => (3, 0, 4),
            CodeKind::Pq { m, nbits } => (4, m, nbits),
            CodeKind::PqFs { m } => (5, m, 4),
            CodeKind::RaBitQ { nbits } => (6, 0, nbits),
        }
    }

    /// The kind with these numbers; `None` if no kind ever had them. [`FLAT`] is none of the lossy kinds.
    pub fn from_numbers(kind: u8, m: u16, nbits: u8) -> Option<Self> {
        let code = match kind {
            1 => CodeKind::SqFp16,
            2 => CodeKind::Sq8,
            3 => CodeKind::Sq4,
            4 if M_RANGE.contains(&m) && PQ_NBITS.contains(&nbits) => CodeKind::Pq { m, nbits },
            5 if M_RANGE.contains(&m) => CodeKind::PqFs { m },
            6 if RABITQ_NBITS.contains(&nbits) => CodeKind::RaBitQ { nbits },
            _ => return None,
        };
        (code.to_numbers() == (kind, m, nbits)).then_some(code)
    }

    /// Sub-quantizers, for the two kinds that have any: they must divide the dimension.
    pub fn m(self) -> Option<u16> {
        match self {
            CodeKind::Pq { m, .. } | CodeKind::PqFs { m } => Some(m),
            _ => None,
        }
    }
}

/// FAISS's word, as in a factory string.
impl Display for CodeKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            CodeKind::SqFp16 => f.write_str("SQfp16"),
            CodeKind::Sq8 => f.write_str("SQ8"),
            CodeKind::Sq4 => f.write_str("SQ4"),
            CodeKind::Pq { m, nbits: 8 } => write!(f, "PQ{m}"),
            CodeKind::Pq { m, nbits } => write!(f, "PQ{m}x{nbits}"),
            CodeKind::PqFs { m } => write!(f, "PQ{m}x4fs"),
            CodeKind::RaBitQ { nbits: 1 } => f.write_str("RaBitQ"),
            CodeKind::RaBitQ { nbits } => write!(f, "RaBitQ{nbits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CodeKind, FLAT};

    #[test]
    fn numbers_are_these_for_good() {
        for (code, numbers) in [
            (CodeKind::SqFp16, (1, 0, 16)),
            (CodeKind::Sq8, (2, 0, 8)),
            (CodeKind::Sq4, (3, 0, 4)),
            (CodeKind::Pq { m: 4096, nbits: 12 }, (4, 4096, 12)),
            (CodeKind::Pq { m: 1, nbits: 4 }, (4, 1, 4)),
            (CodeKind::PqFs { m: 16 }, (5, 16, 4)),
            (CodeKind::RaBitQ { nbits: 1 }, (6, 0, 1)),
            (CodeKind::RaBitQ { nbits: 8 }, (6, 0, 8)),
        ] {
            assert_eq!(code.to_numbers(), numbers);
            let (kind, m, nbits) = numbers;
            assert_eq!(CodeKind::from_numbers(kind, m, nbits), Some(code));
        }
    }

    #[test]
    fn other_numbers_are_no_code() {
        for (kind, m, nbits) in [
            (FLAT, 0, 0),
            (1, 0, 8),
            (2, 1, 8),
            (4, 0, 8),
            (4, 4097, 8),
            (4, 8, 3),
            (4, 8, 13),
            (5, 0, 4),
            (5, 8, 8),
            (6, 0, 0),
            (6, 0, 9),
            (6, 1, 4),
            (7, 0, 0),
            (255, 8, 8),
        ] {
            assert_eq!(CodeKind::from_numbers(kind, m, nbits), None, "{kind} {m} {nbits}");
        }
    }
}
