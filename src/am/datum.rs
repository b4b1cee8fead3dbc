//! `vector` and `halfvec` values as the server passes them: the only code that knows their
//! varlena layout. `sparse` knows that of `sparsevec`, `bits` that of bit strings.
//!
//! ```text
//! 0  u32  varlena header (server format, always 4 bytes here)
//! 4  i16  dims, 1..=16,000
//! 6  i16  reserved, 0
//! 8  E    elements, E = f32 for `vector`, f16 for `halfvec`
//! ```
//! The layout is pgvector's, so that clients and data made for it fit.

pub mod bits;
pub mod sparse;

use std::marker::PhantomData;
use std::mem::size_of;
use std::ptr::NonNull;

use bytemuck::Pod;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::report::Report;

/// The most dimensions a value of either type can have.
pub const MAX_DIMS: usize = grammar::DIMS_MAX;

#[repr(C)]
struct Header {
    vl_len: u32,
    dims: i16,
    reserved: i16,
}

const HEADER_SIZE: usize = size_of::<Header>();

/// A varlena with a 4-byte header. A value that the server handed over plain is borrowed without a copy (`'a` is the
/// life of that datum). A toasted, compressed or short-header value is expanded into the current memory context; the
/// copy is freed on drop, or, when an error unwinds, with its memory context.
struct Plain<'a> {
    start: NonNull<u8>,
    owned: bool,
    datum: PhantomData<&'a [u8]>,
}

impl Plain<'_> {
    /// # Safety
    /// `datum` is a non-null varlena and outlives the value.
    #[inline]
    unsafe fn from_datum(datum: pg_sys::Datum) -> Self {
        let given = datum.cast_mut_ptr::<pg_sys::varlena>();
        // SAFETY: the caller passes a varlena; its first byte tells the header form.
        let is_plain = unsafe { pgrx::varatt_is_4b_u(given) };
        let full = if is_plain {
            given
        } else {
            // SAFETY: as above; the result is a palloc'd varlena with a 4-byte header.
            unsafe { pg_sys::pg_detoast_datum(given) }
        };
        // SAFETY: the caller's datum is not null, and detoasting gives a value or raises an error.
        let start = unsafe { NonNull::new_unchecked(full.cast::<u8>()) };
        Plain { start, owned: !is_plain, datum: PhantomData }
    }

    /// Its bytes, the header's among them.
    #[inline]
    fn size(&self) -> usize {
        // SAFETY: from_datum made sure of a 4-byte header.
        unsafe { pgrx::varsize_4b(self.start.as_ptr().cast()) }
    }

    /// Where it begins; `size()` bytes are there.
    #[inline]
    fn start(&self) -> *const u8 {
        self.start.as_ptr()
    }
}

impl Drop for Plain<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.owned && !std::thread::panicking() {
            // SAFETY: `owned` says that pg_detoast_datum allocated this copy for us.
            unsafe { pg_sys::pfree(self.start.as_ptr().cast()) }
        }
    }
}

/// A value read in place, or expanded: `E` is `f32` for `vector` and `half::f16` for `halfvec`.
pub struct Varlena<'a, E> {
    plain: Plain<'a>,
    elements: PhantomData<E>,
}

impl<E: Pod> Varlena<'_, E> {
    /// Reads a datum of the type whose elements are `E`.
    ///
    /// Errors: XX001 when the stored value contradicts itself (length and dims do not fit).
    ///
    /// # Safety
    /// `datum` is a non-null value of the matching type and outlives the value.
    #[inline]
    pub unsafe fn from_datum(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller passes a varlena that lives long enough.
        let plain = unsafe { Plain::from_datum(datum) };
        let size = plain.size();
        let value = Varlena { plain, elements: PhantomData };
        // The one check every later access relies on; reads dims only behind a whole header.
        if size <= HEADER_SIZE
            || size != HEADER_SIZE + value.dims() * size_of::<E>()
            || value.dims() > MAX_DIMS
        {
            report_damaged("vector", size, "number of dimensions");
        }
        value
    }

    /// The number of dimensions.
    #[inline]
    pub fn dims(&self) -> usize {
        // SAFETY: from_datum made sure of a whole header (or did not return).
        usize::from(unsafe { (*self.plain.start().cast::<Header>()).dims }.cast_unsigned())
    }

    /// The elements, `dims()` of them.
    #[inline]
    pub fn elements(&self) -> &[E] {
        // SAFETY: from_datum checked that the varlena holds exactly dims elements behind the
        // header; the server aligns the type to 4 bytes; E is plain data.
        unsafe {
            let first = self.plain.start().add(HEADER_SIZE).cast::<E>();
            std::slice::from_raw_parts(first, self.dims())
        }
    }
}

/// A new value under construction in the current memory context.
pub struct VarlenaBuf<E> {
    header: NonNull<Header>,
    dims: usize,
    elements: PhantomData<E>,
}

impl<E: Pod> VarlenaBuf<E> {
    /// A value of `dims` zeros. The caller has checked `dims` against 1..=[`MAX_DIMS`]; more is
    /// cut off rather than written wrongly.
    pub fn zeroed(dims: usize) -> Self {
        let dims = dims.min(MAX_DIMS);
        let size = HEADER_SIZE + dims * size_of::<E>();
        // SAFETY: palloc0 returns that many zeroed bytes, MAXALIGNed, or raises an error.
        let header = unsafe { NonNull::new_unchecked(pg_sys::palloc0(size).cast::<Header>()) };
        // SAFETY: the allocation begins with a header; size <= 64,008 fits the varlena length.
        unsafe {
            pgrx::set_varsize_4b(header.as_ptr().cast(), size as i32);
            (*header.as_ptr()).dims = dims as i16;
        }
        VarlenaBuf { header, dims, elements: PhantomData }
    }

    /// A value with these elements, under the same condition as [`VarlenaBuf::zeroed`].
    pub fn from_elements(elements: impl ExactSizeIterator<Item = E>) -> Self {
        let mut value = Self::zeroed(elements.len());
        for (to, from) in value.elements_mut().iter_mut().zip(elements) {
            *to = from;
        }
        value
    }

    /// The elements to fill.
    pub fn elements_mut(&mut self) -> &mut [E] {
        // SAFETY: zeroed() allocated `dims` elements behind the header and nobody else has the
        // pointer before into_datum().
        unsafe {
            let first = self.header.as_ptr().cast::<u8>().add(HEADER_SIZE).cast::<E>();
            std::slice::from_raw_parts_mut(first, self.dims)
        }
    }

    /// Hands the value to the server; it lives as long as the memory context it was made in.
    pub fn into_datum(self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.header.as_ptr())
    }
}

/// `what` is the kind of value, `counts` what of it does not fit its length.
#[cold]
#[inline(never)]
fn report_damaged(what: &str, size: usize, counts: &str) -> ! {
    Report::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, format!("stored {what} is damaged"))
        .detail(format!("Its {size} bytes do not fit its {counts}."))
        .error()
}
