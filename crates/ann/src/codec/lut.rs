//! What fast-scan codes share: 4-bit codes, two of a vector to a byte, in FAISS's blocks, and a query's look-up
//! tables of one byte per entry.
//!
//! Byte p of a code is sub-quantizer 2p in its low and 2p + 1 in its high nibble; unit p of a block holds byte p
//! of all 32 vectors (kernels/nibbles says where). Entries are rounded to bytes with one step for all tables,
//! as small as 255 steps per table and 65,535 in all allow, so that 16-bit sums never overflow.
//!
//! One step for all fails where one or two tables, of a component of another magnitude, or single entries, of vectors far
//! away, are so large that the others round to nothing. Such a query's entries are added up as the floats they are:
//! several times slower, and as good as any other's. So are those of a query for a list that asks for smaller differences than the
//! bytes tell ([`Lut::aim`]).

use super::{LANES, Sums, UNIT};
use crate::kernels::nibbles::{Estimate, Linear, NibbleKernel, Tables};
use crate::kernels::{at_most, lookup};

/// Entries of a unit's two tables.
pub const ENTRIES: usize = 32;

/// Adding it to 0..256 leaves the nearest integer in the lowest byte of the sum's bits.
const TO_INTEGER: f32 = 8_388_608.0;

/// A query's look-up tables. One set of tables serves a block of one plane, or of several planes of as many units each, the
/// codes of each plane counting half of those of the plane before it.
#[derive(Clone, Debug)]
pub struct Lut<E: Estimate> {
    /// Units of a plane.
    n_units: usize,
    /// The entries as they are computed, 32 per unit.
    entries: Vec<f32>,
    tables: Vec<Tables>,
    /// Of what the entries add up to, given the sum of their bytes.
    linear: Linear,
    /// How far the sum of a plane's bytes is from that of its entries, as a standard deviation.
    rounding: f32,
    /// Whether bytes would say too little of any list, ...
    is_lossy: bool,
    /// ... or of the one that is scanned: then the entries are added up themselves.
    is_exact: bool,
    kernel: NibbleKernel<E>,
}

impl<E: Estimate> Lut<E> {
    /// Tables for planes of `n_units` units, all zero.
    pub fn new(n_units: usize) -> Self {
        Lut {
            n_units,
            entries: vec![0.0; n_units * ENTRIES],
            tables: vec![Tables::ZERO; n_units.div_ceil(2)],
            linear: Linear::default(),
            rounding: 0.0,
            is_lossy: false,
            is_exact: false,
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
        self.is_exact = self.is_lossy;
    }

    /// What sums are to be turned into values by.
    pub fn linear(&self) -> Linear {
        if self.is_exact { Linear { scale: 1.0, bias: 0.0 } } else { self.linear }
    }

    /// From here on sums may be so far from those of the entries: adds up the entries where bytes are farther, else the bytes.
    pub fn aim(&mut self, tolerance: f32) {
        self.is_exact = self.is_lossy || self.rounding > tolerance;
    }

    fn quantize(&mut self) {
        let groups = self.entries.as_chunks::<16>().0;
        let (mut largest, mut all, mut bias) = (0.0f32, 0.0f32, 0.0f32);
        let mut signal = Signal::default();
        for group in groups {
            let Range { low, high, inner } = range(group);
            largest = largest.max(high - low);
            all += high - low;
            bias += low;
            signal.add(inner);
        }
        // Rounding to the nearest may add half a step in each table.
        let steps = (65_535.0 - groups.len() as f32).max(1.0);
        let per_distance = (255.0 / largest).min(steps / all);
        let usable = per_distance.is_finite() && per_distance > 0.0;
        let per_distance = if usable { per_distance } else { 0.0 };
        // Or where the numbers are so small that what a step is a part of has no finite inverse.
        let is_tiny = !usable && all > 0.0 && all.is_finite();
        self.is_lossy = is_tiny || signal.is_lost(per_distance);
        if self.is_lossy {
            return;
        }
        let bytes = self.tables.iter_mut().flat_map(|t| t.0.as_flattened_mut().as_chunks_mut().0);
        for (group, bytes) in groups.iter().zip(bytes) {
            let bytes: &mut [u8; 16] = bytes;
            let Range { low, .. } = range(group);
            for (byte, entry) in bytes.iter_mut().zip(group) {
                *byte = ((entry - low) * per_distance + TO_INTEGER).to_bits() as u8;
            }
        }
        self.linear = Linear { scale: if usable { 1.0 / per_distance } else { 0.0 }, bias };
        // Each entry is off by up to half a step, evenly.
        self.rounding = self.linear.scale * (groups.len() as f32 / 12.0).sqrt();
    }

    /// The tables of a plane's units.
    fn tables(&self) -> &[[u8; UNIT]] {
        Tables::of_units(&self.tables).get(..self.n_units).unwrap_or_default()
    }

    /// Adds up the entries that some units of a block, the first being `first_unit`, pick. The integers are the sums of the
    /// plane that is not at its end, the floats those of the planes before.
    #[inline]
    pub fn accumulate(&self, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        if self.is_exact {
            return self.accumulate_entries(sums, first_unit, units);
        }
        let (tables, mut units) = (self.tables(), units.as_chunks::<UNIT>().0);
        let mut at = first_unit.checked_rem(tables.len()).unwrap_or(0);
        while !units.is_empty() && !tables.is_empty() {
            let (now, rest) = units.split_at((tables.len() - at).min(units.len()));
            self.kernel.add_units(&tables[at..], now, &mut sums.integers);
            at += now.len();
            units = rest;
            if at == tables.len() {
                for (sum, integer) in sums.floats.iter_mut().zip(&mut sums.integers) {
                    // Whole numbers below 2²⁴: exact.
                    *sum = 2.0 * *sum + f32::from(std::mem::take(integer));
                }
                at = 0;
            }
        }
    }

    /// As `accumulate`, with the entries themselves, in the floats alone.
    #[cold]
    fn accumulate_entries(&self, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        let entries: &[[[f32; 16]; 2]] = self.entries.as_chunks().0.as_chunks().0;
        for (unit_no, unit) in (first_unit..).zip(units.as_chunks::<UNIT>().0) {
            let at = unit_no.checked_rem(self.n_units).unwrap_or(0);
            if at == 0 {
                sums.floats.iter_mut().for_each(|sum| *sum *= 2.0);
            }
            let codes = std::array::from_fn(|lane| byte_of(unit, lane));
            lookup::nibbles(entries.get(at..=at).unwrap_or_default(), &[codes], &mut sums.floats);
        }
    }

    /// Turns the sums of all units into estimates.
    #[inline]
    pub fn estimates(&self, how: E, sums: &Sums, factors: &[f32], out: &mut [f32; LANES]) {
        self.kernel.estimate(&sums.floats, how, factors, out);
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
        if self.is_exact {
            let mut sums = Sums::ZERO;
            self.accumulate_entries(&mut sums, 0, units);
            self.estimates(how, &sums, factors, out);
            return at_most(out, limit);
        }
        self.kernel.block(self.tables(), units.as_chunks::<UNIT>().0, how, factors, limit, out)
    }
}

/// What the tables have to tell candidates apart by.
#[derive(Default)]
struct Signal {
    tables: f32,
    /// Squares, those of the two largest apart: what two tables say does not make up for what the others do not.
    others: f32,
    largest: [f32; 2],
}

impl Signal {
    fn add(&mut self, inner: f32) {
        self.tables += 1.0;
        let [first, second] = self.largest;
        let smallest = second.min(inner);
        self.others += smallest * smallest;
        let rest = second.max(inner);
        self.largest = [first.max(rest), first.min(rest)];
    }

    /// Whether rounding to whole steps, an error of a third of one in every table, is as large as what is left.
    fn is_lost(&self, per_distance: f32) -> bool {
        let signal = self.others.sqrt() * per_distance;
        self.others > 0.0 && signal < 0.5 * self.tables.sqrt()
    }
}

/// What sixteen entries lie between.
struct Range {
    low: f32,
    high: f32,
    /// How far apart those in the middle are, however far out a few are: the least of the largest of four fours and the largest of
    /// the least.
    inner: f32,
}

/// Folded by halves so that it becomes vector code.
fn range(entries: &[f32; 16]) -> Range {
    let (mut low, mut high) = (*entries, *entries);
    for half in [8, 4] {
        for i in 0..half {
            low[i] = if low[i + half] < low[i] { low[i + half] } else { low[i] };
            high[i] = if high[i + half] > high[i] { high[i + half] } else { high[i] };
        }
    }
    let mut below = [high[0], high[1], high[2], high[3]];
    let mut above = [low[0], low[1], low[2], low[3]];
    for half in [2, 1] {
        for i in 0..half {
            low[i] = if low[i + half] < low[i] { low[i + half] } else { low[i] };
            high[i] = if high[i + half] > high[i] { high[i + half] } else { high[i] };
            below[i] = if below[i + half] < below[i] { below[i + half] } else { below[i] };
            above[i] = if above[i + half] > above[i] { above[i + half] } else { above[i] };
        }
    }
    Range { low: low[0], high: high[0], inner: (below[0] - above[0]).abs() }
}

/// Where in a unit the nibbles of a lane are: of the even sub-quantizer (the odd one's 16 bytes on), and the shift.
fn place(lane: usize) -> (usize, u32) {
    let (w, shift) = (lane % 16, if lane < 16 { 0 } else { 4 });
    (if w < 8 { 2 * w } else { 2 * (w - 8) + 1 }, shift)
}

/// `Coding::pack` of fast-scan codes: `bytes` are those for the units given.
pub fn pack(bytes: impl Iterator<Item = u8>, lane: usize, units: &mut [u8]) {
    let (at, shift) = place(lane);
    for (unit, byte) in units.as_chunks_mut::<UNIT>().0.iter_mut().zip(bytes) {
        for (at, nibble) in [(at, byte & 15), (at + 16, byte >> 4)] {
            unit[at] = unit[at] & !(15 << shift) | nibble << shift;
        }
    }
}

/// The reverse of `pack`: the bytes of the units given.
pub fn unpack(units: &[u8], lane: usize) -> impl Iterator<Item = u8> {
    units.as_chunks::<UNIT>().0.iter().map(move |unit| byte_of(unit, lane))
}

/// A vector's byte in a unit.
#[inline]
fn byte_of(unit: &[u8; UNIT], lane: usize) -> u8 {
    let (at, shift) = place(lane);
    unit[at] >> shift & 15 | (unit[at + 16] >> shift & 15) << 4
}
