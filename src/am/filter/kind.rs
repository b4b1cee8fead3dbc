//! Kinds of filter columns: what a value of the column is to the server, and which number an entry keeps for it.
//!
//! The number orders as the values do, except where only equality is kept. The operator class says its kind by support
//! function 1, as that of vectors says metric and elements; no type's OID is tested.

use pgrx::pg_sys;

use crate::am::support_function::support_function;

/// Strategies of filter columns: those of a B-tree, and two of arrays.
pub const LESS: u16 = 1;
pub const LESS_EQUAL: u16 = 2;
pub const EQUAL: u16 = 3;
pub const GREATER_EQUAL: u16 = 4;
pub const GREATER: u16 = 5;
pub const OVERLAPS: u16 = 6;
pub const CONTAINS: u16 = 7;

/// What a column's values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    Bool = 1,
    Int2 = 2,
    Int4 = 3,
    Int8 = 4,
    Float4 = 5,
    Float8 = 6,
    /// 32 bits without a sign: `oid`, and values of an enum, of which only equality means anything.
    Oid = 7,
    /// 16 bytes that compare as they lie: `uuid`.
    Uuid = 8,
    /// `numeric`, by the nearest number of type `float8`.
    Numeric = 9,
    /// Any type with a hash function, by the hash.
    Hash = 10,
    /// Arrays, by a bit of 64 for each element.
    Array = 11,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Bool,
        Self::Int2,
        Self::Int4,
        Self::Int8,
        Self::Float4,
        Self::Float8,
        Self::Oid,
        Self::Uuid,
        Self::Numeric,
        Self::Hash,
        Self::Array,
    ];

    /// Bytes that an entry keeps of a value.
    pub const fn width(self) -> u8 {
        match self {
            Self::Bool => 1,
            Self::Int2 => 2,
            Self::Int4 | Self::Float4 | Self::Oid => 4,
            Self::Int8 | Self::Float8 | Self::Numeric | Self::Hash | Self::Array => 8,
            Self::Uuid => 16,
        }
    }

    /// The largest number that is kept for a value.
    pub const fn most(self) -> u128 {
        match self {
            Self::Bool => 1,
            _ => u128::MAX >> (128 - 8 * self.width() as u32),
        }
    }

    /// Whether several values can have the same number, so that the row itself has the last word.
    pub const fn is_lossy(self) -> bool {
        matches!(self, Self::Numeric | Self::Hash | Self::Array)
    }

    /// Whether the operator class may have an operator of this strategy.
    pub const fn has_strategy(self, strategy: u16) -> bool {
        match self {
            Self::Hash => strategy == EQUAL,
            Self::Array => strategy == OVERLAPS || strategy == CONTAINS,
            _ => strategy >= LESS && strategy <= GREATER,
        }
    }
}

/// The descriptor behind support function 1 of a filter column's operator class; an interface to other extensions, so its layout
/// is fixed: magic, layout version, kind, rest zero.
#[repr(C)]
pub struct Support {
    magic: u32,
    version: u16,
    kind: u8,
    reserved: [u8; 17],
}

pub const SUPPORT_MAGIC: u32 = 0x4641_4154; // "FAAT"
const SUPPORT_VERSION: u16 = 1;

impl Support {
    const fn new(kind: Kind) -> Self {
        Self { magic: SUPPORT_MAGIC, version: SUPPORT_VERSION, kind: kind as u8, reserved: [0; 17] }
    }

    /// The kind; None if this is no descriptor of this version.
    pub fn kind(&self) -> Option<Kind> {
        let is_ours = self.magic == SUPPORT_MAGIC && self.version == SUPPORT_VERSION;
        Kind::ALL.into_iter().find(|kind| is_ours && *kind as u8 == self.kind)
    }
}

support_function!(
    faiss_bool_support,
    pg_finfo_faiss_bool_support,
    Support,
    Support::new(Kind::Bool)
);
support_function!(
    faiss_int2_support,
    pg_finfo_faiss_int2_support,
    Support,
    Support::new(Kind::Int2)
);
support_function!(
    faiss_int4_support,
    pg_finfo_faiss_int4_support,
    Support,
    Support::new(Kind::Int4)
);
support_function!(
    faiss_int8_support,
    pg_finfo_faiss_int8_support,
    Support,
    Support::new(Kind::Int8)
);
support_function!(
    faiss_float4_support,
    pg_finfo_faiss_float4_support,
    Support,
    Support::new(Kind::Float4)
);
support_function!(
    faiss_float8_support,
    pg_finfo_faiss_float8_support,
    Support,
    Support::new(Kind::Float8)
);
support_function!(faiss_oid_support, pg_finfo_faiss_oid_support, Support, Support::new(Kind::Oid));
support_function!(
    faiss_uuid_support,
    pg_finfo_faiss_uuid_support,
    Support,
    Support::new(Kind::Uuid)
);
support_function!(
    faiss_numeric_support,
    pg_finfo_faiss_numeric_support,
    Support,
    Support::new(Kind::Numeric)
);
support_function!(
    faiss_hash_support,
    pg_finfo_faiss_hash_support,
    Support,
    Support::new(Kind::Hash)
);
support_function!(
    faiss_array_support,
    pg_finfo_faiss_array_support,
    Support,
    Support::new(Kind::Array)
);
