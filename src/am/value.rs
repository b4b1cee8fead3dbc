//! Values of indexed columns, by the elements that they are made of.

use ann::element::{Bits, Element};
use half::f16;
use pgrx::pg_sys;

use super::datum::bits::{self, BitString};
use super::datum::{Varlena, VarlenaBuf};

/// An element of vectors as a column has them: of `vector`, `halfvec` or `bit`.
pub trait Column: Element {
    /// A value read in place.
    type Value<'a>: Value<Self>;
    /// What vectors of another length than the index's differ in, as the operator says it.
    const DIFFER_IN: &'static str;

    /// Reads a datum. Errors: XX001 where its parts contradict each other.
    ///
    /// # Safety
    /// `datum` must be a non-null value of the type with these elements, and outlive the result.
    unsafe fn read<'a>(datum: pg_sys::Datum) -> Self::Value<'a>;

    /// A new value with these components, in the current memory context.
    fn datum_of(point: &[f32]) -> pg_sys::Datum;
}

/// What an index asks of a value.
pub trait Value<E> {
    /// How many components it has.
    fn dims(&self) -> usize;
    /// The elements, which hold them.
    fn elements(&self) -> &[E];
}

impl Column for f32 {
    type Value<'a> = Varlena<'a, f32>;
    const DIFFER_IN: &'static str = "vector dimensions";

    unsafe fn read<'a>(datum: pg_sys::Datum) -> Varlena<'a, f32> {
        // SAFETY: the caller's promise.
        unsafe { Varlena::from_datum(datum) }
    }

    fn datum_of(point: &[f32]) -> pg_sys::Datum {
        VarlenaBuf::from_elements(Self::pack(point).into_iter()).into_datum()
    }
}

impl Column for f16 {
    type Value<'a> = Varlena<'a, f16>;
    const DIFFER_IN: &'static str = "halfvec dimensions";

    unsafe fn read<'a>(datum: pg_sys::Datum) -> Varlena<'a, f16> {
        // SAFETY: the caller's promise.
        unsafe { Varlena::from_datum(datum) }
    }

    fn datum_of(point: &[f32]) -> pg_sys::Datum {
        VarlenaBuf::from_elements(Self::pack(point).into_iter()).into_datum()
    }
}

impl Column for Bits {
    type Value<'a> = BitString<'a>;
    const DIFFER_IN: &'static str = "bit lengths";

    unsafe fn read<'a>(datum: pg_sys::Datum) -> BitString<'a> {
        // SAFETY: the caller's promise.
        unsafe { BitString::from_datum(datum) }
    }

    fn datum_of(point: &[f32]) -> pg_sys::Datum {
        bits::datum_of(point.len(), Bits::bytes(&Bits::pack(point)))
    }
}

impl<E: bytemuck::Pod> Value<E> for Varlena<'_, E> {
    fn dims(&self) -> usize {
        Varlena::dims(self)
    }

    fn elements(&self) -> &[E] {
        Varlena::elements(self)
    }
}

impl Value<Bits> for BitString<'_> {
    fn dims(&self) -> usize {
        self.length()
    }

    fn elements(&self) -> &[Bits] {
        bytemuck::cast_slice(self.bytes())
    }
}
