//! Where the bytes of a file come from, and places in it.

use crate::error::Error;

/// Bytes that can be read anywhere: in memory, a large object, a file.
pub trait Source {
    /// How many there are.
    fn size(&self) -> u64;
    /// Fills `out` with the bytes from `at` on. They are there: the caller has asked for the size.
    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<(), Error>;
}

/// Bytes in memory.
impl Source for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let found = self.get(start..).and_then(|rest| rest.get(..out.len()));
        let found = found.ok_or_else(|| Error::Source("the bytes end too early".into()))?;
        out.copy_from_slice(found);
        Ok(())
    }
}

/// Bytes read at once where little is asked for: neighbours are asked for next.
const WINDOW: usize = 64 << 10;

/// A source that is read in larger pieces than it is asked for.
pub struct Window<'s> {
    source: &'s mut dyn Source,
    start: u64,
    bytes: Vec<u8>,
}

impl<'s> Window<'s> {
    /// Nothing is read yet.
    pub fn new(source: &'s mut dyn Source) -> Self {
        Self { source, start: 0, bytes: Vec::new() }
    }

    fn held(&self, at: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(start..)?.get(..len)
    }
}

impl Source for Window<'_> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        if out.len() > WINDOW / 2 {
            return self.source.read_at(at, out);
        }
        if self.held(at, out.len()).is_none() {
            let there = self.source.size().saturating_sub(at);
            let len = WINDOW.min(usize::try_from(there).unwrap_or(WINDOW));
            self.bytes.resize(len, 0);
            self.start = at;
            self.source.read_at(at, &mut self.bytes)?;
        }
        match self.held(at, out.len()) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => return Err(Error::Source("the bytes end too early".into())),
        }
        Ok(())
    }
}

/// An array in a file. Its elements are there: `read` has made sure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Its first byte.
    pub at: u64,
    /// Elements.
    pub len: u64,
    /// Bytes of an element.
    pub width: u64,
}

impl Span {
    /// Where element `i` begins.
    pub fn place(&self, i: u64) -> u64 {
        self.at.saturating_add(i.saturating_mul(self.width))
    }

    /// Elements `first .. first + n`, each of them a little-endian number made by `number`.
    fn numbers<T, const W: usize>(
        &self,
        source: &mut dyn Source,
        (first, n): (u64, usize),
        number: impl Fn([u8; W]) -> T,
    ) -> Result<Vec<T>, Error> {
        if n == 0 {
            return Ok(Vec::new());
        }
        if self.width != W as u64 || first.saturating_add(n as u64) > self.len {
            return Err(Error::Source("an array ends too early".into()));
        }
        let mut bytes = vec![0; n * W];
        source.read_at(self.place(first), &mut bytes)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| number(*bytes)).collect())
    }

    /// Floats `first .. first + n`.
    pub fn floats(&self, source: &mut dyn Source, first: u64, n: usize) -> Result<Vec<f32>, Error> {
        self.numbers(source, (first, n), f32::from_le_bytes)
    }

    /// 64-bit numbers `first .. first + n`.
    pub fn longs(&self, source: &mut dyn Source, first: u64, n: usize) -> Result<Vec<i64>, Error> {
        self.numbers(source, (first, n), i64::from_le_bytes)
    }

    /// Bytes `first .. first + n`.
    pub fn bytes(&self, source: &mut dyn Source, first: u64, n: usize) -> Result<Vec<u8>, Error> {
        self.numbers(source, (first, n), |[byte]| byte)
    }
}
