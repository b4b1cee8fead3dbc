//! What the two types allow as an element.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::error::SqlError;
use crate::am::datum::MAX_DIMS;

/// The element of a SQL type: `f32` of `vector`, `f16` of `halfvec`.
pub trait SqlElement: ann::Element + PartialOrd {
    /// The type's SQL name, as messages show it.
    const TYPE_NAME: &'static str;

    /// Neither NaN nor infinite?
    fn is_finite(self) -> bool;

    /// Rounds each number to the nearest element; too large a number becomes infinite. Stops at the
    /// end of the shorter slice.
    fn round_all(numbers: &[f32], elements: &mut [Self]);

    /// The exact value of each element. Stops at the end of the shorter slice.
    fn widen_all(elements: &[Self], numbers: &mut [f32]);

    /// Rounds numbers to elements of a value.
    ///
    /// Errors: 22000 for NaN and infinity, 22003 for a finite number too large for the element.
    fn narrow(numbers: &[f32], elements: &mut [Self]) -> Result<(), SqlError> {
        Self::round_all(numbers, elements);
        if Self::all_finite(elements) {
            return Ok(());
        }
        let mut pairs = numbers.iter().zip(elements.iter());
        let (number, _) = pairs.find(|(_, element)| !element.is_finite()).unzip();
        let number = number.copied().unwrap_or(f32::NAN);
        Self::check_finite(number)?;
        Err(SqlError::out_of_range::<Self>(&super::text::shortest(number)))
    }

    /// Is every element finite? Looks at all of them, which vectorises.
    #[inline]
    fn all_finite(elements: &[Self]) -> bool {
        elements.iter().fold(true, |all, element| all & element.is_finite())
    }

    /// Checks a number that is to become an element.
    ///
    /// Errors: 22000 for NaN and infinity.
    fn check_finite(number: f32) -> Result<(), SqlError> {
        let type_name = Self::TYPE_NAME;
        if number.is_nan() {
            return Err(SqlError::NotANumber { type_name });
        }
        if number.is_infinite() { Err(SqlError::Infinite { type_name }) } else { Ok(()) }
    }

    /// Checks a number of dimensions, from wherever it comes.
    ///
    /// Errors: 22000 below 1, 54000 above 16,000.
    fn check_dims(dims: usize) -> Result<(), SqlError> {
        match dims {
            0 => Err(SqlError::NoDims { type_name: Self::TYPE_NAME }),
            1..=MAX_DIMS => Ok(()),
            _ => Err(SqlError::TooManyDims { type_name: Self::TYPE_NAME, dims }),
        }
    }
}

impl SqlElement for f32 {
    const TYPE_NAME: &'static str = "vector";

    #[inline]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }

    #[inline]
    fn round_all(numbers: &[f32], elements: &mut [f32]) {
        for (element, number) in elements.iter_mut().zip(numbers) {
            *element = *number;
        }
    }

    #[inline]
    fn widen_all(elements: &[f32], numbers: &mut [f32]) {
        Self::round_all(elements, numbers);
    }
}

impl SqlElement for f16 {
    const TYPE_NAME: &'static str = "halfvec";

    #[inline]
    fn is_finite(self) -> bool {
        f16::is_finite(self)
    }

    #[inline]
    fn round_all(numbers: &[f32], elements: &mut [f16]) {
        let both = numbers.len().min(elements.len());
        if let (Some(numbers), Some(elements)) = (numbers.get(..both), elements.get_mut(..both)) {
            elements.convert_from_f32_slice(numbers);
        }
    }

    #[inline]
    fn widen_all(elements: &[f16], numbers: &mut [f32]) {
        let both = numbers.len().min(elements.len());
        if let (Some(elements), Some(numbers)) = (elements.get(..both), numbers.get_mut(..both)) {
            elements.convert_to_f32_slice(numbers);
        }
    }
}

/// Checks dimensions against a type modifier; -1 means that any number is fine.
///
/// Errors: 22000.
pub fn check_typmod(typmod: i32, dims: usize) -> Result<(), SqlError> {
    match usize::try_from(typmod) {
        Ok(expected) if expected != dims => Err(SqlError::DimsExpected { expected, dims }),
        _ => Ok(()),
    }
}

/// Checks that two operands have the same number of dimensions.
///
/// Errors: 22000.
#[inline]
pub fn check_same_dims<E: SqlElement>(left: usize, right: usize) -> Result<(), SqlError> {
    if left == right {
        return Ok(());
    }
    Err(SqlError::DimsDiffer { type_name: E::TYPE_NAME, left, right })
}
