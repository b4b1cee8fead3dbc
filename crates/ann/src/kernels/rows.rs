//! Many rows against one query: the inner loop of every scan.

use std::ops::Range;

use super::body::{Dot, L1, L2Sqr, Op};
use super::isa::{self, Isa};
use crate::element::{Element, Float};

/// The sixteen sums of one vector, carried from slice to slice where a vector spans pages.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
#[repr(align(64))]
pub struct Lanes(pub [f32; 16]);

type OfRows<E> = unsafe fn(&[<E as Element>::Operand], &[E], &mut [f32]);
type OfFour<E> = unsafe fn([&[<E as Element>::Operand]; 4], &[E], [&mut [f32]; 4]);
type OfSlices<E> = unsafe fn(&[<E as Element>::Operand], &[E], &mut [Lanes]);

/// A kernel over contiguous rows, chosen once for this CPU: no dispatch per vector.
pub struct RowKernel<E: Element> {
    // Sound to call: all were picked for a set that this CPU has.
    distances: OfRows<E>,
    distances_of_four: OfFour<E>,
    accumulate: OfSlices<E>,
}

impl<E: Element> Clone for RowKernel<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Element> Copy for RowKernel<E> {}

impl<E: Float> RowKernel<E> {
    fn on<O: Op>(isa: Isa) -> Self {
        RowKernel {
            distances: isa::distances::pick::<O, E>(isa),
            distances_of_four: isa::distances_of_four::pick::<O, E>(isa),
            accumulate: isa::accumulate::pick::<O, E>(isa),
        }
    }

    /// Σ (query − row)² of each row.
    pub fn l2_sqr() -> Self {
        Self::on::<L2Sqr>(Isa::detect())
    }

    /// Σ query · row of each row.
    pub fn dot() -> Self {
        Self::on::<Dot>(Isa::detect())
    }

    /// Σ |query − row| of each row.
    pub fn l1() -> Self {
        Self::on::<L1>(Isa::detect())
    }
}

impl<E: Element> RowKernel<E> {
    /// Of functions that are sound to call on this CPU.
    pub(super) fn of(distances: OfRows<E>, of_four: OfFour<E>, accumulate: OfSlices<E>) -> Self {
        Self { distances, distances_of_four: of_four, accumulate }
    }

    /// `out[r]` = the canonical sum of the query and row r, bit for bit that of `l2_sqr`, `dot` or
    /// `l1` on the pair (of bits the count). `rows` holds `out.len()` rows of `query.len()` elements, row-major; rows that are not
    /// wholly there leave their `out` untouched, and so does an empty query.
    #[inline]
    pub fn distances(&self, query: &[E::Operand], rows: &[E], out: &mut [f32]) {
        debug_assert_eq!(rows.len(), out.len() * query.len());
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.distances)(query, rows, out) }
    }

    /// As `distances`, for four queries of one length, bit for bit: `out[q][r]` belongs to query q. Every row is loaded once.
    #[inline]
    pub fn distances_of_four(&self, queries: [&[E::Operand]; 4], rows: &[E], out: [&mut [f32]; 4]) {
        debug_assert!(queries.iter().all(|query| query.len() == queries[0].len()));
        debug_assert!(out.iter().all(|out| rows.len() == out.len() * queries[0].len()));
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.distances_of_four)(queries, rows, out) }
    }

    /// The distances over slices of vectors: adds this slice's products to `acc[r]`. Every slice of a vector but its
    /// last has a multiple of sixteen elements; then the sums are those of the whole vector.
    #[inline]
    pub fn accumulate(&self, query: &[E::Operand], rows: &[E], acc: &mut [Lanes]) {
        debug_assert_eq!(rows.len(), acc.len() * query.len());
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.accumulate)(query, rows, acc) }
    }

    /// As `distances`, and meanwhile asks for the bytes that will be scanned next: a few cache lines of `next` with
    /// every few rows, since a CPU drops or stalls on more requests at once than it can hold. `next` is
    /// best as long as `rows`. In pages that lie apart in memory this halves the time of a row. `next` is a
    /// place only: nothing is read there, and it may be any address.
    pub fn distances_ahead(
        &self,
        query: &[E::Operand],
        rows: &[E],
        out: &mut [f32],
        next: Range<*const u8>,
    ) {
        let together = rows_together::<E>(query.len());
        let group = together * query.len().max(1);
        let mut next = Ahead { next, step: group * size_of::<E>() };
        for (rows, out) in rows.chunks(group).zip(out.chunks_mut(together)) {
            next.step();
            self.distances(query, rows, out);
        }
    }

    /// As `accumulate`, and asks for the bytes that come next as `distances_ahead` does.
    pub fn accumulate_ahead(
        &self,
        query: &[E::Operand],
        rows: &[E],
        acc: &mut [Lanes],
        next: Range<*const u8>,
    ) {
        let together = rows_together::<E>(query.len());
        let group = together * query.len().max(1);
        let mut next = Ahead { next, step: group * size_of::<E>() };
        for (rows, acc) in rows.chunks(group).zip(acc.chunks_mut(together)) {
            next.step();
            self.accumulate(query, rows, acc);
        }
    }

    /// `out[r]` = the reduction of `acc[r]`, as `distances` ends with.
    pub fn reduce(acc: &[Lanes], out: &mut [f32]) {
        debug_assert_eq!(acc.len(), out.len());
        // SAFETY: picked for a set that this CPU has.
        unsafe { isa::reduce::pick(Isa::detect())(acc, out) }
    }
}

/// Rows between two requests for what comes next: four, or as many short ones as 512 bytes have. A call for each four of 256 bits
/// would take a sixth of a scan.
fn rows_together<E>(elements: usize) -> usize {
    let row = (elements * size_of::<E>()).max(1);
    (COPIED_AT_ONCE / row).next_multiple_of(4).max(4)
}

/// Appends `from`, asking for the lines of `next`, which is copied after it, meanwhile: memory is busy with both.
pub fn append_ahead<E: Copy>(to: &mut Vec<E>, from: &[E], next: Range<*const u8>) {
    let mut next = Ahead { next, step: COPIED_AT_ONCE };
    for some in from.chunks((COPIED_AT_ONCE / size_of::<E>().max(1)).max(1)) {
        next.step();
        to.extend_from_slice(some);
    }
}

/// Bytes: few enough lines for the CPU to wait for at a time.
const COPIED_AT_ONCE: usize = 512;

/// A range of addresses, asked for in steps.
struct Ahead {
    next: Range<*const u8>,
    step: usize,
}

impl Ahead {
    #[inline]
    fn step(&mut self) {
        let left = self.next.end.addr().saturating_sub(self.next.start.addr());
        let end = self.next.start.wrapping_add(self.step.min(left));
        prefetch_at(self.next.start..end);
        self.next.start = end;
    }
}

/// Asks the CPU to bring the cache lines of these bytes into its second-level cache. A page scan calls it on the
/// next page: the hardware follows rows inside a page by itself but does not foresee a jump. The first
/// level is not asked for: it can wait for too few lines at a time to keep the memory busy.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    prefetch_at(bytes.as_ptr_range());
}

/// As `prefetch`, for any addresses: nothing is read there.
#[inline]
pub fn prefetch_at(bytes: Range<*const u8>) {
    #[cfg(target_arch = "x86_64")]
    for at in (bytes.start.addr()..bytes.end.addr()).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch never faults, whatever the address; SSE is in the baseline of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.start.with_addr(at).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// As [`prefetch`], into the first-level cache: for a few lines that are needed at once.
#[inline(always)]
pub fn prefetch_near<T>(items: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let range = items.as_ptr_range();
        for at in (range.start.addr() & !63..range.end.addr()).step_by(64) {
            // SAFETY: a prefetch never faults, whatever the address; SSE is in the baseline of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(range.start.with_addr(at).cast()) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = items;
}
