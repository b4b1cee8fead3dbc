//! Attributes of rows: what filter columns become, and how 32 rows have them together.

use ann::codec::{LANES, UNIT};

/// The most attributes of a row.
pub const ATTRIBUTES_MAX: usize = 8;

/// The attributes that rows carry beside their tids: for each the bytes of a value, 0 where there is none.
///
/// A block has one unit of null bitmaps, 32 bits for each attribute, and after it a strip for each: its 32 values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes([u8; ATTRIBUTES_MAX]);

impl Attributes {
    /// None.
    pub const NONE: Self = Self([0; ATTRIBUTES_MAX]);

    /// Values of these widths in bytes; None if there are too many, or one is not 1, 2, 4, 8 or 16.
    pub fn new(widths: &[u8]) -> Option<Self> {
        let mut all = [0; ATTRIBUTES_MAX];
        all.get_mut(..widths.len())?.copy_from_slice(widths);
        Self::from_bytes(all).filter(|made| made.widths().count() == widths.len())
    }

    /// The inverse of [`Attributes::to_bytes`]; None if these are no attributes.
    pub fn from_bytes(widths: [u8; ATTRIBUTES_MAX]) -> Option<Self> {
        let n = widths.iter().take_while(|width| **width > 0).count();
        let (used, rest) = widths.split_at(n);
        let is_sound = used.iter().all(|width| matches!(width, 1 | 2 | 4 | 8 | 16));
        (is_sound && rest.iter().all(|width| *width == 0)).then_some(Self(widths))
    }

    /// The widths, 0 behind the last.
    pub fn to_bytes(self) -> [u8; ATTRIBUTES_MAX] {
        self.0
    }

    /// The widths in bytes.
    pub fn widths(&self) -> impl Iterator<Item = usize> {
        self.0.iter().take_while(|width| **width > 0).map(|width| usize::from(*width))
    }

    /// Bytes of the attributes of one entry as [`Attributes::place`] takes them: which are null, one bit each, then the values.
    pub fn entry_size(&self) -> usize {
        let values: usize = self.widths().sum();
        if values == 0 { 0 } else { 1 + values }
    }

    /// Units of a block: a strip of 32 values of w bytes is w units.
    pub fn units(&self) -> usize {
        self.entry_size()
    }

    /// Bytes before the values of an attribute in a block.
    pub fn strip_at(&self, attribute: usize) -> usize {
        (1 + self.widths().take(attribute).sum::<usize>()) * UNIT
    }

    /// Appends the attributes of a lane of a block, as [`Attributes::place`] takes them; nothing where there are none.
    pub fn append_entry(&self, block: &[u8], lane: usize, out: &mut Vec<u8>) {
        if self.entry_size() == 0 {
            return;
        }
        let is_null = |i: usize| {
            let byte = block.get(nulls_at(i) + lane / 8).copied().unwrap_or_default();
            u8::from(byte & 1 << (lane % 8) != 0) << i
        };
        out.push((0..self.widths().count()).map(is_null).fold(0, |nulls, null| nulls | null));
        let mut strip = UNIT;
        for width in self.widths() {
            let at = strip + lane * width;
            match block.get(at..at + width) {
                Some(value) => out.extend_from_slice(value),
                None => out.resize(out.len() + width, 0),
            }
            strip += width * UNIT;
        }
    }

    /// Calls `put` with each piece of an entry's attributes and where it lies among the bytes of a block.
    pub fn place(&self, lane: usize, entry: &[u8], mut put: impl FnMut(usize, AttributeBytes<'_>)) {
        let Some((nulls, mut values)) = entry.split_first() else { return };
        let mut strip = UNIT;
        for (i, width) in self.widths().enumerate() {
            let is_null = nulls & 1 << i != 0;
            let bit = AttributeBytes::Null { bit: 1 << (lane % 8), is_null };
            put(nulls_at(i) + lane / 8, bit);
            let Some((value, rest)) = values.split_at_checked(width) else { return };
            put(strip + lane * width, AttributeBytes::Value(value));
            values = rest;
            strip += width * UNIT;
        }
    }
}

/// Where the null bitmap of an attribute begins among the bytes of a block.
pub fn nulls_at(attribute: usize) -> usize {
    attribute * LANES / 8
}

/// A piece of an entry's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeBytes<'a> {
    /// One bit of a null bitmap.
    Null {
        /// The lane's bit in its byte.
        bit: u8,
        /// What it is to be.
        is_null: bool,
    },
    /// A value, in place.
    Value(&'a [u8]),
}
