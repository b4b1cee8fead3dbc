//! What can be wrong with a file.

use std::fmt::{self, Display, Formatter};

/// The four characters that say what follows in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FourCc(pub [u8; 4]);

impl Display for FourCc {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Why a file gives no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no such file: it is cut off, or contradicts itself.
    #[error("\"{code}\", byte {at}: {what}")]
    Damaged {
        /// The part it is in.
        code: FourCc,
        /// Where.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// A sound file of what we have not.
    #[error("\"{code}\", byte {at}: {what}")]
    Unsupported {
        /// The part.
        code: FourCc,
        /// Where it begins.
        at: u64,
        /// What it is.
        what: String,
        /// What can be done.
        hint: &'static str,
    },
    /// It would take more memory than there may be.
    #[error("{what}")]
    TooLarge {
        /// What is too large.
        what: String,
    },
    /// The bytes cannot be had.
    #[error("{0}")]
    Source(String),
}
