//! The binary form as the server passes it; what it looks like is in `grammar::binary`.

use std::ffi::c_int;

use grammar::binary;
use pgrx::pg_sys::{self, Datum, StringInfoData};

use super::element::SqlElement;
use super::error::SqlError;
use super::fmgr::{Arguments, export_for_both_types};
use crate::am::datum::VarlenaBuf;

export_for_both_types! {
    "recv" => receive;
    "send" => send;
}

/// `recv(internal, oid, integer)`: reads the binary form.
///
/// Errors: 08P01 when it is cut short, 22000 when it is malformed, 22000 and 54000 as the text form.
fn receive<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    of_message(args, |bytes| {
        let dims = binary::dims_of::<E>(bytes, args.int32(2))?;
        let mut value = VarlenaBuf::<E>::zeroed(dims);
        binary::read(bytes, value.elements_mut())?;
        Ok((value, binary::size::<E>(dims)))
    })
}

/// Reads a value from what is left of the message in argument 0; `read` says as well how many bytes it has taken.
pub fn of_message<R>(
    args: &Arguments,
    read: impl FnOnce(&[u8]) -> Result<(R, usize), SqlError>,
) -> Result<R, SqlError> {
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
    let (value, taken) = read(bytes)?;
    *cursor += taken as c_int;
    Ok(value)
}

/// `send(vector)`: writes the binary form as a bytea.
fn send<E: SqlElement>(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.vector::<E>(0);
    let size = binary::size::<E>(value.dims());
    Ok(bytea(size, |bytes| binary::write(value.elements(), bytes)))
}

/// A `bytea` of `size` bytes, at most 128,012, that `fill` writes.
pub fn bytea(size: usize, fill: impl FnOnce(&mut [u8])) -> Datum {
    let header = pg_sys::VARHDRSZ;
    // SAFETY: palloc0 gives `size` zeroed bytes or raises an error; they fit the varlena length.
    let bytes = unsafe {
        let bytea = pg_sys::palloc0(header + size).cast::<u8>();
        pgrx::set_varsize_4b(bytea.cast(), (header + size) as i32);
        std::slice::from_raw_parts_mut(bytea, header + size)
    };
    fill(bytes.get_mut(header..).unwrap_or_default());
    Datum::from(bytes.as_mut_ptr())
}
