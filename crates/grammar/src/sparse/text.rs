//! The text form: `{1:1.5,3:2}/5`, blanks allowed around every token, the elements in any order. Zeros may be
//! written and are not stored.

use std::ffi::CStr;

use super::{STORED_MAX, Sparse, SparseError, TYPE_NAME};
use crate::error::ValueError;
use crate::text::Strtof;

/// Reads the text form of a value. The number of dimensions is compared with `modifier`, -1 for none, before the
/// positions are looked at.
///
/// Errors: bad syntax, too many elements, one that is not finite or out of range, dimensions out of range or others
/// than wanted, positions outside of them or repeated.
pub fn read(text: &CStr, modifier: i32, strtof: Strtof) -> Result<Sparse, ValueError> {
    let commas = text.to_bytes().iter().filter(|byte| **byte == b',').count();
    if commas >= STORED_MAX {
        return Err(SparseError::TooManyStored.into());
    }
    let mut parser = Parser { text, at: 0, strtof };
    let mut elements = parser.elements()?;
    let dims = super::check_dims(parser.dims()?)?;
    crate::typmod::check(modifier, dims)?;
    elements.sort_by_key(|(index, _)| *index);
    let mut before = None;
    for (index, _) in &elements {
        super::check_index(before, *index, dims)?;
        before = Some(*index);
    }
    let (indices, values) = elements.into_iter().unzip();
    Ok(Sparse { dims, indices, values })
}

/// A cursor over the text of one value; reading past its end gives the terminating NUL.
struct Parser<'a> {
    text: &'a CStr,
    at: usize,
    strtof: Strtof,
}

impl Parser<'_> {
    /// What is between the braces: positions that count from 0, in the order of the text, and elements other than 0.
    fn elements(&mut self) -> Result<Vec<(i32, f32)>, ValueError> {
        let mut elements = Vec::new();
        if !self.takes(b'{') {
            return Err(self.syntax(Some("Vector contents must start with \"{\".")));
        }
        if self.takes(b'}') {
            return Ok(elements);
        }
        loop {
            let index = self.index()?;
            if !self.takes(b':') {
                return Err(self.syntax(None));
            }
            let value = self.value()?;
            if value != 0.0 {
                elements.push((index, value));
            }
            if self.takes(b'}') {
                return Ok(elements);
            }
            if !self.takes(b',') {
                return Err(self.syntax(None));
            }
        }
    }

    /// What follows the closing brace; not yet compared with any limit.
    fn dims(&mut self) -> Result<i64, ValueError> {
        if !self.takes(b'/') {
            return Err(self.syntax(Some("Unexpected end of input.")));
        }
        let dims = self.integer()?;
        self.skip_blanks();
        if self.peek() == 0 { Ok(dims) } else { Err(self.syntax(Some("Junk after closing."))) }
    }

    /// A position, made to count from 0. One that no dimensions reach stays so.
    fn index(&mut self) -> Result<i32, ValueError> {
        let written = self.integer()?;
        // One more than the least, so that counting from 0 has room.
        let written = written.clamp(i64::from(i32::MIN) + 1, i64::from(i32::MAX));
        Ok((written - 1) as i32)
    }

    /// Decimal digits with a sign or without; a number too large for i64 becomes the largest.
    fn integer(&mut self) -> Result<i64, ValueError> {
        self.skip_blanks();
        let negative = self.peek() == b'-';
        self.at += usize::from(negative || self.peek() == b'+');
        let first = self.at;
        let mut number = 0i64;
        while self.peek().is_ascii_digit() {
            let digit = i64::from(self.peek() - b'0');
            number = number.saturating_mul(10).saturating_add(digit);
            self.at += 1;
        }
        if self.at == first {
            return Err(self.syntax(None));
        }
        Ok(if negative { -number } else { number })
    }

    /// An element. Unlike in the other types, a number that becomes 0 although it is none is refused: it would not
    /// be stored at all.
    fn value(&mut self) -> Result<f32, ValueError> {
        self.skip_blanks();
        let rest = self.text.to_bytes_with_nul().get(self.at..).unwrap_or(b"\0");
        let (value, length) = (self.strtof)(rest);
        let token = rest.get(..length).unwrap_or_default();
        if token.is_empty() {
            return Err(self.syntax(None));
        }
        // An infinity that was not spelled out is a number too large.
        let spelled = matches!(token, [b'+' | b'-', b'i' | b'I', ..] | [b'i' | b'I', ..]);
        if (value.is_infinite() && !spelled) || (value == 0.0 && !is_zero(token)) {
            let text = String::from_utf8_lossy(token).into_owned();
            return Err(ValueError::OutOfRange { type_name: TYPE_NAME, text });
        }
        super::check_finite(value)?;
        self.at += length;
        Ok(value)
    }

    /// Skips blanks, and `wanted` behind them if it is there. Was it?
    fn takes(&mut self, wanted: u8) -> bool {
        self.skip_blanks();
        let there = self.peek() == wanted;
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> u8 {
        self.text.to_bytes_with_nul().get(self.at).copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) {
            self.at += 1;
        }
    }

    fn syntax(&self, detail: Option<&'static str>) -> ValueError {
        let text = self.text.to_string_lossy().into_owned();
        ValueError::Syntax { type_name: TYPE_NAME, text, detail }
    }
}

/// Is this the text of a zero: are all digits before the exponent 0?
fn is_zero(number: &[u8]) -> bool {
    let unsigned = number.strip_prefix(b"-").or(number.strip_prefix(b"+")).unwrap_or(number);
    let hexadecimal = unsigned.strip_prefix(b"0x").or(unsigned.strip_prefix(b"0X"));
    let ends: &[u8] = if hexadecimal.is_some() { b"pP" } else { b"eE" };
    let digits = hexadecimal.unwrap_or(unsigned).iter().take_while(|byte| !ends.contains(byte));
    digits.copied().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
