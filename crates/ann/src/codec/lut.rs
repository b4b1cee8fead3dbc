//! What fast-scan codes share: 4-bit codes, two of a vector to a byte, in FAISS's blocks, and a query's look-up
//! tables of one byte per entry.
//!
//! Byte p of a code is sub-quantizer 2p in its low and 2p + 1 in its high nibble; unit p of a block holds byte p
//! of all 32 vectors (kernels/nibbles says where). Entries are rounded to bytes with one step for all tables,
//! as small as 255 steps per table and 65,535 in all allow, so that 16-bit sums never overflow.

use super::{LANES, Sums, UNIT};
use crate::kernels::nibbles::{Estimate, Linear, NibbleKernel, Tables};

/// Entries of a unit's two tables.
pub const ENTRIES: usize = 32;

/// Adding it to 0..256 leaves the nearest integer in the lowest byte of the sum's bits.
const TO_INTEGER: f32 = 8_388_608.0;

/// A query's look-up tables.
#[derive(Clone, Debug)]
pub struct Lut<E: Estimate> {
    /// The entries as they are computed, 32 per unit.
    entries: Vec<f32>,
    tables: Vec<Tables>,
    /// Of what the entries add up to, given the sum of their bytes.
    pub linear: Linear,
    kernel: NibbleKernel<E>,
}

impl<E: Estimate> Lut<E> {
    /// Tables for so many units, all zero.
    pub fn new(n_units: usize) -> Self {
        Lut {
            entries: vec![0.0; n_units * ENTRIES],
            tables: vec![Tables::ZERO; n_units.div_ceil(2)],
            linear: Linear::default(),
            kernel: NibbleKernel::detect(),
        }
    }

    /// Fills the tables: `fill` is given every table's sixteen entries in turn, to write all of them or none (they are
    /// zero at first and keep what an earlier query wrote).
    pub fn fill(&mut self, mut fill: impl FnMut(usize, &mut [f32; 16])) {
        for (no, entries) in self.entries.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            fill(no, entries);
        }
        self.quantize();
    }

    fn quantize(&mut self) {
        let groups = self.entries.as_chunks::<16>().0;
        let (mut largest, mut all, mut bias) = (0.0f32, 0.0f32, 0.0f32);
        for group in groups {
            let (low, high) = range(group);
            largest = largest.max(high - low);
            all += high - low;
            bias += low;
        }
        // Rounding to the nearest may add half a step in each table.
        let steps = (65_535.0 - groups.len() as f32).max(1.0);
        let per_distance = (255.0 / largest).min(steps / all);
        let usable = per_distance.is_finite() && per_distance > 0.0;
        let per_distance = if usable { per_distance } else { 0.0 };
        let bytes = self.tables.iter_mut().flat_map(|t| t.0.as_flattened_mut().as_chunks_mut().0);
        for (group, bytes) in groups.iter().zip(bytes) {
            let bytes: &mut [u8; 16] = bytes;
            let (low, _) = range(group);
            for (byte, entry) in bytes.iter_mut().zip(group) {
                *byte = ((entry - low) * per_distance + TO_INTEGER).to_bits() as u8;
            }
        }
        self.linear = Linear { scale: if usable { 1.0 / per_distance } else { 0.0 }, bias };
    }

    /// Adds up the entries that some units of a block, the first being `first_unit`, pick.
    #[inline]
    pub fn accumulate(&self, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        let tables = Tables::of_units(&self.tables).get(first_unit..).unwrap_or_default();
        self.kernel.add_units(tables, units.as_chunks::<UNIT>().0, &mut sums.integers);
    }

    /// Turns sums into estimates.
    #[inline]
    pub fn estimates(&self, how: E, sums: &Sums, factors: &[f32], out: &mut [f32; LANES]) {
        self.kernel.estimate(&sums.integers, how, factors, out);
    }

    /// A whole block at once, with the mask of what is at most `limit` or NaN.
    #[inline]
    pub fn block(
        &self,
        how: E,
        units: &[u8],
        factors: &[f32],
        limit: f32,
        out: &mut [f32; LANES],
    ) -> u32 {
        let tables = Tables::of_units(&self.tables);
        self.kernel.block(tables, units.as_chunks::<UNIT>().0, how, factors, limit, out)
    }
}

/// The smallest and the largest of sixteen, folded by halves so that it becomes vector code.
fn range(entries: &[f32; 16]) -> (f32, f32) {
    let (mut low, mut high) = (*entries, *entries);
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            low[i] = if low[i + half] < low[i] { low[i + half] } else { low[i] };
            high[i] = if high[i + half] > high[i] { high[i + half] } else { high[i] };
        }
    }
    (low[0], high[0])
}

/// Where in a unit the nibbles of a lane are: of the even sub-quantizer (the odd one's 16 bytes on), and the shift.
fn place(lane: usize) -> (usize, u32) {
    let (w, shift) = (lane % 16, if lane < 16 { 0 } else { 4 });
    (if w < 8 { 2 * w } else { 2 * (w - 8) + 1 }, shift)
}

/// `Coding::pack` of a fast-scan code.
pub fn pack(code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]) {
    let (at, shift) = place(lane);
    let bytes = code.get(first_unit..).unwrap_or_default();
    for (unit, byte) in units.as_chunks_mut::<UNIT>().0.iter_mut().zip(bytes) {
        for (at, nibble) in [(at, byte & 15), (at + 16, byte >> 4)] {
            unit[at] = unit[at] & !(15 << shift) | nibble << shift;
        }
    }
}

/// `Coding::unpack` of a fast-scan code.
pub fn unpack(first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]) {
    let (at, shift) = place(lane);
    let bytes = code.get_mut(first_unit..).unwrap_or_default();
    for (unit, byte) in units.as_chunks::<UNIT>().0.iter().zip(bytes) {
        *byte = unit[at] >> shift & 15 | (unit[at + 16] >> shift & 15) << 4;
    }
}
