//! Functions of one value: dimensions, norm, normalize, subvector, binary_quantize.

use pgrx::pg_sys::{self, Datum};

use super::element::SqlElement;
use super::error::SqlError;
use super::fmgr::{Arguments, export_for_both_types};
use crate::am::datum::VarlenaBuf;

export_for_both_types! {
    "dims" => dims;
    "norm" => norm;
    "l2_normalize" => l2_normalize;
    "subvector" => subvector;
    "binary_quantize" => binary_quantize;
}

/// `vector_dims`: the number of dimensions.
fn dims<E: SqlElement>(args: &Arguments) -> Result<i32, SqlError> {
    Ok(args.vector::<E>(0).dims() as i32)
}

/// `vector_norm(vector)`, `l2_norm(halfvec)`: the Euclidean norm, summed in double precision so that no value of
/// the type overflows.
fn norm<E: SqlElement>(args: &Arguments) -> Result<f64, SqlError> {
    Ok(norm_of(args.vector::<E>(0).elements()))
}

fn norm_of<E: SqlElement>(elements: &[E]) -> f64 {
    elements.iter().map(|x| f64::from(x.to_f32()).powi(2)).sum::<f64>().sqrt()
}

/// `l2_normalize`: the value divided by its norm; zeros stay zeros.
///
/// Errors: 22003 when a quotient overflows (possible for subnormal numbers).
fn l2_normalize<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    let value = args.vector::<E>(0);
    let mut result = VarlenaBuf::<E>::zeroed(value.dims());
    let norm = norm_of(value.elements());
    if norm > 0.0 {
        for (to, from) in result.elements_mut().iter_mut().zip(value.elements()) {
            *to = E::from_f32((f64::from(from.to_f32()) / norm) as f32);
            if !to.is_finite() {
                return Err(SqlError::Overflow);
            }
        }
    }
    Ok(result)
}

/// `subvector(value, start, count)`: `count` elements from `start` on, which counts from 1; what
/// lies outside the value is left out, as in `substring`.
///
/// Errors: 22000 when nothing remains.
fn subvector<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    let value = args.vector::<E>(0);
    let (start, count) = (i64::from(args.int32(1)), i64::from(args.int32(2)));
    let dims = value.dims() as i64;
    // In i64 no sum of two integers overflows; both ends are within the value after clamping.
    let first = (start - 1).clamp(0, dims) as usize;
    let end = (start - 1 + count.max(0)).clamp(0, dims) as usize;
    let part = value.elements().get(first..end).unwrap_or_default();
    E::check_dims(part.len())?;
    Ok(VarlenaBuf::from_elements(part.iter().copied()))
}

/// `binary_quantize`: bit i is 1 where element i is positive.
fn binary_quantize<E: SqlElement>(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.vector::<E>(0);
    // A bit string is a varlena header, the number of bits as i32, then the bits, the first one
    // being the highest of the first byte.
    const HEADER: usize = pg_sys::VARHDRSZ + size_of::<i32>();
    let size = HEADER + value.dims().div_ceil(8);
    // SAFETY: palloc0 gives `size` zeroed bytes, MAXALIGNed, or raises an error.
    let bits = unsafe {
        let varbit = pg_sys::palloc0(size).cast::<u8>();
        pgrx::set_varsize_4b(varbit.cast(), size as i32);
        varbit.add(pg_sys::VARHDRSZ).cast::<i32>().write(value.dims() as i32);
        std::slice::from_raw_parts_mut(varbit, size)
    };
    let bytes = bits.get_mut(HEADER..).unwrap_or_default();
    for (byte, eight) in bytes.iter_mut().zip(value.elements().chunks(8)) {
        for (i, element) in eight.iter().enumerate() {
            *byte |= u8::from(element.to_f32() > 0.0) << (7 - i);
        }
    }
    Ok(Datum::from(bits.as_mut_ptr()))
}
