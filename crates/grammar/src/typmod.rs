//! The type modifier: the number of dimensions.

use crate::error::ValueError;

/// Reads the modifiers in brackets after a type's name.
///
/// Errors: more than one, or outside 1..=`most`.
pub fn read(name: &str, most: usize, modifiers: &[i32]) -> Result<i32, ValueError> {
    let message = match modifiers {
        [..1] => format!("dimensions for type {name} must be at least 1"),
        [dims] if usize::try_from(*dims).is_ok_and(|dims| dims > most) => {
            format!("dimensions for type {name} cannot exceed {most}")
        }
        [dims] => return Ok(*dims),
        _ => "invalid type modifier".to_owned(),
    };
    Err(ValueError::Typmod { message })
}

/// Checks dimensions against a type modifier; -1 means that any number is fine.
///
/// Errors: they differ.
pub fn check(typmod: i32, dims: usize) -> Result<(), ValueError> {
    let expected = i64::from(typmod);
    if typmod == -1 || expected == dims as i64 {
        return Ok(());
    }
    Err(ValueError::DimsExpected { expected, dims })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_in_range() {
        assert_eq!(read("vector", 16_000, &[16_000]), Ok(16_000));
        for wrong in [&[][..], &[0], &[-1], &[i32::MIN], &[16_001], &[i32::MAX], &[3, 3]] {
            assert!(read("vector", 16_000, wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_modifier_any_number_is_fine() {
        assert_eq!(check(-1, 5), Ok(()));
        assert_eq!(check(5, 5), Ok(()));
        assert_eq!(check(5, 6), Err(ValueError::DimsExpected { expected: 5, dims: 6 }));
    }
}
