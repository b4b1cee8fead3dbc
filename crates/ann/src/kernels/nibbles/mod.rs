//! Distances from 4-bit codes, 32 vectors at a time: every code picks one of the sixteen bytes of a table, by a
//! shuffle inside a register (André, Kermarrec and Le Scouarnec 2015), and 16-bit lanes sum up what it picked.
//!
//! A unit holds two codes of each of 32 vectors as FAISS lays them out: bytes 0..16 are code 2p, bytes 16..32 code
//! 2p + 1; the low nibbles belong to vectors 0..16, the high ones to vectors 16..32; vector v < 8 of sixteen is at
//! byte 2v, the others at 2(v − 8) + 1. Thus the even bytes of a register, as 16-bit sums, are eight vectors in
//! their order and the odd bytes the next eight. The table of a unit has the entries of 2p, then those of 2p + 1.
//!
//! The sums are the same integers on every instruction set; who makes the tables sees to it that they fit into 16 bits.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

use super::isa::{self, Isa};
use super::lanes::{Lanes16, Plain};
use crate::codec::{LANES, UNIT};
use std::cmp::Ordering;

/// Two codes of each of 32 vectors, or the two tables they pick from.
pub type Unit = [u8; UNIT];
/// A float for each of 32 vectors.
pub type Floats = [f32; LANES];
/// A sum for each of 32 vectors.
pub type Integers = [u16; LANES];

/// The tables of two units; a register of either size loads them without crossing a cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Tables(pub [Unit; 2]);

impl Tables {
    /// Adds nothing to any sum.
    pub const ZERO: Tables = Tables([[0; UNIT]; 2]);

    /// The table of each unit.
    #[inline]
    pub fn of_units(tables: &[Tables]) -> &[Unit] {
        // SAFETY: `Tables` is nothing but two arrays of bytes, without padding: 64 bytes aligned to 64.
        unsafe { std::slice::from_raw_parts(tables.as_ptr().cast(), tables.len() * 2) }
    }
}

/// What an instruction set must offer beside sixteen floats.
///
/// # Safety
/// As for [`Lanes16`].
pub unsafe trait Nibbles: Lanes16 {
    /// One 16-bit sum for each of 32 vectors, in their order.
    type Sums: Copy;

    unsafe fn load_sums(sums: &Integers) -> Self::Sums;
    unsafe fn store_sums(sums: Self::Sums, out: &mut Integers);
    /// Adds what the units pick from their tables; the shorter slice counts. Sums wrap.
    unsafe fn add(sums: Self::Sums, tables: &[Unit], units: &[Unit]) -> Self::Sums;
    /// The sums as floats, exact: vectors 0..16 and 16..32.
    unsafe fn floats(sums: Self::Sums) -> [Self; 2];
    /// Which lanes are at most `limit` or NaN, lane 0 in the lowest bit.
    unsafe fn at_most(self, limit: Self) -> u32;
}

/// How sums become estimated distances.
pub trait Estimate: Copy + std::fmt::Debug + 'static {
    /// The estimates of sixteen vectors, `half` 0 or 1 of a block, whose table sums these are. `factors` are those
    /// of the block; too few give NaN.
    ///
    /// # Safety
    /// As for [`Lanes16`].
    unsafe fn of<S: Lanes16>(self, half: usize, sums: S, factors: &[f32]) -> S;
}

/// bias + scale · sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linear {
    /// Distance per unit of a sum.
    pub scale: f32,
    /// Distance where the sum is 0.
    pub bias: f32,
}

/// (base + f0) − f1 · (bias + scale · sum), f0 and f1 being two factors of the vector.
#[derive(Clone, Copy, Debug, Default)]
pub struct Factored {
    /// The sum's own value.
    pub linear: Linear,
    /// What all vectors of a list have in common.
    pub base: f32,
}

impl Estimate for Linear {
    #[inline(always)]
    unsafe fn of<S: Lanes16>(self, _: usize, sums: S, _: &[f32]) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { S::splat(self.bias).fma(S::splat(self.scale), sums) }
    }
}

impl Estimate for Factored {
    #[inline(always)]
    unsafe fn of<S: Lanes16>(self, half: usize, sums: S, factors: &[f32]) -> S {
        let factors = factors.as_chunks::<16>().0;
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe {
            let (Some(f0), Some(f1)) = (factors.get(half), factors.get(2 + half)) else {
                return S::splat(f32::NAN);
            };
            let value = self.linear.of(half, sums, &[]);
            let start = S::load(f0).sub(S::splat(-self.base));
            start.fma(S::zero().sub(S::load(f1)), value)
        }
    }
}

/// Adds units to sums that are kept in memory.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn add_units<S: Nibbles>(tables: &[Unit], units: &[Unit], sums: &mut Integers) {
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe { S::store_sums(S::add(S::load_sums(sums), tables, units), sums) }
}

/// Estimates from whole sums; returns the lanes at most `limit` or NaN.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn estimate<S: Nibbles, E: Estimate>(
    sums: &Floats,
    how: E,
    factors: &[f32],
    limit: f32,
    out: &mut Floats,
) -> u32 {
    let halves = sums.as_chunks::<16>().0;
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe { finish::<S, E>([S::load(&halves[0]), S::load(&halves[1])], how, factors, limit, out) }
}

/// Sums from zero and `estimate` in one go. Units are as many as tables, or several planes of as many: each plane's sums count
/// half of those before it.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn block<S: Nibbles, E: Estimate>(
    tables: &[Unit],
    units: &[Unit],
    how: E,
    factors: &[f32],
    limit: f32,
    out: &mut Floats,
) -> u32 {
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe {
        let mut sums = [S::zero(); 2];
        for plane in units.chunks(tables.len().max(1)) {
            let plane = S::floats(S::add(S::load_sums(&[0; LANES]), tables, plane));
            sums = [0, 1].map(|half| plane[half].fma(S::splat(2.0), sums[half]));
        }
        finish::<S, E>(sums, how, factors, limit, out)
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn finish<S: Nibbles, E: Estimate>(
    sums: [S; 2],
    how: E,
    factors: &[f32],
    limit: f32,
    out: &mut Floats,
) -> u32 {
    let mut mask = 0;
    let halves = out.as_chunks_mut::<16>().0;
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe {
        let limit = S::splat(limit);
        for (half, (out, sums)) in halves.iter_mut().zip(sums).enumerate() {
            let estimates = how.of(half, sums, factors);
            estimates.store(out);
            mask |= estimates.at_most(limit) << (16 * half);
        }
    }
    mask
}

type Block<E> = unsafe fn(&[Unit], &[Unit], E, &[f32], f32, &mut Floats) -> u32;

/// The kernels of one kind of estimate, chosen once for this CPU.
#[derive(Clone, Copy, Debug)]
pub struct NibbleKernel<E: Estimate> {
    // Sound to call: all were picked for a set that this CPU has.
    add_units: unsafe fn(&[Unit], &[Unit], &mut Integers),
    estimate: unsafe fn(&Floats, E, &[f32], f32, &mut Floats) -> u32,
    block: Block<E>,
}

impl<E: Estimate> NibbleKernel<E> {
    /// The kernels for the best set of this CPU.
    pub fn detect() -> Self {
        Self::on(Isa::detect())
    }

    /// The kernels for a set, which must be available.
    pub(super) fn on(isa: Isa) -> Self {
        NibbleKernel {
            add_units: isa::add_units::pick(isa),
            estimate: isa::estimate::pick::<E>(isa),
            block: isa::block::pick::<E>(isa),
        }
    }

    /// Adds what `units` pick from `tables` (one per unit; the shorter slice counts) to the sums. They wrap.
    #[inline]
    pub fn add_units(&self, tables: &[Unit], units: &[Unit], sums: &mut Integers) {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.add_units)(tables, units, sums) }
    }

    /// Turns the sums of whole blocks into estimates.
    #[inline]
    pub fn estimate(&self, sums: &Floats, how: E, factors: &[f32], out: &mut Floats) {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.estimate)(sums, how, factors, f32::INFINITY, out) };
    }

    /// A whole block, of as many units as tables or of several planes of as many, each counting half of the one
    /// before it: the estimates, and which of them are at most `limit` or NaN (lane 0 in the lowest bit).
    #[inline]
    pub fn block(
        &self,
        tables: &[Unit],
        units: &[Unit],
        how: E,
        factors: &[f32],
        limit: f32,
        out: &mut Floats,
    ) -> u32 {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.block)(tables, units, how, factors, limit, out) }
    }
}

/// Which of 32 values are at most `limit` or NaN; value 0 in the lowest bit.
#[inline]
pub fn at_most(values: &Floats, limit: f32) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE is in the baseline of x86-64.
        unsafe { x86::at_most(values, limit) }
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: NEON is in the baseline of aarch64.
        unsafe { neon::at_most(values, limit) }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    values.iter().enumerate().fold(0, |mask, (i, x)| {
        mask | u32::from(x.partial_cmp(&limit) != Some(Ordering::Greater)) << i
    })
}

// SAFETY: uses no instruction beyond the target's baseline.
unsafe impl Nibbles for Plain {
    type Sums = Integers;

    #[inline(always)]
    unsafe fn load_sums(sums: &Integers) -> Self::Sums {
        *sums
    }
    #[inline(always)]
    unsafe fn store_sums(sums: Self::Sums, out: &mut Integers) {
        *out = sums;
    }
    #[inline(always)]
    unsafe fn add(mut sums: Self::Sums, tables: &[Unit], units: &[Unit]) -> Self::Sums {
        for (table, unit) in tables.iter().zip(units) {
            for (table, bytes) in table.as_chunks::<16>().0.iter().zip(unit.as_chunks::<16>().0) {
                for (at, byte) in bytes.iter().enumerate() {
                    let v = at / 2 + at % 2 * 8;
                    let (low, high) = (usize::from(byte & 15), usize::from(byte >> 4));
                    sums[v] = sums[v].wrapping_add(u16::from(table[low]));
                    sums[v + 16] = sums[v + 16].wrapping_add(u16::from(table[high]));
                }
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn floats(sums: Self::Sums) -> [Self; 2] {
        let half = |at: usize| Plain::from_fn(|i| f32::from(sums[at + i]));
        [half(0), half(16)]
    }
    #[inline(always)]
    unsafe fn at_most(self, limit: Self) -> u32 {
        let lanes = self.lanes().into_iter().zip(limit.lanes()).enumerate();
        // Not `<=`: NaN counts as near.
        lanes.fold(0, |mask, (i, (x, limit))| {
            mask | u32::from(x.partial_cmp(&limit) != Some(Ordering::Greater)) << i
        })
    }
}
