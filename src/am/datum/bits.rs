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
        // SAFETY: from_datum checked that these bytes follow the header.
        unsafe {
            let first = self.plain.start().add(HEADER_SIZE);
            std::slice::from_raw_parts(first, self.length.div_ceil(8))
        }
    }
}

/// A new value of `length` bits, in the current memory context. `bytes` has them, eight to a byte.
pub fn datum_of(length: usize, bytes: &[u8]) -> pg_sys::Datum {
    let size = HEADER_SIZE + bytes.len();
    // SAFETY: palloc0 returns that many zeroed bytes or raises an error; header and bytes fit into them.
    unsafe {
        let value = pg_sys::palloc0(size).cast::<u8>();
        pgrx::set_varsize_4b(value.cast(), size as i32);
        value.add(pg_sys::VARHDRSZ).cast::<i32>().write(length as i32);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.add(HEADER_SIZE), bytes.len());
        pg_sys::Datum::from(value)
    }
}
