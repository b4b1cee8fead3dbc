//! Casts to and from `sparsevec`. All have the arguments `(value, typmod integer, explicit boolean)`.

use grammar::{sparse, typmod};
use half::f16;
use pgrx::pg_sys::Datum;

use crate::am::datum::VarlenaBuf;
use crate::am::datum::sparse::new_sparse;
use crate::sql::array::FlatArray;
use crate::sql::cast::{narrowed, numbers_of};
use crate::sql::element::SqlElement;
use crate::sql::error::SqlError;
use crate::sql::fmgr::{Arguments, export, export_for_both_types};

export! {
    "sparsevec_to_itself" => to_itself;
    "sparsevec_from_array" => from_array;
    "sparsevec_to_vector" => to_dense::<f32>;
    "sparsevec_to_halfvec" => to_dense::<f16>;
}

export_for_both_types! {
    "to_sparsevec" => from_dense;
}

/// Checks the type modifier; the value stays as it is.
fn to_itself(args: &Arguments) -> Result<Datum, SqlError> {
    typmod::check(args.int32(1), args.sparse(0).dims())?;
    Ok(args.datum(0))
}

/// From `vector` or `halfvec`; exact. Errors: 22000 by the type modifier.
fn from_dense<E: SqlElement>(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.vector::<E>(0);
    typmod::check(args.int32(1), value.dims())?;
    let mut numbers = vec![0.0; value.dims()];
    E::widen_all(value.elements(), &mut numbers);
    of_numbers(&numbers)
}

/// From `integer[]`, `real[]`, `double precision[]` or `numeric[]`, which may have more elements than another type can.
///
/// Errors: 22000 more than one dimension, none, NaN or infinite (in single precision); 22004 a NULL; 22003 a numeric
/// out of range; 54000 too many elements other than 0.
fn from_array(args: &Arguments) -> Result<Datum, SqlError> {
    // SAFETY: the DDL declares argument 0 as an array.
    let array = unsafe { FlatArray::from_datum(args.datum(0)) }?;
    let dims = sparse::check_dims(array.len() as i64)?;
    typmod::check(args.int32(1), dims)?;
    of_numbers(&numbers_of::<f32>(&array)?)
}

/// Leaves zeros out.
fn of_numbers(numbers: &[f32]) -> Result<Datum, SqlError> {
    let stored = numbers.iter().filter(|number| **number != 0.0).count();
    let stored = sparse::check_stored(stored as i64, numbers.len())?;
    let (mut indices, mut values) = (Vec::with_capacity(stored), Vec::with_capacity(stored));
    for (index, number) in numbers.iter().enumerate().filter(|(_, number)| **number != 0.0) {
        sparse::check_finite(*number)?;
        indices.push(index as i32);
        values.push(*number);
    }
    Ok(new_sparse(numbers.len(), &indices, &values))
}

/// To `vector` or `halfvec`. Errors: 54000 more dimensions than that type has; 22000 by the type modifier; 22003 too
/// large for the target.
fn to_dense<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    let value = args.sparse(0);
    E::check_dims(value.dims())?;
    typmod::check(args.int32(1), value.dims())?;
    let mut numbers = vec![0.0; value.dims()];
    for (index, element) in value.indices().iter().zip(value.values()) {
        if let Some(number) = numbers.get_mut(*index as usize) {
            *number = *element;
        }
    }
    narrowed(&numbers)
}
