//! FAISS's index_factory strings, as far as there are indexes for them: `IVFn,Flat`.

use crate::rules::MAX_NLIST;
use std::fmt::{self, Display, Formatter};

/// What the grammar knows; for an error's hint.
pub const SUPPORTED: &str =
    "IVFn,Flat with n from 1 to 65536, where a k after n multiplies by 1024";

/// What a factory string asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Factory {
    /// Inverted lists.
    pub nlist: u32,
}

/// Why a factory string was not taken. Each kind names the part at fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FactoryError {
    /// The string is empty.
    #[error("factory string is empty")]
    Empty,
    /// A part that means nothing here.
    #[error("factory string \"{whole}\" has a part that is not understood: \"{part}\"")]
    NotUnderstood {
        /// The string.
        whole: String,
        /// The part.
        part: String,
    },
    /// The code part is missing.
    #[error("factory string \"{whole}\" ends without a code after \"{part}\"")]
    NoCode {
        /// The string.
        whole: String,
        /// The part after which it ends.
        part: String,
    },
    /// More lists than an index can have, or none.
    #[error("factory string \"{whole}\" asks for a number of lists out of range: \"{part}\"")]
    OutOfRange {
        /// The string.
        whole: String,
        /// The part with the number.
        part: String,
    },
}

impl Factory {
    /// Takes a factory string apart. As in FAISS, case matters and blanks are not allowed.
    pub fn parse(whole: &str) -> Result<Self, FactoryError> {
        if whole.is_empty() {
            return Err(FactoryError::Empty);
        }
        let (coarse, code) = match whole.split_once(',') {
            Some((coarse, code)) => (coarse, Some(code)),
            None => (whole, None),
        };
        let not_understood = |part: &str| FactoryError::NotUnderstood {
            whole: whole.to_owned(),
            part: part.to_owned(),
        };
        let number = coarse.strip_prefix("IVF").ok_or_else(|| not_understood(coarse))?;
        let lists = count(number).ok_or_else(|| not_understood(coarse))?;
        let nlist = u32::try_from(lists).ok().filter(|n| (1..=MAX_NLIST).contains(n));
        let nlist = nlist.ok_or_else(|| FactoryError::OutOfRange {
            whole: whole.to_owned(),
            part: coarse.to_owned(),
        })?;
        match code {
            Some("Flat") => Ok(Factory { nlist }),
            // With a further comma, the code may be right and what follows unknown.
            Some(code) => Err(not_understood(code.strip_prefix("Flat,").unwrap_or(code))),
            None => Err(FactoryError::NoCode { whole: whole.to_owned(), part: coarse.to_owned() }),
        }
    }
}

/// A number with an optional suffix; saturates, so that what is absurdly large is out of range and not unknown.
fn count(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1u64),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit))
}

/// The canonical string.
impl Display for Factory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "IVF{},Flat", self.nlist)
    }
}

#[cfg(test)]
mod tests {
    use super::{Factory, FactoryError};

    #[test]
    fn accepts() {
        for (text, nlist) in [
            ("IVF1024,Flat", 1024),
            ("IVF1,Flat", 1),
            ("IVF4k,Flat", 4096),
            ("IVF64k,Flat", 65_536),
        ] {
            let factory = Factory::parse(text).unwrap();
            assert_eq!(factory.nlist, nlist);
            assert_eq!(Factory::parse(&factory.to_string()), Ok(factory));
        }
    }

    fn at_fault(text: &str) -> String {
        match Factory::parse(text).unwrap_err() {
            FactoryError::Empty => String::new(),
            FactoryError::NotUnderstood { part, whole } => {
                assert_eq!(whole, text);
                part
            }
            FactoryError::NoCode { part, .. } => format!("end after {part}"),
            FactoryError::OutOfRange { part, .. } => format!("range of {part}"),
        }
    }

    #[test]
    fn refuses_and_names_the_part() {
        for (text, part) in [
            ("", ""),
            ("Flat", "Flat"),
            ("HNSW32", "HNSW32"),
            ("IVF1024", "end after IVF1024"),
            ("IVF1024,", ""),
            ("IVF1024,PQ16", "PQ16"),
            ("IVF1024,Flat,RFlat", "RFlat"),
            ("OPQ16,IVF1024,Flat", "OPQ16"),
            ("IVF1024, Flat", " Flat"),
            ("ivf1024,Flat", "ivf1024"),
            ("IVF,Flat", "IVF"),
            ("IVFk,Flat", "IVFk"),
            ("IVF-1,Flat", "IVF-1"),
            ("IVF16_HNSW32,Flat", "IVF16_HNSW32"),
            ("IVF0,Flat", "range of IVF0"),
            ("IVF65537,Flat", "range of IVF65537"),
            ("IVF1M,Flat", "range of IVF1M"),
            ("IVF99999999999999999999999k,Flat", "range of IVF99999999999999999999999k"),
            ("IVF1é,Flat", "IVF1é"),
        ] {
            assert_eq!(at_fault(text), part, "{text}");
        }
    }
}
