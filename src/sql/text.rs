//! The text form and the type modifier as the server passes them; `grammar` takes both apart.

use std::ffi::{c_char, c_int};

use grammar::{DIMS_MAX, typmod};
use pgrx::pg_sys::{self, Datum};

use super::element::SqlElement;
use super::error::SqlError;
use super::fmgr::{Arguments, export_for_both_types};
use crate::am::datum::VarlenaBuf;

export_for_both_types! {
    "in" => input;
    "out" => output;
    "typmod_in" => typmod_in;
}

/// Room for one number and its separator, as the server's own float output counts it.
const NUMBER_SIZE: usize = 16;

unsafe extern "C" {
    /// The server's shortest decimal that reads back as the same number; at most
    /// `NUMBER_SIZE - 1` bytes, not terminated. It neither allocates nor raises errors.
    fn float_to_shortest_decimal_bufn(value: f32, result: *mut c_char) -> c_int;
}

/// `in(cstring, oid, integer)`: reads the text form.
fn input<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    let elements = grammar::text::read::<E>(args.text(0), strtof)?;
    E::check_dims(elements.len())?;
    typmod::check(args.int32(2), elements.len())?;
    Ok(VarlenaBuf::from_elements(elements.into_iter()))
}

/// `out(vector)`: writes the text form, each number as short as it can be.
fn output<E: SqlElement>(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.vector::<E>(0);
    // SAFETY: palloc returns that many bytes or raises an error.
    let text = unsafe { pg_sys::palloc(NUMBER_SIZE * value.dims() + 3) }.cast::<c_char>();
    let mut at = text;
    for (i, element) in value.elements().iter().enumerate() {
        // SAFETY: one separator and at most NUMBER_SIZE - 1 bytes per number fit the allocation,
        // with three bytes to spare for the bracket and the terminator.
        unsafe {
            *at = if i == 0 { b'[' } else { b',' }.cast_signed();
            at = at.add(1);
            at = at.add(float_to_shortest_decimal_bufn(element.to_f32(), at) as usize);
        }
    }
    // SAFETY: as above.
    unsafe {
        *at = b']'.cast_signed();
        *at.add(1) = 0;
    }
    Ok(Datum::from(text))
}

/// `typmod_in(cstring[])`: the type modifier is the number of dimensions.
fn typmod_in<E: SqlElement>(args: &Arguments) -> Result<i32, SqlError> {
    read_modifier(args, E::TYPE_NAME, DIMS_MAX)
}

/// The type modifier in argument 0, of the type `type_name`, which has at most `most` dimensions.
pub fn read_modifier(args: &Arguments, type_name: &str, most: usize) -> Result<i32, SqlError> {
    let mut count = 0;
    // SAFETY: the DDL declares argument 0 as cstring[]; the server never toasts a type modifier. It
    // gives back as many numbers as it counts.
    let modifiers = unsafe {
        let first = pg_sys::ArrayGetIntegerTypmods(args.datum(0).cast_mut_ptr(), &mut count);
        std::slice::from_raw_parts(first, usize::try_from(count).unwrap_or(0))
    };
    Ok(typmod::read(type_name, most, modifiers)?)
}

/// The number that a text begins with, and how many bytes of it are that number. The last byte is NUL.
pub fn strtof(text: &[u8]) -> (f32, usize) {
    if text.last() != Some(&0) {
        return (0.0, 0);
    }
    let start = text.as_ptr().cast::<c_char>();
    let mut end = std::ptr::null_mut();
    // SAFETY: strtof stays within a text that ends with NUL.
    unsafe {
        let value = libc::strtof(start, &raw mut end);
        (value, end.offset_from(start).cast_unsigned())
    }
}

/// The text that the server would print for a `real`.
pub fn shortest(value: f32) -> String {
    let mut text = Vec::with_capacity(NUMBER_SIZE);
    append_shortest(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Appends the text that the server would print for a `real`.
pub fn append_shortest(value: f32, text: &mut Vec<u8>) {
    let mut room = [0u8; NUMBER_SIZE];
    // SAFETY: the buffer has the size that the function asks for.
    let length = unsafe { float_to_shortest_decimal_bufn(value, room.as_mut_ptr().cast()) };
    text.extend_from_slice(room.get(..length as usize).unwrap_or_default());
}

/// Hands a text to the server as a `cstring` in the current memory context.
pub fn cstring(text: &[u8]) -> Datum {
    // SAFETY: palloc returns that many bytes or raises an error; the text and its terminator fit them.
    unsafe {
        let copy = pg_sys::palloc(text.len() + 1).cast::<u8>();
        std::ptr::copy_nonoverlapping(text.as_ptr(), copy, text.len());
        *copy.add(text.len()) = 0;
        Datum::from(copy)
    }
}
