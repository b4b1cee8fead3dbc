//! The name of a trained model, as options and the metapage have it.

use std::fmt::{self, Debug, Display, Formatter};

/// 1 to 63 bytes of text without a zero byte, as long as other names of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ModelName {
    bytes: [u8; Self::SIZE],
    len: u8,
}

impl ModelName {
    /// Bytes of a name on disk, zeros at the end.
    pub const SIZE: usize = 64;

    /// `None` for what is no name.
    pub fn new(name: &str) -> Option<Self> {
        let len = u8::try_from(name.len()).ok()?;
        if name.is_empty() || name.len() >= Self::SIZE || name.contains('\0') {
            return None;
        }
        let mut bytes = [0; Self::SIZE];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, len })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Its bytes, without zeros.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Display for ModelName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Debug for ModelName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::ModelName;

    #[test]
    fn names_have_1_to_63_bytes() {
        let longest = "é".repeat(31) + "x";
        for name in ["a", "Two words", longest.as_str()] {
            assert_eq!(ModelName::new(name).unwrap().as_str(), name);
        }
        for bad in ["", "a\0b", &"x".repeat(64), &"é".repeat(32), &"x".repeat(300)] {
            assert_eq!(ModelName::new(bad), None, "{bad}");
        }
    }
}
