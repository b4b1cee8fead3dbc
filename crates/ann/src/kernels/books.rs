//! One sub-vector against all centroids of a codebook, which stands in columns: component after component, the
//! centroids side by side.

use super::body::{Dot, L2Sqr, Op};
use super::isa::{self, Isa};
use super::lanes::Lanes16;

/// Centroids side by side in a register: the number of a codebook's centroids is a multiple of it.
const PANEL: usize = 16;

/// What a centroid's sum is done with: the panels from `first` on.
trait Sink<S> {
    /// # Safety
    /// As for [`Lanes16`].
    unsafe fn take(&mut self, first: usize, sums: &[S]);
}

struct Store<'a>(&'a mut [[f32; PANEL]]);

impl<S: Lanes16> Sink<S> for Store<'_> {
    #[inline(always)]
    unsafe fn take(&mut self, first: usize, sums: &[S]) {
        for (sum, out) in sums.iter().zip(self.0.iter_mut().skip(first)) {
            // SAFETY: the caller keeps the contract of Lanes16.
            unsafe { sum.store(out) }
        }
    }
}

/// The smallest sum of each lane and the panel where it was.
struct Least<S>(S, S);

impl<S: Lanes16> Sink<S> for Least<S> {
    #[inline(always)]
    unsafe fn take(&mut self, first: usize, sums: &[S]) {
        for (sum, panel) in sums.iter().zip(first..) {
            // SAFETY: the caller keeps the contract of Lanes16.
            unsafe { (self.0, self.1) = sum.lesser(S::splat(panel as f32), self.0, self.1) }
        }
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn sums<S: Lanes16, O: Op>(x: &[f32], book: &[f32], sink: &mut impl Sink<S>) {
    let panels = book.len().checked_div(x.len()).unwrap_or(0) / PANEL;
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe {
        match panels {
            0 => (),
            1 => panel_groups::<S, O, 1>(x, book, panels, sink),
            2 => panel_groups::<S, O, 2>(x, book, panels, sink),
            _ => panel_groups::<S, O, 4>(x, book, panels, sink),
        }
    }
}

/// Goes over R panels at a time, R chains of additions beside one another; `panels` is a multiple of R.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn panel_groups<S: Lanes16, O: Op, const R: usize>(
    x: &[f32],
    book: &[f32],
    panels: usize,
    sink: &mut impl Sink<S>,
) {
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe {
        for group in 0..panels / R {
            let mut sums = [S::zero(); R];
            for (x, row) in x.iter().zip(book.chunks_exact(panels * PANEL)) {
                let x = S::splat(*x);
                let Some(centroids) = row.as_chunks::<PANEL>().0.as_chunks::<R>().0.get(group)
                else {
                    break;
                };
                for (sum, centroids) in sums.iter_mut().zip(centroids) {
                    *sum = O::step(*sum, x, S::load(centroids));
                }
            }
            sink.take(group * R, &sums);
        }
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn book_table<S: Lanes16, O: Op>(x: &[f32], book: &[f32], out: &mut [f32]) {
    // SAFETY: the caller keeps the contract of Lanes16.
    unsafe { sums::<S, O>(x, book, &mut Store(out.as_chunks_mut().0)) }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn book_nearest<S: Lanes16>(x: &[f32], book: &[f32]) -> u32 {
    let (mut score, mut panel) = ([0.0; PANEL], [0.0; PANEL]);
    // SAFETY: the caller keeps the contract of Lanes16; a panel's number is a small integer.
    let panel = unsafe {
        let mut least = Least(S::splat(f32::INFINITY), S::zero());
        sums::<S, L2Sqr>(x, book, &mut least);
        least.0.store(&mut score);
        least.1.store(&mut panel);
        panel.map(|panel| panel.to_int_unchecked::<i32>() as u32)
    };
    // Without branches: which lane is least cannot be foreseen.
    let least = score.into_iter().fold(f32::INFINITY, f32::min);
    let mut number = u32::MAX;
    for (lane, (score, panel)) in (0u32..).zip(score.into_iter().zip(panel)) {
        let centroid = panel * PANEL as u32 + lane;
        number = number.min(if score == least { centroid } else { u32::MAX });
    }
    number
}

/// One sub-vector against a codebook, chosen once for this CPU. A codebook has one row of 2^n ≥ 16 centroids'
/// components for each component of the sub-vector.
#[derive(Clone, Copy, Debug)]
pub struct BookKernel {
    // Sound to call: all were picked for a set that this CPU has.
    l2_sqr: unsafe fn(&[f32], &[f32], &mut [f32]),
    dot: unsafe fn(&[f32], &[f32], &mut [f32]),
    nearest: unsafe fn(&[f32], &[f32]) -> u32,
}

impl BookKernel {
    /// The kernel for the best set of this CPU.
    pub fn detect() -> Self {
        Self::on(Isa::detect())
    }

    /// The kernel for a set, which must be available.
    pub(super) fn on(isa: Isa) -> Self {
        BookKernel {
            l2_sqr: isa::book_table::pick::<L2Sqr>(isa),
            dot: isa::book_table::pick::<Dot>(isa),
            nearest: isa::book_nearest::pick(isa),
        }
    }

    /// `out[c]` = |x − centroid c|².
    pub fn l2_sqr(&self, x: &[f32], book: &[f32], out: &mut [f32]) {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.l2_sqr)(x, book, out) }
    }

    /// `out[c]` = x · centroid c.
    pub fn dot(&self, x: &[f32], book: &[f32], out: &mut [f32]) {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.dot)(x, book, out) }
    }

    /// The centroid nearest to x; the lower number wins a tie. 0 where every distance is NaN.
    pub fn nearest(&self, x: &[f32], book: &[f32]) -> u32 {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.nearest)(x, book) }
    }
}

#[cfg(test)]
mod tests;
