//! `sparsevec` values as the server passes them.
//!
//! ```text
//! 0   u32  varlena header (server format, always 4 bytes here)
//! 4   i32  dims, 1..=1,000,000,000
//! 8   i32  stored elements, 0..=16,000
//! 12  i32  reserved, 0
//! 16  i32  positions, one for each stored element; they count from 0 and ascend
//!     f32  elements, none of them 0
//! ```
//! The layout is pgvector's, so that clients and data made for it fit.

use std::mem::size_of;

use ann::kernels::sparse::Sparse;
use grammar::sparse;
use pgrx::pg_sys;

use super::{Plain, report_damaged};

#[repr(C)]
struct Header {
    vl_len: u32,
    dims: i32,
    stored: i32,
    reserved: i32,
}

const HEADER_SIZE: usize = size_of::<Header>();
/// Bytes of a position and its element.
const PAIR_SIZE: usize = size_of::<i32>() + size_of::<f32>();

/// A value read in place, or expanded as [`super::Varlena`] is.
pub struct SparseVarlena<'a> {
    plain: Plain<'a>,
    dims: usize,
    stored: usize,
}

impl SparseVarlena<'_> {
    /// Reads a datum.
    ///
    /// Errors: XX001 when the stored value contradicts itself: counts out of range or not fitting its length, positions
    /// that do not ascend or lie outside the dimensions.
    ///
    /// # Safety
    /// `datum` is a non-null `sparsevec` and outlives the value.
    pub unsafe fn from_datum(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller passes a varlena that lives long enough.
        let plain = unsafe { Plain::from_datum(datum) };
        let size = plain.size();
        let damaged = || report_damaged("sparsevec", size, "dimensions and positions");
        if size < HEADER_SIZE {
            damaged();
        }
        let header = plain.start().cast::<Header>();
        // SAFETY: the value has a whole header, as was just checked.
        let (dims, stored) = unsafe { ((*header).dims, (*header).stored) };
        let counts = sparse::check_dims(i64::from(dims)).and_then(|dims| {
            let stored = sparse::check_stored(i64::from(stored), dims)?;
            Ok((dims, stored))
        });
        let Ok((dims, stored)) = counts else { damaged() };
        // The check that the accessors rely on.
        if size != HEADER_SIZE + stored * PAIR_SIZE {
            damaged();
        }
        let value = SparseVarlena { plain, dims, stored };
        if !sparse::are_indices(value.indices(), dims) {
            damaged();
        }
        value
    }

    /// The number of dimensions.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The positions of the stored elements: ascending, from 0, below `dims()`.
    pub fn indices(&self) -> &[i32] {
        // SAFETY: from_datum checked that `stored` positions and as many elements follow the header; the server
        // aligns the type to 4 bytes.
        unsafe { std::slice::from_raw_parts(self.behind_header().cast::<i32>(), self.stored) }
    }

    /// The stored elements.
    pub fn values(&self) -> &[f32] {
        // SAFETY: as for the positions, which the elements follow.
        unsafe {
            let first = self.behind_header().cast::<f32>().add(self.stored);
            std::slice::from_raw_parts(first, self.stored)
        }
    }

    /// The stored elements as the kernels take them.
    pub fn elements(&self) -> Sparse<'_> {
        Sparse { indices: self.indices(), values: self.values() }
    }

    fn behind_header(&self) -> *const u8 {
        // SAFETY: from_datum made sure of a whole header.
        unsafe { self.plain.start().add(HEADER_SIZE) }
    }
}

/// A new value in the current memory context. The caller has checked its parts as [`grammar::sparse`] does; of
/// unequally many positions and elements those are left out that have no counterpart.
pub fn new_sparse(dims: usize, indices: &[i32], values: &[f32]) -> pg_sys::Datum {
    let stored = indices.len().min(values.len()).min(sparse::STORED_MAX);
    let size = HEADER_SIZE + stored * PAIR_SIZE;
    // SAFETY: palloc0 returns that many zeroed bytes, MAXALIGNed, or raises an error; the allocation begins with a
    // header; size <= 128,016 fits the varlena length.
    let start = unsafe {
        let start = pg_sys::palloc0(size).cast::<u8>();
        pgrx::set_varsize_4b(start.cast(), size as i32);
        let header = start.cast::<Header>();
        (*header).dims = dims as i32;
        (*header).stored = stored as i32;
        start
    };
    // SAFETY: there is room for `stored` of both behind the header, and both slices have as many.
    unsafe {
        let first = start.add(HEADER_SIZE).cast::<i32>();
        std::ptr::copy_nonoverlapping(indices.as_ptr(), first, stored);
        std::ptr::copy_nonoverlapping(values.as_ptr(), first.add(stored).cast::<f32>(), stored);
    }
    pg_sys::Datum::from(start)
}
