//! The vectors of a graph over `sparsevec`: rows of any length on SPARSE pages. In the place of a code a lane of a NODES page
//! has where the row of its node is.
//!
//! [`page`] what a SPARSE page holds · [`read`] the rows of many nodes · [`put`] a place for a new row · [`sweep`] rows of
//! nobody leave, for VACUUM.

pub mod page;
pub(super) mod put;
pub mod read;
pub(super) mod sweep;

use ann::hnsw::Factors;

use crate::bytes::{put as put_bytes, put_u16, put_u32, u16_at, u32_at};
use crate::page::{Blkno, INVALID_BLKNO};

/// The most elements other than zero that a row has.
pub const STORED_MAX: usize = 1000;
/// The most dimensions of a vector.
pub const DIMS_MAX: usize = 1_000_000_000;
/// Bytes in the place of a code.
pub const CODE_BYTES: usize = 16;

/// The factors of every node: nothing is computed from them.
pub const FACTORS: Factors = Factors { bias: 0.0, step: 0.0 };

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowAt {
    /// Its SPARSE page; INVALID: there is no row.
    pub blkno: Blkno,
    /// Its slot there.
    pub slot: u16,
}

impl RowAt {
    /// No row.
    pub const NONE: Self = Self { blkno: INVALID_BLKNO, slot: 0 };

    /// What stands in the place of a code.
    pub fn to_code(self) -> [u8; CODE_BYTES] {
        let mut code = [0; CODE_BYTES];
        put_u32(&mut code, 0, self.blkno);
        put_u16(&mut code, 4, self.slot);
        code
    }

    /// Reads what stands in the place of a code.
    pub fn of_code(code: &[u8]) -> Self {
        match code.first_chunk::<CODE_BYTES>() {
            Some(code) => Self { blkno: u32_at(code, 0), slot: u16_at(code, 4) },
            None => Self::NONE,
        }
    }

    /// Whether there is no row.
    pub fn is_none(self) -> bool {
        self.blkno == INVALID_BLKNO
    }
}

/// The bytes of a row: its positions, then its elements.
pub fn bytes_of(row: ann::kernels::sparse::Sparse<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.resize(size_of_val(row.indices) + size_of_val(row.values), 0);
    put_bytes(out, 0, bytemuck::cast_slice(row.indices));
    put_bytes(out, size_of_val(row.indices), bytemuck::cast_slice(row.values));
}
