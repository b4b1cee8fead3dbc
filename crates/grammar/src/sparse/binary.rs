//! The binary form: i32 dims, i32 number of stored elements, i32 0 (unused), the positions as i32 that count from 0,
//! then the elements; everything big-endian.

use std::mem::size_of;

use super::{Sparse, SparseError};
use crate::error::ValueError;

/// Bytes before the positions.
const PREFIX: usize = 3 * size_of::<i32>();
/// Bytes of a position, and of an element.
const WORD: usize = 4;

/// Bytes of a value with `stored` stored elements.
pub fn size(stored: usize) -> usize {
    PREFIX + stored * 2 * WORD
}

/// Reads the value that `bytes` begin with; they may go on after [`size`] bytes of it. `modifier` is -1 for any
/// number of dimensions.
///
/// Errors: malformed, cut short, counts out of range or others than the type modifier says, positions that do not
/// ascend within the dimensions, elements that are zero or not finite.
pub fn read(bytes: &[u8], modifier: i32) -> Result<Sparse, ValueError> {
    let (words, _) = bytes.as_chunks::<WORD>();
    let [dims, stored, unused, words @ ..] = words else {
        return Err(ValueError::CutShort);
    };
    let [dims, stored, unused] = [dims, stored, unused].map(|word| i32::from_be_bytes(*word));
    let dims = super::check_dims(i64::from(dims))?;
    let stored = super::check_stored(i64::from(stored), dims)?;
    crate::typmod::check(modifier, dims)?;
    if unused != 0 {
        return Err(ValueError::Unused { found: unused });
    }
    // What is there is looked at before what is missing, as by who reads one number after the other.
    let mut indices: Vec<i32> = Vec::with_capacity(stored);
    for word in words.iter().take(stored) {
        let index = i32::from_be_bytes(*word);
        super::check_index(indices.last().copied(), index, dims)?;
        indices.push(index);
    }
    let mut values = Vec::with_capacity(stored);
    for word in words.iter().skip(stored).take(stored) {
        let value = f32::from_be_bytes(*word);
        super::check_finite(value)?;
        if value == 0.0 {
            return Err(SparseError::ZeroStored.into());
        }
        values.push(value);
    }
    if values.len() < stored {
        return Err(ValueError::CutShort);
    }
    Ok(Sparse { dims, indices, values })
}

/// Writes a value; `bytes` has its [`size`].
pub fn write(dims: i32, indices: &[i32], values: &[f32], bytes: &mut [u8]) {
    let prefix = [dims, indices.len() as i32, 0].map(i32::to_be_bytes);
    let indices = indices.iter().map(|index| index.to_be_bytes());
    let values = values.iter().map(|value| value.to_be_bytes());
    let words = prefix.into_iter().chain(indices).chain(values);
    for (to, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().zip(words) {
        *to = word;
    }
}

#[cfg(test)]
mod tests {
    use super::super::TYPE_NAME;
    use super::*;

    /// Big-endian words, floats by their bits.
    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    const ONE: u32 = 0x3f80_0000;

    #[test]
    fn what_was_written_is_read_back() {
        let value = Sparse {
            dims: 1_000_000,
            indices: vec![0, 7, 999_999],
            values: vec![1.5, -2.0, 1e-45],
        };
        let mut written = vec![0xff; size(3)];
        write(1_000_000, &value.indices, &value.values, &mut written);
        assert_eq!(written[..16], [0, 0xf, 0x42, 0x40, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
        written.extend([1, 2, 3, 4, 5]);
        assert_eq!(read(&written, 1_000_000), Ok(value));
        assert!(read(&written, 5).is_err());
    }

    #[test]
    fn malformed_values_are_refused() {
        let refused = |words: &[u32]| read(&bytes(words), -1).err();
        assert_eq!(refused(&[3, 0]), Some(ValueError::CutShort));
        assert_eq!(refused(&[0, 0, 0]), Some(ValueError::NoDims { type_name: TYPE_NAME }));
        assert_eq!(refused(&[u32::MAX, 0, 0]), Some(ValueError::NoDims { type_name: TYPE_NAME }));
        assert_eq!(refused(&[3, u32::MAX, 0]), Some(SparseError::NegativeStored.into()));
        assert_eq!(refused(&[3, 4, 0]), Some(SparseError::MoreThanDims.into()));
        assert_eq!(refused(&[99_999, 16_001, 0]), Some(SparseError::TooManyStored.into()));
        assert_eq!(refused(&[3, 0, 7]), Some(ValueError::Unused { found: 7 }));
        assert_eq!(refused(&[3, 1, 0, 3, ONE]), Some(SparseError::IndexOutOfBounds.into()));
        assert_eq!(refused(&[3, 2, 0, 1, 0, ONE, ONE]), Some(SparseError::NotAscending.into()));
        assert_eq!(refused(&[3, 2, 0, 1, 1, ONE, ONE]), Some(SparseError::Repeated.into()));
        for zero in [0, 0x8000_0000] {
            assert_eq!(refused(&[3, 1, 0, 1, zero]), Some(SparseError::ZeroStored.into()));
        }
        let nan = 0x7fc0_0000;
        assert_eq!(
            refused(&[3, 1, 0, 1, nan]),
            Some(ValueError::NotANumber { type_name: TYPE_NAME })
        );
        // A value that is cut short: what is there is refused first.
        assert_eq!(refused(&[3, 2, 0, 0, 1, ONE]), Some(ValueError::CutShort));
        assert_eq!(refused(&[3, 2, 0, 1, 0]), Some(SparseError::NotAscending.into()));
    }

    #[test]
    fn what_ends_within_a_number_is_cut_short() {
        let mut value = bytes(&[3, 1, 0, 1, ONE]);
        value.pop();
        assert_eq!(read(&value, -1), Err(ValueError::CutShort));
    }
}
