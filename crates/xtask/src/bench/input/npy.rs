//! NumPy's `.npy`, versions 1 to 3: two-dimensional C-order arrays of int8, uint8, float16, float32
//! or float64, little-endian.

use anyhow::{Context, Result, bail, ensure};
use gauge::vectors::Vectors;
use half::f16;

/// The element types this reader takes, as `descr` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    Int8,
    UInt8,
    Float16,
    Float32,
    Float64,
}

impl Element {
    fn parse(descr: &str) -> Result<Element> {
        Ok(match descr {
            "|i1" | "<i1" => Element::Int8,
            "|u1" | "<u1" => Element::UInt8,
            "<f2" => Element::Float16,
            "<f4" => Element::Float32,
            "<f8" => Element::Float64,
            other => bail!("element type {other:?} is not supported (int8, uint8, float16/32/64)"),
        })
    }

    fn size(self) -> usize {
        match self {
            Element::Int8 | Element::UInt8 => 1,
            Element::Float16 => 2,
            Element::Float32 => 4,
            Element::Float64 => 8,
        }
    }

    fn read(self, b: &[u8]) -> f32 {
        match self {
            Element::Int8 => f32::from(b[0] as i8),
            Element::UInt8 => f32::from(b[0]),
            Element::Float16 => f16::from_le_bytes([b[0], b[1]]).to_f32(),
            Element::Float32 => f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            Element::Float64 => {
                f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32
            }
        }
    }
}

/// Parses an array; also returns its element type, because rows of int8 are stored scaled.
pub fn parse(bytes: &[u8]) -> Result<(Vectors, Element)> {
    let (header, body) = split_header(bytes)?;
    let element = Element::parse(quoted(field(header, "descr")?)?)?;
    ensure!(field(header, "fortran_order")?.starts_with("False"), "fortran order is not supported");
    let (rows, dims) = shape(field(header, "shape")?)?;
    let expected = rows
        .checked_mul(dims)
        .and_then(|n| n.checked_mul(element.size()))
        .context("the shape overflows")?;
    ensure!(
        body.len() == expected,
        "shape ({rows}, {dims}) needs {expected} bytes, found {}",
        body.len()
    );
    let data = body.chunks_exact(element.size()).map(|b| element.read(b)).collect();
    Ok((Vectors::new(dims, data)?, element))
}

/// The header's text and what follows it.
fn split_header(bytes: &[u8]) -> Result<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").context("not a .npy file")?;
    let (version, rest) = rest.split_at_checked(2).context("the header is cut off")?;
    let (length, rest) = match version[0] {
        1 => {
            let (l, rest) = rest.split_first_chunk::<2>().context("the header is cut off")?;
            (usize::from(u16::from_le_bytes(*l)), rest)
        }
        2 | 3 => {
            let (l, rest) = rest.split_first_chunk::<4>().context("the header is cut off")?;
            (usize::try_from(u32::from_le_bytes(*l))?, rest)
        }
        v => bail!("version {v} of .npy is not known"),
    };
    let (header, body) = rest.split_at_checked(length).context("the header is cut off")?;
    Ok((std::str::from_utf8(header).context("the header is not text")?, body))
}

/// What follows `'name':` in the header's dictionary.
fn field<'a>(header: &'a str, name: &str) -> Result<&'a str> {
    let key = format!("'{name}':");
    let at = header.find(&key).with_context(|| format!("the header has no {name}"))?;
    Ok(header[at + key.len()..].trim_start())
}

fn quoted(text: &str) -> Result<&str> {
    let rest = text.strip_prefix('\'').context("descr is not a plain type")?;
    Ok(&rest[..rest.find('\'').context("descr is not closed")?])
}

fn shape(text: &str) -> Result<(usize, usize)> {
    let inner = text.strip_prefix('(').and_then(|t| t.split_once(')')).context("bad shape")?.0;
    let sizes = inner
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(|s| s.parse::<usize>().context("bad shape"))
        .collect::<Result<Vec<_>>>()?;
    match sizes[..] {
        [rows, dims] => Ok((rows, dims)),
        _ => bail!("the array has {} axes, not 2", sizes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), body].concat()
    }

    #[test]
    fn reads_each_element_type() {
        let (v, e) = parse(&file("|i1", "(2, 2)", &[1, 255, 128, 127])).unwrap();
        assert_eq!((v.as_flat(), e), ([1.0, -1.0, -128.0, 127.0].as_slice(), Element::Int8));
        let half = [f16::from_f32(0.5).to_le_bytes(), f16::from_f32(-3.0).to_le_bytes()].concat();
        assert_eq!(parse(&file("<f2", "(1, 2)", &half)).unwrap().0.as_flat(), [0.5, -3.0]);
        let single = [1.25f32.to_le_bytes(), 2f32.to_le_bytes()].concat();
        assert_eq!(parse(&file("<f4", "(2, 1)", &single)).unwrap().0.row(1), [2.0]);
        assert_eq!(parse(&file("<f8", "(1, 1)", &4f64.to_le_bytes())).unwrap().0.as_flat(), [4.0]);
    }

    #[test]
    fn refuses_malformed_files() {
        let good = file("<f4", "(1, 1)", &1f32.to_le_bytes());
        for cut in 0..good.len() {
            assert!(parse(&good[..cut]).is_err(), "cut at {cut}");
        }
        for bad in [
            file(">f4", "(1, 1)", &[0; 4]),
            file("<f4", "(4,)", &[0; 16]),
            file("<f4", "(1, 1, 1)", &[0; 4]),
            file("<f4", "(18446744073709551615, 2)", &[0; 4]),
            file("<f4", "(1, -1)", &[0; 4]),
            file("<f4", "(1, 0)", &[]),
        ] {
            assert!(parse(&bad).is_err());
        }
        let fortran = String::from_utf8_lossy(&good[1..]).replace("False", "True ");
        assert!(parse(&[&[0x93u8], fortran.as_bytes()].concat()).is_err());
    }
}
