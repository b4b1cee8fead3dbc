//! How elements of the two types are rounded and compared.

use grammar::ValueError;
use half::f16;
use half::slice::HalfFloatSliceExt;

use super::error::SqlError;

/// The element of a SQL type: `f32` of `vector`, `f16` of `halfvec`.
pub trait SqlElement: grammar::Number + PartialOrd {
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
        Self::check_range(number)?;
        Ok(Self::check_finite(number)?)
    }

    /// Errors: 22003 for a finite number too large for the element.
    fn check_range(number: f32) -> Result<(), SqlError> {
        let mut element = [<Self as bytemuck::Zeroable>::zeroed()];
        Self::round_all(&[number], &mut element);
        if number.is_finite() && !Self::all_finite(&element) {
            return Err(ValueError::out_of_range::<Self>(&super::text::shortest(number)).into());
        }
        Ok(())
    }

    /// Is every element finite? Looks at all of them, which vectorises.
    #[inline]
    fn all_finite(elements: &[Self]) -> bool {
        elements.iter().fold(true, |all, element| all & element.is_finite())
    }
}

impl SqlElement for f32 {
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
