//! The binary form: i16 dims, i16 0 (unused), then the elements; everything big-endian.

use std::mem::size_of;

use crate::error::ValueError;
use crate::number::Number;
use crate::typmod;

/// Bytes before the elements: dims and the unused number.
pub const PREFIX: usize = 4;

/// Bytes of a value of `dims` elements.
pub fn size<E: Number>(dims: usize) -> usize {
    PREFIX + dims * size_of::<E>()
}

/// The dimensions of the value that `bytes` begin with; they may go on after it.
///
/// Errors: malformed, dimensions out of range or other than the type modifier says.
pub fn dims_of<E: Number>(bytes: &[u8], modifier: i32) -> Result<usize, ValueError> {
    let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX>() else {
        return Err(ValueError::CutShort);
    };
    let [high, low, unused_high, unused_low] = *prefix;
    // Both are signed; fewer dimensions than none are as wrong as none.
    let dims = usize::try_from(i16::from_be_bytes([high, low])).unwrap_or(0);
    let unused = i32::from(i16::from_be_bytes([unused_high, unused_low]));
    E::check_dims(dims)?;
    typmod::check(modifier, dims)?;
    if unused != 0 {
        return Err(ValueError::Unused { found: unused });
    }
    Ok(dims)
}

/// Fills `elements`, as many as [`dims_of`] says, from the same bytes.
///
/// Errors: one of them is not finite, or the bytes end before the last.
pub fn read<E: Number>(bytes: &[u8], elements: &mut [E]) -> Result<(), ValueError> {
    let stored = bytes.get(PREFIX..).unwrap_or_default().chunks_exact(size_of::<E>());
    for (to, from) in elements.iter_mut().zip(stored) {
        let place = bytemuck::bytes_of_mut(to);
        place.copy_from_slice(from);
        to_or_from_big_endian(place);
    }
    // What is there is looked at before what is missing, as by who reads one element after the other.
    let found = bytes.len().saturating_sub(PREFIX) / size_of::<E>();
    if let Some(element) = elements.iter().take(found).find(|element| !element.is_finite()) {
        E::check_finite(element.to_f32())?;
    }
    if found < elements.len() {
        return Err(ValueError::CutShort);
    }
    Ok(())
}

/// Writes a value; `bytes` has its [`size`].
pub fn write<E: Number>(elements: &[E], bytes: &mut [u8]) {
    if let Some((prefix, places)) = bytes.split_first_chunk_mut::<PREFIX>() {
        let [high, low] = (elements.len() as u16).to_be_bytes();
        *prefix = [high, low, 0, 0];
        for (to, from) in places.chunks_exact_mut(size_of::<E>()).zip(elements) {
            to.copy_from_slice(bytemuck::bytes_of(from));
            to_or_from_big_endian(to);
        }
    }
}

#[inline]
fn to_or_from_big_endian(element: &mut [u8]) {
    if cfg!(target_endian = "little") {
        element.reverse();
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let written = [1.5f32, -0.25, f32::MIN_POSITIVE];
        let mut bytes = vec![0xFF; size::<f32>(3)];
        write(&written, &mut bytes);
        assert_eq!(bytes[..8], [0, 3, 0, 0, 0x3F, 0xC0, 0, 0]);
        bytes.extend([1, 2, 3]);
        let mut read_back = [0.0; 3];
        assert_eq!(dims_of::<f32>(&bytes, 3), Ok(3));
        assert_eq!(read(&bytes, &mut read_back), Ok(()));
        assert_eq!(read_back, written);
    }

    #[test]
    fn malformed_values_are_refused() {
        let wrong: [&[u8]; 5] = [&[], &[0, 1, 0], &[0, 0, 0, 0], &[0, 1, 0, 1, 0, 0], &[0xFF; 9]];
        for bytes in wrong {
            assert!(dims_of::<f16>(bytes, -1).is_err(), "{bytes:?}");
        }
        assert!(dims_of::<f16>(&[0, 1, 0, 0, 0, 0], 2).is_err());
        let infinite = [0, 1, 0, 0, 0x7C, 0];
        assert_eq!(dims_of::<f16>(&infinite, 1), Ok(1));
        let infinity = Err(ValueError::Infinite { type_name: "halfvec" });
        assert_eq!(read(&infinite, &mut [f16::ZERO]), infinity);
        // Of a value that is too short as well, what is there is refused first.
        assert_eq!(read(&infinite, &mut [f16::ZERO; 2]), infinity);
        let short = [0, 2, 0, 0, 0, 0, 0];
        assert_eq!(dims_of::<f16>(&short, 2), Ok(2));
        assert_eq!(read(&short, &mut [f16::ZERO; 2]), Err(ValueError::CutShort));
    }
}
