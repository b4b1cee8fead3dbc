//! FAISS's index_factory strings, as far as there are indexes for them: what a string asks for, and the canonical
//! string back. `parse.rs` takes strings apart.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use crate::codec::{CodeKind, M_RANGE};
use crate::rotation::HadamardRotation;

pub use parse::is_binary;

/// What the grammar knows; for an error's hint.
pub const SUPPORTED: &str = "HNSW[m][,Flat|,SQfp16|,SQ8], with m from 2 to 100, or [L2norm,][RR,|HR,|OPQm,][IVFn,]{Flat|SQfp16|SQ8|SQ4|PQm[xb][np]|PQmx4fs|RaBitQ[b]}[,RFlat|,Refine(SQfp16)|,Refine(SQ8)], \
    with n from 1 to 4194304 (a k after n multiplies by 1024), m from 1 to 4096, b from 4 to 12, of RaBitQ from 1 to 8; over bits BFlat, BIVFn and BHNSW[m]";

/// Links of a node of a graph (`HNSWm`) on every level but the lowest, which has twice as many.
pub const LINKS_RANGE: RangeInclusive<u16> = 2..=100;
/// Links of a node where the string does not say, as in FAISS.
pub const LINKS_DEFAULT: u16 = 32;

/// What a factory string asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Factory {
    /// Whether vectors are divided by their norm before anything else (`L2norm,`).
    pub normalize: bool,
    /// The rotation before the coarse quantizer.
    pub rotation: RotationKind,
    /// Links of a node of the graph (`HNSWm`); `None` for an index that is no graph. A graph has none of the other parts
    /// but the code.
    pub graph: Option<u16>,
    /// Inverted lists; `None` for an index without a coarse quantizer.
    pub nlist: Option<u32>,
    /// The lossy code; `None` = `Flat`.
    pub code: Option<CodeKind>,
    /// Where real distances come from. [`Refine::Heap`] with `Flat`, which has nothing to refine.
    pub refine: Refine,
}

/// A d × d rotation that vectors go through before the coarse quantizer and the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RotationKind {
    /// None: vectors stay as they are.
    #[default]
    None,
    /// A random rotation as a matrix, not trained (`RR`).
    Random,
    /// A random rotation by signs and Hadamard transforms, without a matrix (`HR`). FAISS's fills vectors up to a power of
    /// two; this one keeps the dimension.
    Hadamard,
    /// Optimized product quantization (`OPQm`; Ge and others 2013): a rotation trained for a product quantizer.
    Opq {
        /// Sub-quantizers it is trained for; need not be the code's.
        m: u16,
    },
}

impl RotationKind {
    /// The number of the kind and OPQ's `m` (else 0), as the metapage stores them.
    pub fn to_numbers(self) -> (u8, u16) {
        match self {
            RotationKind::None => (0, 0),
            RotationKind::Random => (1, 0),
            RotationKind::Opq { m } => (2, m),
            RotationKind::Hadamard => (3, 0),
        }
    }

    /// The rotation with these numbers; `None` if none ever had them.
    pub fn from_numbers(kind: u8, m: u16) -> Option<Self> {
        match (kind, m) {
            (0, 0) => Some(RotationKind::None),
            (1, 0) => Some(RotationKind::Random),
            (2, m) if M_RANGE.contains(&m) => Some(RotationKind::Opq { m }),
            (3, 0) => Some(RotationKind::Hadamard),
            _ => None,
        }
    }

    /// Whether it is drawn at random, and learns nothing of the rows.
    pub fn is_drawn(self) -> bool {
        matches!(self, RotationKind::Random | RotationKind::Hadamard)
    }

    /// Whether it is a matrix of dims² floats.
    pub fn has_matrix(self) -> bool {
        matches!(self, RotationKind::Random | RotationKind::Opq { .. })
    }

    /// Floats that such a rotation of `dims` dimensions is stored as.
    pub fn params_len(self, dims: usize) -> usize {
        match self {
            RotationKind::None => 0,
            RotationKind::Random | RotationKind::Opq { .. } => dims * dims,
            RotationKind::Hadamard => HadamardRotation::signs_len(dims),
        }
    }
}

/// Where the real distances come from that re-rank the candidates of a lossy code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Refine {
    /// The rows of the table; nothing is added to the index. A factory string says so by saying nothing.
    #[default]
    Heap,
    /// The vectors, stored in the index as the column has them (`RFlat`).
    Flat,
    /// 16-bit floats stored in the index narrow the candidates down, the table's rows have the last word.
    SqFp16,
    /// 8 bits a component, likewise.
    Sq8,
}

impl Refine {
    /// Every place, in the order of their numbers.
    pub const ALL: [Refine; 4] = [Refine::Heap, Refine::Flat, Refine::SqFp16, Refine::Sq8];

    /// The number stored in an index's metapage.
    pub fn to_u8(self) -> u8 {
        match self {
            Refine::Heap => 0,
            Refine::Flat => 1,
            Refine::SqFp16 => 2,
            Refine::Sq8 => 3,
        }
    }

    /// The place with that stored number, or `None` for a number never given out.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|refine| refine.to_u8() == number)
    }

    /// The word of the option `refine`.
    pub fn name(self) -> &'static str {
        match self {
            Refine::Heap => "heap",
            Refine::Flat => "flat",
            Refine::SqFp16 => "sqfp16",
            Refine::Sq8 => "sq8",
        }
    }
}

/// Why a factory string was not taken. Each kind names the part at fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FactoryError {
    /// The string is empty.
    #[error("factory string is empty")]
    Empty,
    /// A part that means nothing here.
    #[error("factory string \"{whole}\" has a part that is not understood: \"{part}\"")]
    NotUnderstood {
        /// The string.
        whole: String,
        /// The part.
        part: String,
    },
    /// A part that FAISS would take and that there is no index for.
    #[error("factory string \"{whole}\" has a part that is not supported: \"{part}\"")]
    Unsupported {
        /// The string.
        whole: String,
        /// The part.
        part: String,
        /// What stands against it, as a sentence.
        why: &'static str,
    },
    /// The code part is missing.
    #[error("factory string \"{whole}\" ends without a code after \"{part}\"")]
    NoCode {
        /// The string.
        whole: String,
        /// The part after which it ends.
        part: String,
    },
    /// A number too large or too small.
    #[error("factory string \"{whole}\" has a number out of range: \"{part}\"")]
    OutOfRange {
        /// The string.
        whole: String,
        /// The part with the number.
        part: String,
        /// The range, as a sentence.
        why: &'static str,
    },
}

impl FactoryError {
    /// What stands against the part at fault, as a sentence, where the message does not say it all.
    pub fn why(&self) -> Option<&'static str> {
        match self {
            FactoryError::Unsupported { why, .. } | FactoryError::OutOfRange { why, .. } => {
                Some(why)
            }
            _ => None,
        }
    }
}

/// The canonical string, which `parse` takes back.
impl Display for Factory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.normalize {
            f.write_str("L2norm,")?;
        }
        match self.rotation {
            RotationKind::None => {}
            RotationKind::Random => f.write_str("RR,")?,
            RotationKind::Hadamard => f.write_str("HR,")?,
            RotationKind::Opq { m } => write!(f, "OPQ{m},")?,
        }
        if let Some(m) = self.graph {
            write!(f, "HNSW{m},")?;
        }
        if let Some(nlist) = self.nlist {
            write!(f, "IVF{nlist},")?;
        }
        match self.code {
            None => f.write_str("Flat")?,
            Some(code) => code.fmt(f)?,
        }
        f.write_str(match self.refine {
            Refine::Heap => "",
            Refine::Flat => ",RFlat",
            Refine::SqFp16 => ",Refine(SQfp16)",
            Refine::Sq8 => ",Refine(SQ8)",
        })
    }
}
