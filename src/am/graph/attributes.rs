//! The attributes of the rows of a build: what their filter columns have.

use pages::search::attributes::Attributes;

/// Attributes of rows, one behind the other.
#[derive(Default)]
pub struct RowAttributes {
    bytes: Vec<u8>,
    /// Bytes of a row.
    size: usize,
}

impl RowAttributes {
    /// No rows yet.
    pub fn new(attributes: &Attributes) -> Self {
        Self { bytes: Vec::new(), size: attributes.entry_size() }
    }

    /// Adds rows: their attributes, as an insert takes them.
    pub fn add(&mut self, entries: &[u8]) {
        self.bytes.extend_from_slice(entries);
    }

    /// The attributes of a row.
    pub fn of(&self, row: u32) -> &[u8] {
        let at = row as usize * self.size;
        self.bytes.get(at..at + self.size).unwrap_or_default()
    }
}
