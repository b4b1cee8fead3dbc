//! The loops, written once for every instruction set, element type and operation.

use super::lanes::{Lanes16, Load};
use super::rows::Lanes;

/// What one pair of elements adds to its lane.
pub trait Op: 'static {
    /// # Safety
    /// As for [`Lanes16`].
    unsafe fn step<S: Lanes16>(acc: S, a: S, b: S) -> S;
}

/// (a − b)².
pub struct L2Sqr;
/// a · b.
pub struct Dot;
/// |a − b|.
pub struct L1;

impl Op for L2Sqr {
    #[inline(always)]
    unsafe fn step<S: Lanes16>(acc: S, a: S, b: S) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe {
            let difference = a.sub(b);
            acc.fma(difference, difference)
        }
    }
}

impl Op for Dot {
    #[inline(always)]
    unsafe fn step<S: Lanes16>(acc: S, a: S, b: S) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { acc.fma(a, b) }
    }
}

impl Op for L1 {
    #[inline(always)]
    unsafe fn step<S: Lanes16>(acc: S, a: S, b: S) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { acc.add_abs(a.sub(b)) }
    }
}

/// The canonical sum of one pair; the shorter length counts.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn pair<S: Lanes16, O: Op, A: Load, B: Load>(a: &[A], b: &[B]) -> f32 {
    let n = a.len().min(b.len());
    // SAFETY: `n` is within `b`, and `sums` checks it against the query; the rest is Lanes16's contract.
    unsafe {
        let zero = S::zero();
        let [sum] = sums::<S, O, A, B, 1>(a.get_unchecked(..n), b.as_ptr(), [zero]);
        S::reduce4([sum, zero, zero, zero])[0]
    }
}

/// `out[r]` = the canonical sum of the query and row r.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn distances<S: Lanes16, O: Op, E: Load>(query: &[f32], rows: &[E], out: &mut [f32]) {
    let d = query.len();
    let n = out.len().min(rows.len().checked_div(d).unwrap_or(0));
    // SAFETY: every row r < n ends at or before `rows.len()`; the rest is Lanes16's contract.
    unsafe {
        let zero = S::zero();
        let mut r = 0;
        while r + 4 <= n {
            let four = sums::<S, O, f32, E, 4>(query, rows.as_ptr().add(r * d), [zero; 4]);
            out.get_unchecked_mut(r..r + 4).copy_from_slice(&S::reduce4(four));
            r += 4;
        }
        let at = rows.as_ptr().wrapping_add(r * d);
        let rest = match n - r {
            0 => return,
            1 => {
                let [a] = sums::<S, O, f32, E, 1>(query, at, [zero; 1]);
                [a, zero, zero, zero]
            }
            2 => {
                let [a, b] = sums::<S, O, f32, E, 2>(query, at, [zero; 2]);
                [a, b, zero, zero]
            }
            _ => {
                let [a, b, c] = sums::<S, O, f32, E, 3>(query, at, [zero; 3]);
                [a, b, c, zero]
            }
        };
        out.get_unchecked_mut(r..n).copy_from_slice(&S::reduce4(rest)[..n - r]);
    }
}

/// Registers that two rows of [`distances_of_four`] take: eight sums, the rows and a query.
const TWO_ROWS: usize = 11;

/// `out[q][r]` = the canonical sum of query q and row r. A row is loaded once for all four.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn distances_of_four<S: Lanes16, O: Op, E: Load>(
    queries: [&[f32]; 4],
    rows: &[E],
    out: [&mut [f32]; 4],
) {
    let d = queries.iter().map(|query| query.len()).min().unwrap_or(0);
    let room = out.iter().map(|out| out.len()).min().unwrap_or(0);
    let n = room.min(rows.len().checked_div(d).unwrap_or(0));
    let queries = queries.map(|query| query.as_ptr());
    let out = out.map(|out| out.as_mut_ptr());
    let mut r = 0;
    // SAFETY: every row r < n ends at or before `rows.len()`, every query has d elements and every out room for n; the rest
    // is Lanes16's contract.
    unsafe {
        while S::REGISTERS >= TWO_ROWS && r + 2 <= n {
            four::<S, O, E, 2>(queries, d, rows.as_ptr().add(r * d), out.map(|out| out.add(r)));
            r += 2;
        }
        while r < n {
            four::<S, O, E, 1>(queries, d, rows.as_ptr().add(r * d), out.map(|out| out.add(r)));
            r += 1;
        }
    }
}

/// R rows against four queries.
///
/// # Safety
/// As for [`Lanes16`]; `rows` points to R rows of `d` elements, each query to `d`, each out to room for R.
#[inline(always)]
unsafe fn four<S: Lanes16, O: Op, E: Load, const R: usize>(
    queries: [*const f32; 4],
    d: usize,
    rows: *const E,
    out: [*mut f32; 4],
) {
    let (n_chunks, n_tail) = (d / 16, d % 16);
    // SAFETY: offsets stay below what the caller vouches for; the rest is Lanes16's contract.
    unsafe {
        let mut sums = [[S::zero(); 4]; R];
        for i in 0..n_chunks {
            let row = |r: usize| E::load(&*rows.add(r * d + i * 16).cast::<[E; 16]>());
            let x: [S; R] = std::array::from_fn(row);
            for (q, query) in queries.iter().enumerate() {
                let q_lanes = S::load(&*query.add(i * 16).cast::<[f32; 16]>());
                for (row, x) in sums.iter_mut().zip(x) {
                    row[q] = O::step(row[q], q_lanes, x);
                }
            }
        }
        if n_tail > 0 {
            let at = n_chunks * 16;
            for (r, row) in sums.iter_mut().enumerate() {
                let tail = std::slice::from_raw_parts(rows.add(r * d + at), n_tail);
                let x: S = E::load_head(tail);
                for (sum, query) in row.iter_mut().zip(queries) {
                    let q_lanes = S::load_head(std::slice::from_raw_parts(query.add(at), n_tail));
                    *sum = O::step(*sum, q_lanes, x).head_or(n_tail, *sum);
                }
            }
        }
        for (r, row) in sums.into_iter().enumerate() {
            for (sum, out) in S::reduce4(row).into_iter().zip(out) {
                *out.add(r) = sum;
            }
        }
    }
}

/// Adds a slice of each row to its sixteen sums.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn accumulate<S: Lanes16, O: Op, E: Load>(query: &[f32], rows: &[E], acc: &mut [Lanes]) {
    let d = query.len();
    let n = acc.len().min(rows.len().checked_div(d).unwrap_or(0));
    // SAFETY: every row r < n ends at or before `rows.len()`; the rest is Lanes16's contract.
    unsafe {
        let mut groups = acc.get_unchecked_mut(..n).chunks_exact_mut(4);
        let mut at = rows.as_ptr();
        for group in &mut groups {
            let sum = [0, 1, 2, 3].map(|r| S::load(&group.get_unchecked(r).0));
            let sum = sums::<S, O, f32, E, 4>(query, at, sum);
            for (lanes, row) in group.iter_mut().zip(sum) {
                row.store(&mut lanes.0);
            }
            at = at.add(4 * d);
        }
        for lanes in groups.into_remainder() {
            let [sum] = sums::<S, O, f32, E, 1>(query, at, [S::load(&lanes.0)]);
            sum.store(&mut lanes.0);
            at = at.add(d);
        }
    }
}

/// The canonical reduction of sums carried from slice to slice.
///
/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
pub unsafe fn reduce<S: Lanes16>(acc: &[Lanes], out: &mut [f32]) {
    for (sums, out) in acc.chunks(4).zip(out.chunks_mut(4)) {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe {
            let mut four = [S::zero(); 4];
            for (slot, lanes) in four.iter_mut().zip(sums) {
                *slot = S::load(&lanes.0);
            }
            for (out, sum) in out.iter_mut().zip(S::reduce4(four)) {
                *out = sum;
            }
        }
    }
}

/// Goes over R rows at once, so that R independent chains of additions hide their latency; each row's own
/// chain stays in the canonical order.
///
/// # Safety
/// As for [`Lanes16`]; `rows` points to R rows of `query.len()` elements each.
#[inline(always)]
unsafe fn sums<S: Lanes16, O: Op, A: Load, B: Load, const R: usize>(
    query: &[A],
    rows: *const B,
    mut sum: [S; R],
) -> [S; R] {
    let d = query.len();
    let (chunks, tail) = query.as_chunks::<16>();
    // SAFETY: offsets stay below R·d, which the caller vouches for; the rest is Lanes16's contract.
    unsafe {
        for (i, chunk) in chunks.iter().enumerate() {
            let q: S = A::load(chunk);
            for (r, row) in sum.iter_mut().enumerate() {
                let x: S = B::load(&*rows.add(r * d + i * 16).cast::<[B; 16]>());
                *row = O::step(*row, q, x);
            }
        }
        if !tail.is_empty() {
            let q: S = A::load_head(tail);
            for (r, row) in sum.iter_mut().enumerate() {
                let at = rows.add(r * d + chunks.len() * 16);
                let x: S = B::load_head(std::slice::from_raw_parts(at, tail.len()));
                *row = O::step(*row, q, x).head_or(tail.len(), *row);
            }
        }
    }
    sum
}
