//! The binary form: i16 dims, i16 0, then the elements; everything big-endian.

use std::mem::size_of;

use crate::error::ValueError;
use crate::number::Number;
use crate::typmod;

/// Bytes before the elements: dims and the reserved number.
pub const PREFIX: usize = 4;

/// Bytes of a value of `dims` elements.
pub fn size<E: Number>(dims: usize) -> usize {
    PREFIX + dims * size_of::<E>()
}

/// The dimensions of the value that `bytes` begin with; they may go on after it.
///
/// Errors: malformed or cut short, dimensions out of range or other than the type modifier says.
pub fn dims_of<E: Number>(bytes: &[u8], modifier: i32) -> Result<usize, ValueError> {
    let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX>() else {
        return Err(cut_short::<E>(PREFIX, bytes.len()));
    };
    let [high, low, reserved_high, reserved_low] = *prefix;
    let dims = usize::from(u16::from_be_bytes([high, low]));
    let reserved = u16::from_be_bytes([reserved_high, reserved_low]);
    E::check_dims(dims)?;
    typmod::check(modifier, dims)?;
    if reserved != 0 {
        let detail = format!("The reserved number must be 0, not {reserved}.");
        return Err(ValueError::Binary { type_name: E::TYPE_NAME, detail });
    }
    if bytes.len() < size::<E>(dims) {
        return Err(cut_short::<E>(size::<E>(dims), bytes.len()));
    }
    Ok(dims)
}

/// Fills `elements`, as many as [`dims_of`] says, from the same bytes.
///
/// Errors: one of them is not finite.
pub fn read<E: Number>(bytes: &[u8], elements: &mut [E]) -> Result<(), ValueError> {
    let stored = bytes.get(PREFIX..).unwrap_or_default().chunks_exact(size_of::<E>());
    for (to, from) in elements.iter_mut().zip(stored) {
        let place = bytemuck::bytes_of_mut(to);
        place.copy_from_slice(from);
        to_or_from_big_endian(place);
    }
    match elements.iter().find(|element| !element.is_finite()) {
        Some(element) => E::check_finite(element.to_f32()),
        None => Ok(()),
    }
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

fn cut_short<E: Number>(wanted: usize, found: usize) -> ValueError {
    let detail = format!("The value needs {wanted} bytes, but only {found} are left.");
    ValueError::Binary { type_name: E::TYPE_NAME, detail }
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
        let wrong: [&[u8]; 6] = [
            &[],
            &[0, 1, 0],
            &[0, 0, 0, 0],
            &[0, 1, 0, 1, 0, 0],
            &[0, 2, 0, 0, 0, 0, 0],
            &[0xFF; 9],
        ];
        for bytes in wrong {
            assert!(dims_of::<f16>(bytes, -1).is_err(), "{bytes:?}");
        }
        assert!(dims_of::<f16>(&[0, 1, 0, 0, 0, 0], 2).is_err());
        let infinite = [0, 1, 0, 0, 0x7C, 0];
        assert_eq!(dims_of::<f16>(&infinite, 1), Ok(1));
        assert!(read(&infinite, &mut [f16::ZERO]).is_err());
    }
}
