//! Casts: the two types, arrays of numbers, and the type modifier. All have the arguments
//! `(value, typmod integer, explicit boolean)`.

use std::borrow::Cow;

use grammar::typmod;
use half::f16;
use pgrx::pg_sys::{self, Datum};

use super::array::{FlatArray, zeroed};
use super::element::SqlElement;
use super::error::SqlError;
use super::fmgr::{Arguments, export, export_for_both_types};
use crate::am::datum::VarlenaBuf;

export_for_both_types! {
    "to_itself" => to_itself;
    "from_array" => from_array;
    "to_float4" => to_float4;
}

export! {
    "vector_to_halfvec" => convert::<f32, f16>;
    "halfvec_to_vector" => convert::<f16, f32>;
}

/// Checks the type modifier; the value stays as it is.
fn to_itself<E: SqlElement>(args: &Arguments) -> Result<Datum, SqlError> {
    typmod::check(args.int32(1), args.vector::<E>(0).dims())?;
    Ok(args.datum(0))
}

/// Between the types. Errors: 22000 by the type modifier, 22003 too large for the target.
fn convert<From: SqlElement, To: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<To>, SqlError> {
    let value = args.vector::<From>(0);
    typmod::check(args.int32(1), value.dims())?;
    let mut numbers = vec![0.0; value.dims()];
    From::widen_all(value.elements(), &mut numbers);
    narrowed(&numbers)
}

/// From `integer[]`, `real[]`, `double precision[]` or `numeric[]`.
///
/// Errors: 22000 more than one dimension, none, NaN or infinite (in single precision); 22004 a NULL;
/// 22003 out of range; 54000 more than 16,000 elements.
fn from_array<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    // SAFETY: the DDL declares argument 0 as an array.
    let array = unsafe { FlatArray::from_datum(args.datum(0)) }?;
    E::check_dims(array.len())?;
    typmod::check(args.int32(1), array.len())?;
    rounded(&numbers_of::<E>(&array)?)
}

/// The elements of an array of numbers, in single precision.
///
/// Errors: 22003 for a numeric that is out of range for real or for `E`; 22000 for another array.
pub fn numbers_of<'a, E: SqlElement>(array: &'a FlatArray<'_>) -> Result<Cow<'a, [f32]>, SqlError> {
    // SAFETY: each slice has the Rust form of the element type it was chosen for.
    let numbers: Vec<f32> = unsafe {
        match array.element_type() {
            pg_sys::FLOAT4OID => return Ok(Cow::Borrowed(array.elements::<f32>())),
            pg_sys::FLOAT8OID => array.elements::<f64>().iter().map(|x| *x as f32).collect(),
            pg_sys::INT4OID => array.elements::<i32>().iter().map(|x| *x as f32).collect(),
            pg_sys::NUMERICOID => {
                let numbers = array.datums().into_iter().map(numeric_as::<E>);
                numbers.collect::<Result<_, _>>()?
            }
            _ => return Err(SqlError::ArrayType),
        }
    };
    Ok(Cow::Owned(numbers))
}

/// The elements of an array. All are rounded before one is looked at: of several bad ones, what is too large is named first.
fn rounded<E: SqlElement>(numbers: &[f32]) -> Result<VarlenaBuf<E>, SqlError> {
    narrowed(numbers)
        .map_err(|e| numbers.iter().find_map(|x| E::check_range(*x).err()).unwrap_or(e))
}

/// A value of these numbers, rounded. Errors: as [`SqlElement::narrow`].
pub fn narrowed<E: SqlElement>(numbers: &[f32]) -> Result<VarlenaBuf<E>, SqlError> {
    let mut result = VarlenaBuf::<E>::zeroed(numbers.len());
    E::narrow(numbers, result.elements_mut())?;
    Ok(result)
}

/// A number that elements can hold, or none at all. Errors: 22003.
fn numeric_as<E: SqlElement>(numeric: Datum) -> Result<f32, SqlError> {
    // SAFETY: the datum is an element of a numeric[]; the server's own cast reads it and raises
    // its own error when it is out of range for real.
    let real =
        unsafe { pgrx::direct_function_call_as_datum(pg_sys::numeric_float4, &[Some(numeric)]) };
    let number = real.map_or(f32::NAN, |real| f32::from_bits(real.value() as u32));
    E::check_range(number).map(|()| number)
}

/// To `real[]`; exact.
fn to_float4<E: SqlElement>(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.vector::<E>(0);
    // SAFETY: real is f32; a value has at most 16,000 dimensions.
    let mut array = unsafe { zeroed::<f32>(pg_sys::FLOAT4OID, value.dims()) };
    // SAFETY: as above; the array is new.
    let numbers = unsafe { array.elements_mut::<f32>() };
    E::widen_all(value.elements(), numbers);
    Ok(array.as_datum())
}
