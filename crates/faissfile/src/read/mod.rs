//! Taking a file apart. Every count is held against the bytes that are left before anything is made of it, and the tree can only be
//! so deep; what is read at once is a number.

mod code;
mod graph;
mod index;
mod lists;
mod transform;

use crate::error::{Error, FourCc};
use crate::index::Index;
use crate::source::{Source, Span, Window};

/// How deep indexes may lie in each other. FAISS's own files of our kinds have seven levels at most.
const DEPTH_MAX: usize = 16;

/// The index of a file.
pub fn read(source: &mut dyn Source) -> Result<Index, Error> {
    let mut reader =
        Reader { window: Window::new(source), at: 0, code: FourCc(*b"file"), depth: 0 };
    let index = reader.index()?;
    let left = reader.left();
    if left > 0 {
        reader.code = index.code;
        return Err(reader.damaged(reader.at, format!("{left} bytes are left over at the end")));
    }
    Ok(index)
}

struct Reader<'s> {
    window: Window<'s>,
    /// The next byte.
    at: u64,
    /// The part that is read.
    code: FourCc,
    depth: usize,
}

impl Reader<'_> {
    fn left(&self) -> u64 {
        self.window.size().saturating_sub(self.at)
    }

    fn damaged(&self, at: u64, what: impl Into<String>) -> Error {
        Error::Damaged { code: self.code, at, what: what.into() }
    }

    /// The next bytes as they are.
    fn raw<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        if self.left() < N as u64 {
            let left = self.left();
            return Err(self.damaged(
                self.at,
                format!("the file ends after {left} of the {N} bytes of {what}"),
            ));
        }
        let mut bytes = [0; N];
        self.window.read_at(self.at, &mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u8(&mut self, what: &str) -> Result<u8, Error> {
        self.raw::<1>(what).map(|[byte]| byte)
    }

    fn i32(&mut self, what: &str) -> Result<i32, Error> {
        self.raw(what).map(i32::from_le_bytes)
    }

    fn i64(&mut self, what: &str) -> Result<i64, Error> {
        self.raw(what).map(i64::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, Error> {
        self.raw(what).map(u64::from_le_bytes)
    }

    fn f32(&mut self, what: &str) -> Result<f32, Error> {
        self.raw(what).map(f32::from_le_bytes)
    }

    fn bool(&mut self, what: &str) -> Result<bool, Error> {
        let at = self.at;
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.damaged(at, format!("{what} is {other}, neither 0 nor 1"))),
        }
    }

    /// A number of things of which there are `1..=most`.
    fn count(&mut self, what: &str, most: u64) -> Result<usize, Error> {
        let at = self.at;
        let n = self.u64(what)?;
        match usize::try_from(n) {
            Ok(count) if n > 0 && n <= most => Ok(count),
            _ => Err(self.damaged(at, format!("{what} is {n}, not in 1..{most}"))),
        }
    }

    /// `len` elements of `width` bytes, passed over. `from` is where the number was read.
    fn span(&mut self, from: u64, len: u64, width: u64, what: &str) -> Result<Span, Error> {
        let left = self.left();
        let bytes = len.checked_mul(width).filter(|bytes| *bytes <= left);
        let Some(bytes) = bytes else {
            let needed = u128::from(len) * u128::from(width);
            return Err(self.damaged(
                from,
                format!("{what} would take {needed} bytes, and the file has {left} more"),
            ));
        };
        let span = Span { at: self.at, len, width };
        self.at += bytes;
        Ok(span)
    }

    /// An array with its number of elements before it.
    fn array(&mut self, width: u64, what: &str) -> Result<Span, Error> {
        let from = self.at;
        let len = self.u64(what)?;
        self.span(from, len, width, what)
    }

    /// As `array`, for a known number of elements.
    fn exactly(&mut self, len: u64, width: u64, what: &str) -> Result<Span, Error> {
        let from = self.at;
        let found = self.u64(what)?;
        if found != len {
            return Err(
                self.damaged(from, format!("{what} has {found} elements where {len} belong"))
            );
        }
        self.span(from, len, width, what)
    }

    /// `number` must be `expected`.
    fn same(&self, at: u64, what: &str, number: u64, expected: u64) -> Result<(), Error> {
        if number == expected {
            return Ok(());
        }
        Err(self.damaged(at, format!("{what} is {number} where {expected} belongs")))
    }
}
