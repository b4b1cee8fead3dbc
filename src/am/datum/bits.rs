//! Values of the server's types `bit` and `varbit`: a varlena header, the number of bits as i32, then the bits, the
//! first of which is the highest of the first byte. What the last byte has beyond the number of bits is 0.

use pgrx::pg_sys;

use super::{Plain, report_damaged};

const HEADER_SIZE: usize = pg_sys::VARHDRSZ + size_of::<i32>();

/// A bit string read in place, or expanded as [`super::Varlena`] is.
pub struct BitString<'a> {
    plain: Plain<'a>,
    length: usize,
}

impl BitString<'_> {
    /// Reads a datum.
    ///
    /// Errors: XX001 when the number of bits does not fit the length of the value.
    ///
    /// # Safety
    /// `datum` is a non-null `bit` or `varbit` and outlives the value.
    #[inline]
    pub unsafe fn from_datum(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller passes a varlena that lives long enough.
        let plain = unsafe { Plain::from_datum(datum) };
        let size = plain.size();
        if size < HEADER_SIZE {
            report_damaged("bit string", size, "number of bits");
        }
        // SAFETY: the value has a whole header, as was just checked.
        let length = unsafe { plain.start().add(pg_sys::VARHDRSZ).cast::<i32>().read() };
        match usize::try_from(length) {
            // The check that `bytes` relies on.
            Ok(length) if size == HEADER_SIZE + length.div_ceil(8) => BitString { plain, length },
            _ => report_damaged("bit string", size, "number of bits"),
        }
    }

    /// The number of bits.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The bits, eight to a byte.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: from_datum checked that so many bytes follow the header.
        unsafe {
            let first = self.plain.start().add(HEADER_SIZE);
            std::slice::from_raw_parts(first, self.length.div_ceil(8))
        }
    }
}
