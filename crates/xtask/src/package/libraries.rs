//! Which libraries of the system a shared library needs, and how new they must be.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The packages of Debian that it depends on, as `Depends` names them.
pub fn dependencies(library: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(library).with_context(|| library.display().to_string())?;
    let mut needed = vec![match newest_libc(&bytes) {
        Some((major, minor)) => format!("libc6 (>= {major}.{minor})"),
        None => "libc6".to_owned(),
    }];
    if contains(&bytes, b"libgcc_s.so.1") {
        needed.push("libgcc-s1 (>= 4.2)".to_owned());
    }
    Ok(needed)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// The newest of the versions `GLIBC_2.34` that symbols ask for.
fn newest_libc(bytes: &[u8]) -> Option<(u32, u32)> {
    const PREFIX: &[u8] = b"GLIBC_";
    let starts = bytes.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX);
    let versions = starts.filter_map(|(at, _)| {
        let rest = &bytes[at + PREFIX.len()..];
        let end = rest.iter().position(|b| !b.is_ascii_digit() && *b != b'.')?;
        let (major, minor) = std::str::from_utf8(&rest[..end]).ok()?.split_once('.')?;
        Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let bytes = b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0";
        assert_eq!(newest_libc(bytes), Some((2, 34)));
        assert_eq!(newest_libc(b"nothing"), None);
    }
}
