//! The curve of an index (what recall costs on it) as its metapage keeps it.

use ann::tuning::Curve;
use ann::tuning::curve::{Effort, Efforts, RECALLS, ROWS};

use crate::bytes::{put, put_u16, put_u32, u16_at, u32_at};

/// Bytes that a curve takes: queries u32 · recalls reached `[u8; 3]` · reserved u8 · for each number of rows and each recall
/// width u32 and k_factor u16, in hundredths.
pub const SIZE: usize = EFFORTS + ROWS.len() * RECALLS.len() * EFFORT_SIZE;

const QUERIES: usize = 0;
const REACHED: usize = 4;
const EFFORTS: usize = 8;
const EFFORT_SIZE: usize = 6;
const HUNDREDTHS: f32 = 100.0;

/// Where an effort lies.
fn place(start: usize, rows: usize, recall: usize) -> usize {
    start + EFFORTS + (rows * RECALLS.len() + recall) * EFFORT_SIZE
}

/// Writes a curve at `start`.
pub fn encode(body: &mut [u8], start: usize, curve: &Curve) {
    put_u32(body, start + QUERIES, curve.queries);
    for (rows, efforts) in curve.rows.iter().enumerate() {
        put(body, start + REACHED + rows, &[efforts.reached]);
        for (recall, effort) in efforts.efforts.iter().enumerate() {
            let at = place(start, rows, recall);
            put_u32(body, at, effort.width);
            put_u16(body, at + 4, (effort.k_factor * HUNDREDTHS).round() as u16);
        }
    }
}

/// Reads one. Numbers that no build writes count as not measured: what depends on them is how long a search goes on, not what
/// it may return.
pub fn decode(body: &[u8], start: usize) -> Curve {
    let efforts = |rows: usize| Efforts {
        efforts: std::array::from_fn(|recall| {
            let at = place(start, rows, recall);
            Effort {
                width: u32_at(body, at),
                k_factor: f32::from(u16_at(body, at + 4)) / HUNDREDTHS,
            }
        }),
        reached: u16_at(body, start + REACHED + rows) as u8,
    };
    let curve =
        Curve { queries: u32_at(body, start + QUERIES), rows: std::array::from_fn(efforts) };
    let is_sound = curve.rows.iter().all(|rows| {
        usize::from(rows.reached) <= RECALLS.len()
            && rows.efforts.iter().all(|effort| effort.width > 0 && effort.k_factor >= 1.0)
    });
    if curve.is_measured() && is_sound { curve } else { Curve::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_read_back_and_nonsense_is_none() {
        let efforts = |first: u32| Efforts {
            efforts: std::array::from_fn(|i| Effort {
                width: first + i as u32,
                k_factor: 1.0 + i as f32 / 4.0,
            }),
            reached: first as u8,
        };
        let curve = Curve { queries: 77, rows: [efforts(3), efforts(5), efforts(10)] };
        let mut body = vec![0; 40 + SIZE + 8];
        assert_eq!(decode(&body, 40), Curve::default());
        encode(&mut body, 40, &curve);
        assert_eq!(decode(&body, 40), curve);
        assert_eq!((&body[..40], &body[40 + SIZE..]), (&[0; 40][..], &[0; 8][..]));
        for at in [40 + REACHED, 40 + REACHED + 2] {
            let mut body = body.clone();
            body[at] = 11;
            assert_eq!(decode(&body, 40), Curve::default());
        }
        body[place(40, 2, 9)..][..4].fill(0);
        assert_eq!(decode(&body, 40), Curve::default());
    }
}
