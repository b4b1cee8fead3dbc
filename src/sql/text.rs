//! The text form: `[1,2.5,3]`, blanks allowed around every token, and the type modifier.

use std::ffi::{CStr, c_char, c_int};

use pgrx::pg_sys::{self, Datum};

use super::element::{SqlElement, check_typmod};
use super::error::SqlError;
use super::fmgr::{Arguments, export_for_both_types};
use crate::am::datum::{MAX_DIMS, VarlenaBuf};

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
    // SAFETY: the DDL declares argument 0 as cstring.
    let text = unsafe { CStr::from_ptr(args.datum(0).cast_mut_ptr::<c_char>()) };
    let elements = Parser { text, at: 0 }.elements::<E>()?;
    E::check_dims(elements.len())?;
    check_typmod(args.int32(2), elements.len())?;
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
    let mut count = 0;
    // SAFETY: the DDL declares argument 0 as cstring[]; the server never toasts a type modifier.
    let dims = unsafe {
        let modifiers = pg_sys::ArrayGetIntegerTypmods(args.datum(0).cast_mut_ptr(), &mut count);
        if count == 1 { Some(*modifiers) } else { None }
    };
    let name = E::TYPE_NAME;
    match dims {
        None => Err(SqlError::Typmod { message: "invalid type modifier".to_owned() }),
        Some(..1) => Err(SqlError::Typmod {
            message: format!("dimensions for type {name} must be at least 1"),
        }),
        Some(dims) if dims > MAX_DIMS as i32 => Err(SqlError::Typmod {
            message: format!("dimensions for type {name} cannot exceed {MAX_DIMS}"),
        }),
        Some(dims) => Ok(dims),
    }
}

/// The text that the server would print for a `real`.
pub fn shortest(value: f32) -> String {
    let mut text = [0u8; NUMBER_SIZE];
    // SAFETY: the buffer has the size that the function asks for.
    let length = unsafe { float_to_shortest_decimal_bufn(value, text.as_mut_ptr().cast()) };
    String::from_utf8_lossy(text.get(..length as usize).unwrap_or_default()).into_owned()
}

/// A cursor over the text of one value; reading past its end gives the terminating NUL.
struct Parser<'a> {
    text: &'a CStr,
    at: usize,
}

impl Parser<'_> {
    fn elements<E: SqlElement>(mut self) -> Result<Vec<E>, SqlError> {
        self.skip_blanks();
        if self.peek() != b'[' {
            return Err(self.syntax::<E>(Some("Vector contents must start with \"[\".")));
        }
        self.at += 1;
        self.skip_blanks();
        let mut elements = Vec::new();
        if self.peek() == b']' {
            return Ok(elements);
        }
        loop {
            if elements.len() == MAX_DIMS {
                let type_name = E::TYPE_NAME;
                return Err(SqlError::TooManyDims { type_name, dims: self.count_dims() });
            }
            self.skip_blanks();
            elements.push(self.element()?);
            self.skip_blanks();
            match self.peek() {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(self.syntax::<E>(None)),
            }
        }
        self.at += 1;
        self.skip_blanks();
        if self.peek() != 0 {
            return Err(self.syntax::<E>(Some("Junk after closing right brace.")));
        }
        Ok(elements)
    }

    /// One number. Rust's parser takes plain decimals, several times faster than strtof and equally
    /// exact; the C reader decides about everything else (hexadecimal, inf, nan, junk).
    fn element<E: SqlElement>(&mut self) -> Result<E, SqlError> {
        let rest = self.rest();
        let length =
            rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let length = length.count();
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let ended = matches!(after.first(), Some(b',' | b']' | b' '));
        let decimal = std::str::from_utf8(token).ok().and_then(|t| t.parse::<f32>().ok());
        if let (true, Some(value)) = (ended, decimal) {
            let element = E::from_f32(value);
            if element.is_finite() {
                self.at += length;
                return Ok(element);
            }
        }
        self.element_as_c_reads_it()
    }

    #[cold]
    fn element_as_c_reads_it<E: SqlElement>(&mut self) -> Result<E, SqlError> {
        let rest = self.rest();
        let mut end = std::ptr::null_mut();
        // SAFETY: `rest` is the tail of a NUL-terminated string; strtof stays within it.
        let (value, length) = unsafe {
            let start = rest.as_ptr().cast::<c_char>();
            let value = libc::strtof(start, &raw mut end);
            (value, end.offset_from(start).cast_unsigned())
        };
        let token = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned();
        if token.is_empty() {
            return Err(self.syntax::<E>(None));
        }
        // An infinity that was not spelled out is a number too large even for f32.
        let spelled = token.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
        if value.is_infinite() && !spelled {
            return Err(SqlError::out_of_range::<E>(&token));
        }
        self.at += length;
        E::check_finite(value)?;
        let element = E::from_f32(value);
        if element.is_finite() { Ok(element) } else { Err(SqlError::out_of_range::<E>(&token)) }
    }

    fn rest(&self) -> &[u8] {
        self.text.to_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> u8 {
        self.text.to_bytes_with_nul().get(self.at).copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) {
            self.at += 1;
        }
    }

    /// How many numbers a text that is too long has, for the message.
    fn count_dims(&self) -> usize {
        self.text.to_bytes().iter().filter(|b| **b == b',').count() + 1
    }

    fn syntax<E: SqlElement>(&self, detail: Option<&'static str>) -> SqlError {
        let text = self.text.to_string_lossy().into_owned();
        SqlError::Syntax { type_name: E::TYPE_NAME, text, detail }
    }
}
