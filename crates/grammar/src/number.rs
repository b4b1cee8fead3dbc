//! What the two types allow as an element.

use half::f16;

use crate::error::ValueError;

/// The most dimensions a value of either type can have (of `sparsevec`, see [`crate::sparse`]).
pub const DIMS_MAX: usize = pages::geometry::DIMS_MAX;

/// The element of a SQL type: `f32` of `vector`, `f16` of `halfvec`.
pub trait Number: ann::Float {
    /// The type's SQL name, as messages show it.
    const TYPE_NAME: &'static str;

    /// Neither NaN nor infinite?
    fn is_finite(self) -> bool;

    /// Checks a number that is to become an element.
    ///
    /// Errors: NaN and infinity.
    fn check_finite(number: f32) -> Result<(), ValueError> {
        let type_name = Self::TYPE_NAME;
        if number.is_nan() {
            return Err(ValueError::NotANumber { type_name });
        }
        if number.is_infinite() { Err(ValueError::Infinite { type_name }) } else { Ok(()) }
    }

    /// Checks a number of dimensions, from wherever it comes.
    ///
    /// Errors: below 1, above [`DIMS_MAX`].
    fn check_dims(dims: usize) -> Result<(), ValueError> {
        match dims {
            0 => Err(ValueError::NoDims { type_name: Self::TYPE_NAME }),
            1..=DIMS_MAX => Ok(()),
            _ => Err(ValueError::TooManyDims { type_name: Self::TYPE_NAME, most: DIMS_MAX }),
        }
    }
}

impl Number for f32 {
    const TYPE_NAME: &'static str = "vector";

    #[inline]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Number for f16 {
    const TYPE_NAME: &'static str = "halfvec";

    #[inline]
    fn is_finite(self) -> bool {
        f16::is_finite(self)
    }
}
