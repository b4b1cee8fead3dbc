//! The TEXMEX formats `fvecs`, `bvecs` and `ivecs`: each row is its length as a little-endian i32,
//! then that many f32, u8 or i32.

use anyhow::{Context, Result, ensure};
use gauge::vectors::{Neighbours, Vectors};

/// Walks the rows of a file whose elements take `width` bytes; all rows must have one length.
fn rows(bytes: &[u8], width: usize) -> Result<(usize, Vec<&[u8]>)> {
    let head = bytes.first_chunk::<4>().context("the file is too short for one row")?;
    let dims = usize::try_from(i32::from_le_bytes(*head)).context("a row has a negative length")?;
    ensure!((1..=1_000_000).contains(&dims), "row length {dims} is not believable");
    let stride = 4 + dims * width;
    ensure!(
        bytes.len().is_multiple_of(stride),
        "{} bytes are not whole rows of {stride} bytes",
        bytes.len()
    );
    let mut out = Vec::with_capacity(bytes.len() / stride);
    for (i, row) in bytes.chunks_exact(stride).enumerate() {
        let (length, body) = row.split_at(4);
        ensure!(length == head, "row {i} has another length than row 0");
        out.push(body);
    }
    Ok((dims, out))
}

/// Parses `fvecs`.
pub fn fvecs(bytes: &[u8]) -> Result<Vectors> {
    let (dims, rows) = rows(bytes, 4)?;
    Vectors::new(dims, rows.iter().flat_map(|r| le_words(r)).map(f32::from_le_bytes).collect())
}

/// Parses `bvecs`; the bytes become the numbers 0 to 255.
pub fn bvecs(bytes: &[u8]) -> Result<Vectors> {
    let (dims, rows) = rows(bytes, 1)?;
    Vectors::new(dims, rows.iter().flat_map(|r| r.iter()).map(|&b| f32::from(b)).collect())
}

/// Parses `ivecs` as row numbers.
pub fn ivecs(bytes: &[u8]) -> Result<Neighbours> {
    let (k, rows) = rows(bytes, 4)?;
    let ids = rows
        .iter()
        .flat_map(|r| le_words(r))
        .map(|w| u32::try_from(i32::from_le_bytes(w)).context("negative row number"))
        .collect::<Result<_>>()?;
    Ok(Neighbours { k, ids })
}

fn le_words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> + '_ {
    bytes.chunks_exact(4).map(|w| [w[0], w[1], w[2], w[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<const W: usize>(length: i32, values: &[[u8; W]]) -> Vec<u8> {
        [length.to_le_bytes().as_slice(), &values.concat()].concat()
    }

    #[test]
    fn reads_each_element_type() {
        let f = [row(2, &[1.5f32.to_le_bytes(), (-2f32).to_le_bytes()])].concat();
        assert_eq!(fvecs(&f).unwrap(), Vectors::new(2, vec![1.5, -2.0]).unwrap());
        let b = [row(3, &[[0u8], [7], [255]]), row(3, &[[1u8], [2], [3]])].concat();
        assert_eq!(bvecs(&b).unwrap().as_flat(), [0.0, 7.0, 255.0, 1.0, 2.0, 3.0]);
        let i = row(2, &[5i32.to_le_bytes(), 6i32.to_le_bytes()]);
        assert_eq!(ivecs(&i).unwrap(), Neighbours { k: 2, ids: vec![5, 6] });
    }

    #[test]
    fn refuses_malformed_files() {
        assert!(fvecs(b"").is_err());
        assert!(fvecs(&[1, 0]).is_err());
        assert!(fvecs(&row(-4, &[[0u8; 4]])).is_err());
        assert!(fvecs(&row(0, &[[0u8; 4]])).is_err());
        assert!(fvecs(&row(i32::MAX, &[[0u8; 4]])).is_err());
        let good = row(2, &[[1u8], [2]]);
        assert!(bvecs(&good[..good.len() - 1]).is_err(), "half a row");
        let mixed = [row(2, &[[1u8], [2]]), row(1, &[[1u8], [2]])].concat();
        assert!(bvecs(&mixed).unwrap_err().to_string().contains("row 1"));
        assert!(fvecs(&row(1, &[f32::NAN.to_le_bytes()])).is_err(), "not finite");
        assert!(ivecs(&row(1, &[(-1i32).to_le_bytes()])).is_err(), "negative row number");
    }
}
