//! The binary form: i16 dims, i16 0, then the elements; everything big-endian.

use std::ffi::c_int;
use std::mem::size_of;

use pgrx::pg_sys::{self, Datum, StringInfoData};

use super::element::{SqlElement, check_typmod};
use super::error::SqlError;
use super::fmgr::{Arguments, export_for_both_types};
use crate::am::datum::VarlenaBuf;

export_for_both_types! {
    "recv" => receive;
    "send" => send;
}

/// Bytes before the elements: dims and the reserved number.
const PREFIX: usize = 4;

/// `recv(internal, oid, integer)`: reads the binary form.
///
/// Errors: 22P03 when it is malformed or cut short, 22000 and 54000 as the text form.
fn receive<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    let message = args.datum(0).cast_mut_ptr::<StringInfoData>();
    // SAFETY: the server passes its message buffer as the `internal` argument; `len` bytes of it
    // are set and `cursor` is not beyond them.
    let (bytes, cursor) = unsafe {
        let message = &mut *message;
        let length = usize::try_from(message.len).unwrap_or(0);
        let all = std::slice::from_raw_parts(message.data.cast::<u8>(), length);
        let start = usize::try_from(message.cursor).unwrap_or(length);
        (all.get(start..).unwrap_or_default(), &mut message.cursor)
    };
    let Some((prefix, elements)) = bytes.split_first_chunk::<PREFIX>() else {
        return Err(cut_short::<E>(PREFIX, bytes.len()));
    };
    let [high, low, reserved_high, reserved_low] = *prefix;
    let dims = usize::from(u16::from_be_bytes([high, low]));
    let reserved = u16::from_be_bytes([reserved_high, reserved_low]);
    E::check_dims(dims)?;
    check_typmod(args.int32(2), dims)?;
    if reserved != 0 {
        let detail = format!("The reserved number must be 0, not {reserved}.");
        return Err(SqlError::Binary { type_name: E::TYPE_NAME, detail });
    }
    let size = dims * size_of::<E>();
    let Some(elements) = elements.get(..size) else {
        return Err(cut_short::<E>(PREFIX + size, bytes.len()));
    };
    let mut value = VarlenaBuf::<E>::zeroed(dims);
    for (to, from) in value.elements_mut().iter_mut().zip(elements.chunks_exact(size_of::<E>())) {
        let place = bytemuck::bytes_of_mut(to);
        place.copy_from_slice(from);
        to_or_from_big_endian(place);
    }
    if let Some(element) = value.elements_mut().iter().find(|element| !element.is_finite()) {
        E::check_finite(element.to_f32())?;
    }
    *cursor += (PREFIX + size) as c_int;
    Ok(value)
}

/// `send(vector)`: writes the binary form as a bytea.
fn send<E: SqlElement>(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.vector::<E>(0);
    let header = pg_sys::VARHDRSZ;
    let size = header + PREFIX + value.dims() * size_of::<E>();
    // SAFETY: palloc0 gives `size` zeroed bytes or raises an error; size <= 64,008.
    let bytes = unsafe {
        let bytea = pg_sys::palloc0(size).cast::<u8>();
        pgrx::set_varsize_4b(bytea.cast(), size as i32);
        std::slice::from_raw_parts_mut(bytea, size)
    };
    let content = bytes.get_mut(header..).unwrap_or_default();
    if let Some((prefix, elements)) = content.split_first_chunk_mut::<PREFIX>() {
        let [high, low] = (value.dims() as u16).to_be_bytes();
        *prefix = [high, low, 0, 0];
        for (to, from) in elements.chunks_exact_mut(size_of::<E>()).zip(value.elements()) {
            to.copy_from_slice(bytemuck::bytes_of(from));
            to_or_from_big_endian(to);
        }
    }
    Ok(Datum::from(bytes.as_mut_ptr()))
}

#[inline]
fn to_or_from_big_endian(element: &mut [u8]) {
    if cfg!(target_endian = "little") {
        element.reverse();
    }
}

fn cut_short<E: SqlElement>(wanted: usize, found: usize) -> SqlError {
    let detail = format!("The value needs {wanted} bytes, but only {found} are left.");
    SqlError::Binary { type_name: E::TYPE_NAME, detail }
}
