//! The text form: `[1,2.5,3]`, blanks allowed around every token.

use std::ffi::CStr;

use crate::error::ValueError;
use crate::number::{DIMS_MAX, Number};

/// The C library's strtof, made safe: the number that a text begins with, and how many bytes of the text it is. The last byte
/// that it is given is the terminating NUL.
pub type Strtof = fn(&[u8]) -> (f32, usize);

/// Reads the text form of a value. `strtof` decides about numbers that are no plain decimals.
///
/// Errors: bad syntax, an element that is not finite or out of range, too many of them. That there are none is for
/// [`Number::check_dims`] to say.
pub fn read<E: Number>(text: &CStr, strtof: Strtof) -> Result<Vec<E>, ValueError> {
    Parser { text, at: 0, strtof }.elements()
}

/// A cursor over the text of one value; reading past its end gives the terminating NUL.
struct Parser<'a> {
    text: &'a CStr,
    at: usize,
    strtof: Strtof,
}

impl Parser<'_> {
    fn elements<E: Number>(mut self) -> Result<Vec<E>, ValueError> {
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
            if elements.len() == DIMS_MAX {
                let type_name = E::TYPE_NAME;
                return Err(ValueError::TooManyDims { type_name, most: DIMS_MAX });
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
    fn element<E: Number>(&mut self) -> Result<E, ValueError> {
        let rest = self.text.to_bytes().get(self.at..).unwrap_or_default();
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
    fn element_as_c_reads_it<E: Number>(&mut self) -> Result<E, ValueError> {
        let rest = self.text.to_bytes_with_nul().get(self.at..).unwrap_or(b"\0");
        let (value, length) = (self.strtof)(rest);
        let token = rest.get(..length).unwrap_or_default();
        let token = String::from_utf8_lossy(token).into_owned();
        if token.is_empty() {
            return Err(self.syntax::<E>(None));
        }
        // An infinity that was not spelled out is a number too large even for f32.
        let spelled = token.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
        if value.is_infinite() && !spelled {
            return Err(ValueError::out_of_range::<E>(&token));
        }
        self.at += length;
        E::check_finite(value)?;
        let element = E::from_f32(value);
        if element.is_finite() { Ok(element) } else { Err(ValueError::out_of_range::<E>(&token)) }
    }

    fn peek(&self) -> u8 {
        self.text.to_bytes_with_nul().get(self.at).copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) {
            self.at += 1;
        }
    }

    fn syntax<E: Number>(&self, detail: Option<&'static str>) -> ValueError {
        let text = self.text.to_string_lossy().into_owned();
        ValueError::Syntax { type_name: E::TYPE_NAME, text, detail }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    /// Of what strtof takes, infinities and one digit.
    fn strtof(text: &[u8]) -> (f32, usize) {
        assert_eq!(text.last(), Some(&0));
        match text {
            [b'i', b'n', b'f', ..] => (f32::INFINITY, 3),
            [digit @ b'0'..=b'9', ..] => (f32::from(digit - b'0'), 1),
            _ => (0.0, 0),
        }
    }

    #[test]
    fn numbers_between_brackets() {
        let of = |text| read::<f32>(text, strtof);
        assert_eq!(of(c" [ 1, -2.5e1 ,3\n]\t"), Ok(vec![1.0, -25.0, 3.0]));
        assert_eq!(of(c"[]"), Ok(Vec::new()));
        for wrong in [c"", c"1]", c"[", c"[1", c"[1,", c"[,1]", c"[1 2]", c"[1]]", c"[x]", c"[1,]"]
        {
            assert!(matches!(of(wrong), Err(ValueError::Syntax { .. })), "{wrong:?}");
        }
        assert_eq!(of(c"[inf]"), Err(ValueError::Infinite { type_name: "vector" }));
    }

    #[test]
    fn too_large_for_the_element() {
        // The stub sees the first digit only: a number that is left to it is cut off there.
        let cut = read::<f16>(c"[70000]", strtof);
        assert!(matches!(cut, Err(ValueError::Syntax { .. })), "{cut:?}");
        let many = format!("[{}1]\0", "1,".repeat(DIMS_MAX));
        let many = CStr::from_bytes_with_nul(many.as_bytes()).unwrap();
        assert_eq!(
            read::<f16>(many, strtof),
            Err(ValueError::TooManyDims { type_name: "halfvec", most: DIMS_MAX })
        );
    }
}
