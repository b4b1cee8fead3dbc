//! The text form, the binary form and the type modifier as the server passes them; `grammar::sparse` takes them apart.

use std::io::Write;

use grammar::sparse::{DIMS_MAX, Sparse, TYPE_NAME, binary, text};
use pgrx::pg_sys::Datum;

use crate::am::datum::sparse::new_sparse;
use crate::sql::binary::{bytea, of_message};
use crate::sql::error::SqlError;
use crate::sql::fmgr::{Arguments, export};
use crate::sql::text::{append_shortest, cstring, read_modifier, strtof};

export! {
    "sparsevec_in" => input;
    "sparsevec_out" => output;
    "sparsevec_typmod_in" => |args| read_modifier(args, TYPE_NAME, DIMS_MAX);
    "sparsevec_recv" => receive;
    "sparsevec_send" => send;
}

/// Bytes of a position, an element and what separates them, for a first guess.
const USUAL_SIZE: usize = 12;

/// `in(cstring, oid, integer)`: reads the text form.
fn input(args: &Arguments) -> Result<Datum, SqlError> {
    Ok(into_datum(&text::read(args.text(0), args.int32(2), strtof)?))
}

/// `out(sparsevec)`: writes the text form, positions counted from 1 and each number as short as it can be.
fn output(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.sparse(0);
    let mut text = Vec::with_capacity(USUAL_SIZE * (value.indices().len() + 2));
    for (i, (index, element)) in value.indices().iter().zip(value.values()).enumerate() {
        text.push(if i == 0 { b'{' } else { b',' });
        append(&mut text, i64::from(*index) + 1);
        text.push(b':');
        append_shortest(*element, &mut text);
    }
    if value.indices().is_empty() {
        text.push(b'{');
    }
    text.extend_from_slice(b"}/");
    append(&mut text, value.dims() as i64);
    Ok(cstring(&text))
}

fn append(text: &mut Vec<u8>, number: i64) {
    // Writing to memory cannot fail.
    let _ = write!(text, "{number}");
}

/// `recv(internal, oid, integer)`: reads the binary form.
///
/// Errors: 08P01 when it is cut short, else those of the text form.
fn receive(args: &Arguments) -> Result<Datum, SqlError> {
    of_message(args, |bytes| {
        let value = binary::read(bytes, args.int32(2))?;
        Ok((into_datum(&value), binary::size(value.indices.len())))
    })
}

/// `send(sparsevec)`: writes the binary form as a bytea.
fn send(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.sparse(0);
    let (indices, elements) = (value.indices(), value.values());
    let size = binary::size(indices.len());
    Ok(bytea(size, |bytes| binary::write(value.dims() as i32, indices, elements, bytes)))
}

fn into_datum(value: &Sparse) -> Datum {
    new_sparse(value.dims, &value.indices, &value.values)
}
