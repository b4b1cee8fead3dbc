//! Scans of scalar codes in blocks: 32 vectors side by side, component after component.
//!
//! A vector's sum is one chain in the order of its components, so a block may be cut anywhere, and every set
//! with FMA gives the same bits.

use super::isa::{self, Isa};
use super::lanes::Lanes16;
use half::f16;

/// One float per vector of a block.
pub type Row = [f32; 32];
/// The bytes of a unit.
pub type Unit = [u8; 32];

/// What a component adds to its vector's sum. `x` is the code as a number, `offset` belongs to the query, `scale`
/// to the codec.
pub trait Term: 'static {
    /// # Safety
    /// As for [`Lanes16`].
    unsafe fn add<S: Lanes16>(acc: S, x: S, offset: f32, scale: f32) -> S;
}

/// (offset + scale · x)².
pub struct Squares;
/// offset · x.
pub struct Products;

impl Term for Squares {
    #[inline(always)]
    unsafe fn add<S: Lanes16>(acc: S, x: S, offset: f32, scale: f32) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe {
            let difference = S::splat(offset).fma(S::splat(scale), x);
            acc.fma(difference, difference)
        }
    }
}

impl Term for Products {
    #[inline(always)]
    unsafe fn add<S: Lanes16>(acc: S, x: S, offset: f32, _scale: f32) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { acc.fma(S::splat(offset), x) }
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn load<S: Lanes16>(sums: &Row) -> [S; 2] {
    let (halves, _) = sums.as_chunks::<16>();
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe { [S::load(&halves[0]), S::load(&halves[1])] }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn store<S: Lanes16>(acc: [S; 2], sums: &mut Row) {
    for (acc, half) in acc.into_iter().zip(sums.as_chunks_mut::<16>().0) {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { acc.store(half) }
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn byte_columns<S: Lanes16, T: Term>(
    offsets: &[f32],
    scales: &[f32],
    units: &[Unit],
    sums: &mut Row,
) {
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe {
        let mut acc: [S; 2] = load(sums);
        for ((unit, &offset), &scale) in units.iter().zip(offsets).zip(scales) {
            for (acc, half) in acc.iter_mut().zip(unit.as_chunks().0) {
                *acc = T::add(*acc, S::load_u8(half), offset, scale);
            }
        }
        store(acc, sums);
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn nibble_columns<S: Lanes16, T: Term>(
    offsets: &[f32],
    scales: &[f32],
    units: &[Unit],
    sums: &mut Row,
) {
    let pairs = offsets.as_chunks::<2>().0.iter().zip(scales.as_chunks::<2>().0);
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe {
        let mut acc: [S; 2] = load(sums);
        for (unit, (offset, scale)) in units.iter().zip(pairs) {
            for (acc, half) in acc.iter_mut().zip(unit.as_chunks().0) {
                let (low, high) = S::load_nibbles(half);
                *acc = T::add(*acc, low, offset[0], scale[0]);
                *acc = T::add(*acc, high, offset[1], scale[1]);
            }
        }
        store(acc, sums);
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn half_columns<S: Lanes16, T: Term>(
    offsets: &[f32],
    scales: &[f32],
    units: &[Unit],
    sums: &mut Row,
) {
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe {
        let [mut low, mut high]: [S; 2] = load(sums);
        let (pairs, last) = units.as_chunks::<2>();
        for ((pair, &offset), &scale) in pairs.iter().zip(offsets).zip(scales) {
            low = T::add(low, half_floats(&pair[0]), offset, scale);
            high = T::add(high, half_floats(&pair[1]), offset, scale);
        }
        let (offset, scale) = (offsets.get(pairs.len()), scales.get(pairs.len()));
        if let (Some(unit), Some(&offset), Some(&scale)) = (last.first(), offset, scale) {
            low = T::add(low, half_floats(unit), offset, scale);
        }
        store([low, high], sums);
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn half_floats<S: Lanes16>(unit: &Unit) -> S {
    let halves: [f16; 16] = bytemuck::pod_read_unaligned(unit);
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe { S::load_f16(&halves) }
}

/// How a component's code lies in its unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// A byte per vector; a unit per component.
    Bytes,
    /// A nibble per vector; a unit per two components, the first in the low nibbles.
    Nibbles,
    /// A 16-bit float per vector; two units per component, the first sixteen vectors and the others.
    Halves,
}

type Scan = unsafe fn(&[f32], &[f32], &[Unit], &mut Row);

/// A scan of columns, chosen once for this CPU.
#[derive(Clone, Copy, Debug)]
pub struct ColumnKernel {
    column: Column,
    // Sound to call: picked for a set that this CPU has.
    scan: Scan,
}

impl ColumnKernel {
    /// Adds (offset + scale · code)² per component.
    pub fn squares(column: Column) -> Self {
        Self::on::<Squares>(Isa::detect(), column)
    }

    /// Adds offset · code per component.
    pub fn products(column: Column) -> Self {
        Self::on::<Products>(Isa::detect(), column)
    }

    /// The kernel for a set, which must be available.
    pub(super) fn on<T: Term>(isa: Isa, column: Column) -> Self {
        let scan = match column {
            Column::Bytes => isa::byte_columns::pick::<T>(isa),
            Column::Nibbles => isa::nibble_columns::pick::<T>(isa),
            Column::Halves => isa::half_columns::pick::<T>(isa),
        };
        ColumnKernel { column, scan }
    }

    /// Adds the units from `first_unit` on to the sums. `offsets` and `scales`: one per component, an even number of
    /// them where two share a unit. Units past the last component add nothing.
    pub fn accumulate(
        &self,
        offsets: &[f32],
        scales: &[f32],
        first_unit: usize,
        units: &[Unit],
        sums: &mut Row,
    ) {
        let scan = |first: usize, units: &[Unit], sums: &mut Row| {
            let offsets = offsets.get(first..).unwrap_or_default();
            let scales = scales.get(first..).unwrap_or_default();
            // SAFETY: picked for a set that this CPU has.
            unsafe { (self.scan)(offsets, scales, units, sums) }
        };
        match self.column {
            Column::Bytes => scan(first_unit, units, sums),
            Column::Nibbles => scan(2 * first_unit, units, sums),
            Column::Halves if first_unit.is_multiple_of(2) => scan(first_unit / 2, units, sums),
            Column::Halves => {
                // Begins with the second half of a component: as a first half, of vectors in exchanged places.
                let Some((head, rest)) = units.split_first() else { return };
                sums.rotate_left(16);
                scan(first_unit / 2, std::slice::from_ref(head), sums);
                sums.rotate_left(16);
                scan(first_unit / 2 + 1, rest, sums);
            }
        }
    }
}

#[cfg(test)]
mod tests;
