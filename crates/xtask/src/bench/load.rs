//! Vectors on the wire: parameters encoded beforehand, literals, and binary COPY of whole tables.

use anyhow::Result;
use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, GenericClient};
use std::error::Error;
use std::io::Write;

/// A vector parameter in the bytes it is sent as: encoding is not part of what is timed.
#[derive(Clone, Debug)]
pub struct Encoded(Vec<u8>);

impl Encoded {
    pub fn new(v: &[f32]) -> Encoded {
        let mut bytes = Vec::with_capacity(4 + 4 * v.len());
        encode(v, &mut bytes);
        Encoded(bytes)
    }
}

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == "vector"
    }

    to_sql_checked!();
}

/// The binary form of `vector`: dimension, a zero, the elements, all big-endian.
fn encode(v: &[f32], out: &mut Vec<u8>) {
    out.extend_from_slice(&(v.len() as u16).to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    v.iter().for_each(|x| out.extend_from_slice(&x.to_be_bytes()));
}

/// The text form, for statements that take no parameters.
pub fn literal(v: &[f32]) -> String {
    let elements: Vec<String> = v.iter().map(f32::to_string).collect();
    format!("'[{}]'", elements.join(","))
}

/// Makes `table (id int, v vector(dims))` anew; no key, so that inserts pay for the one index.
pub fn create_table(client: &mut Client, table: &str, dims: usize) -> Result<()> {
    client.batch_execute(&format!(
        "DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id int NOT NULL, v vector({dims}))"
    ))?;
    Ok(())
}

/// Appends rows by one COPY; returns how many.
pub fn copy<'a>(
    client: &mut impl GenericClient,
    table: &str,
    rows: impl Iterator<Item = (i32, &'a [f32])>,
) -> Result<u64> {
    let writer = client.copy_in(&format!("COPY {table} (id, v) FROM STDIN (FORMAT binary)"))?;
    let mut writer = std::io::BufWriter::with_capacity(1 << 18, writer);
    writer.write_all(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0")?;
    let mut tuple = Vec::new();
    for (id, v) in rows {
        tuple.clear();
        tuple.extend_from_slice(&2i16.to_be_bytes());
        tuple.extend_from_slice(&4i32.to_be_bytes());
        tuple.extend_from_slice(&id.to_be_bytes());
        tuple.extend_from_slice(&(4 + 4 * v.len() as i32).to_be_bytes());
        encode(v, &mut tuple);
        writer.write_all(&tuple)?;
    }
    writer.write_all(&(-1i16).to_be_bytes())?;
    let writer = writer.into_inner().map_err(|e| e.into_error())?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_form_is_big_endian() {
        let mut out = Vec::new();
        encode(&[1.0, -2.0], &mut out);
        assert_eq!(out, [0, 2, 0, 0, 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]);
        assert_eq!(literal(&[1.0, -2.5]), "'[1,-2.5]'");
    }
}
