//! Flat SQL arrays read and written in place: at most one dimension, no NULLs.

use std::marker::PhantomData;
use std::mem::size_of;

use bytemuck::Pod;
use pgrx::pg_sys::{self, ArrayType, Datum, Oid};

use super::error::SqlError;

/// Bytes before the elements of a new one-dimensional array: the header, its length and its lower
/// bound, which together are a multiple of the server's maximal alignment.
const HEADER_SIZE: usize = size_of::<ArrayType>() + 2 * size_of::<i32>();
const _: () = assert!(HEADER_SIZE.is_multiple_of(pg_sys::MAXIMUM_ALIGNOF as usize));

/// An array argument. `'a` is the life of its datum; a toasted or short-header one is a copy that
/// lives as long as the current memory context.
pub struct FlatArray<'a> {
    array: *mut ArrayType,
    copied: bool,
    datum: PhantomData<&'a ArrayType>,
}

impl<'a> FlatArray<'a> {
    /// Reads an array datum.
    ///
    /// Errors: 22000 for more than one dimension, 22004 for a NULL element.
    ///
    /// # Safety
    /// `datum` is a non-null array and outlives `'a`.
    pub unsafe fn from_datum(datum: Datum) -> Result<Self, SqlError> {
        let given = datum.cast_mut_ptr::<pg_sys::varlena>();
        // SAFETY: arrays are varlenas; the result has a 4-byte header and is aligned.
        let array = unsafe { pg_sys::pg_detoast_datum(given) }.cast::<ArrayType>();
        // SAFETY: detoasting gives a whole array.
        let (ndim, dataoffset) = unsafe { ((*array).ndim, (*array).dataoffset) };
        if ndim > 1 {
            return Err(SqlError::ArrayNotFlat);
        }
        // SAFETY: as above. A bitmap may be present although no element is NULL.
        if dataoffset != 0 && unsafe { pg_sys::array_contains_nulls(array) } {
            return Err(SqlError::ArrayHasNulls);
        }
        Ok(FlatArray { array, copied: array.cast() != given, datum: PhantomData })
    }

    /// The type of the elements.
    pub fn element_type(&self) -> Oid {
        // SAFETY: from_datum made sure of a whole array.
        unsafe { (*self.array).elemtype }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        // SAFETY: an array of one dimension has its length right behind the header.
        let length = unsafe {
            if (*self.array).ndim == 0 { 0 } else { self.array.add(1).cast::<i32>().read() }
        };
        usize::try_from(length).unwrap_or(0)
    }

    /// Is this a private copy of the argument?
    pub fn is_copy(&self) -> bool {
        self.copied
    }

    /// The array itself, for the server.
    pub fn as_datum(&self) -> Datum {
        Datum::from(self.array)
    }

    fn first(&self) -> *mut u8 {
        // SAFETY: with a NULL bitmap the header says where the elements begin; without one they
        // follow the fixed part.
        unsafe {
            let offset = match usize::try_from((*self.array).dataoffset) {
                Ok(0) | Err(_) => HEADER_SIZE,
                Ok(offset) => offset,
            };
            self.array.cast::<u8>().add(offset)
        }
    }

    /// The elements in place.
    ///
    /// # Safety
    /// `T` is the Rust form of [`FlatArray::element_type`], a fixed-length type passed by value.
    pub unsafe fn elements<T: Pod>(&self) -> &[T] {
        // SAFETY: no NULLs, so len() elements lie contiguous and aligned behind the header.
        unsafe { std::slice::from_raw_parts(self.first().cast::<T>(), self.len()) }
    }

    /// The elements in place, to be changed.
    ///
    /// # Safety
    /// As [`FlatArray::elements`]; and the array is a copy or the state of a running aggregate.
    pub unsafe fn elements_mut<T: Pod>(&mut self) -> &mut [T] {
        // SAFETY: as elements(); the caller vouches that nobody else looks at the array.
        unsafe { std::slice::from_raw_parts_mut(self.first().cast::<T>(), self.len()) }
    }

    /// The elements as datums, for types that are not passed by value.
    pub fn datums(&self) -> Vec<Datum> {
        let (mut length, mut by_value, mut align) = (0, false, 0);
        let (mut datums, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: a whole array without NULLs; the server knows its element type. The palloc'd list
        // is copied and freed.
        unsafe {
            let oid = self.element_type();
            pg_sys::get_typlenbyvalalign(oid, &mut length, &mut by_value, &mut align);
            let length = i32::from(length);
            let nulls = std::ptr::null_mut();
            pg_sys::deconstruct_array(
                self.array,
                oid,
                length,
                by_value,
                align,
                &mut datums,
                nulls,
                &mut count,
            );
            let list = std::slice::from_raw_parts(datums, usize::try_from(count).unwrap_or(0));
            let list = list.to_vec();
            pg_sys::pfree(datums.cast());
            list
        }
    }
}

/// A new one-dimensional array of `length` zeros, in the current memory context.
///
/// # Safety
/// `T` is the Rust form of `element_type`, a fixed-length type passed by value; `length` is at most
/// 16,001 (so that the size fits).
pub unsafe fn zeroed<T: Pod>(element_type: Oid, length: usize) -> FlatArray<'static> {
    let size = HEADER_SIZE + length * size_of::<T>();
    // SAFETY: palloc0 gives `size` zeroed bytes, MAXALIGNed, or raises an error.
    let array = unsafe {
        let array = pg_sys::palloc0(size).cast::<ArrayType>();
        pgrx::set_varsize_4b(array.cast(), size as i32);
        (*array).ndim = 1;
        (*array).elemtype = element_type;
        let dimension = array.add(1).cast::<i32>();
        dimension.write(length as i32);
        // The lower bound.
        dimension.add(1).write(1);
        array
    };
    FlatArray { array, copied: true, datum: PhantomData }
}
