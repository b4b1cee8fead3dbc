//! Nanoseconds per vector of the distance kernels and of the scan of lossy codes, against the plain loop and
//! against what the memory delivers in the same run.
//!
//! The timer is our own: a benchmark framework would bring some forty crates and report to its own
//! files, while these figures belong in one table with the bandwidth measured beside them. Each
//! figure is the median of several samples, each long enough (2 ms and more) for the clock not to
//! matter.

mod codes;

use crate::frontier::median;
use ann::{Float, Lanes, RowKernel};
use anyhow::Result;
use half::f16;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

const DIMS: &[usize] = &[16, 32, 64, 100, 128, 256, 384, 768, 1024, 1536];
/// Half of a small first-level cache.
const CACHE_BYTES: usize = 16 << 10;
/// Several times the last-level cache of the machines at hand.
const MEMORY_BYTES: usize = 128 << 20;

/// The speed of one kernel in one situation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    pub kernel: String,
    pub element: String,
    pub dims: usize,
    /// `cache` or `memory`.
    pub place: String,
    pub ns_per_vector: f64,
    pub plain_ns_per_vector: f64,
    /// Bytes of vectors read, by the fast kernel.
    pub gb_per_s: f64,
}

/// How much to measure.
#[derive(Clone, Copy)]
struct Effort {
    dims: &'static [usize],
    memory_bytes: usize,
    samples: usize,
    sample_s: f64,
}

const FULL: Effort = Effort { dims: DIMS, memory_bytes: MEMORY_BYTES, samples: 5, sample_s: 0.002 };
const SMOKE: Effort = Effort { dims: &[16, 100], memory_bytes: 1 << 20, samples: 1, sample_s: 0.0 };

/// What [`measure`] hands out.
#[derive(Clone, Debug, PartialEq)]
pub enum Measurement {
    /// Gigabytes per second that one core reads from memory.
    Bandwidth(f64),
    Kernel(Kernel),
}

/// Measures everything; `smoke` only enters every path. Nothing here is generic over the caller: it
/// would be compiled in the caller's package, without optimisation.
pub fn measure(smoke: bool, emit: &mut dyn FnMut(Measurement) -> Result<()>) -> Result<()> {
    let effort = if smoke { SMOKE } else { FULL };
    emit(Measurement::Bandwidth(bandwidth(effort)))?;
    element::<f32>(effort, emit)?;
    element::<f16>(effort, emit)?;
    codes::measure(effort, emit)
}

type Fast<E> = Box<dyn Fn(&[f32], &[E], &mut [f32])>;

/// What is measured: many rows against one query, `out[r]` for row r.
struct Case<E> {
    name: &'static str,
    fast: Fast<E>,
    plain: fn(&[f32], &[E], &mut [f32]),
}

fn cases<E: Float>() -> Vec<Case<E>> {
    let (l2, ip) = (RowKernel::<E>::l2_sqr(), RowKernel::<E>::dot());
    vec![
        Case {
            name: "rows l2_sqr",
            fast: Box::new(move |q, rows, out| l2.distances(q, rows, out)),
            plain: plain_l2,
        },
        Case {
            name: "rows dot",
            fast: Box::new(move |q, rows, out| ip.distances(q, rows, out)),
            plain: plain_dot,
        },
        Case { name: "rows l2_sqr in slices", fast: Box::new(sliced(l2)), plain: plain_l2 },
        Case { name: "pair l2_sqr", fast: Box::new(pairs(ann::kernels::l2_sqr)), plain: plain_l2 },
        Case { name: "pair dot", fast: Box::new(pairs(ann::kernels::dot)), plain: plain_dot },
        Case { name: "pair l1", fast: Box::new(pairs(ann::kernels::l1)), plain: plain_l1 },
    ]
}

/// One call of a two-vector kernel per row, as the SQL operators make it.
fn pairs<E: Float>(one: fn(&[f32], &[E]) -> f32) -> impl Fn(&[f32], &[E], &mut [f32]) {
    move |q, rows, out| {
        for (row, out) in rows.chunks_exact(q.len()).zip(out) {
            *out = one(q, row);
        }
    }
}

/// The kernel for vectors that span pages, here with one slice.
fn sliced<E: Float>(kernel: RowKernel<E>) -> impl Fn(&[f32], &[E], &mut [f32]) {
    const BLOCK: usize = 32;
    move |q, rows, out| {
        for (rows, out) in rows.chunks(BLOCK * q.len()).zip(out.chunks_mut(BLOCK)) {
            let mut lanes = [Lanes::default(); BLOCK];
            let lanes = &mut lanes[..out.len()];
            kernel.accumulate(q, rows, lanes);
            RowKernel::<E>::reduce(lanes, out);
        }
    }
}

fn plain<E: Float>(q: &[f32], rows: &[E], out: &mut [f32], term: impl Fn(f32, f32) -> f32) {
    for (row, out) in rows.chunks_exact(q.len()).zip(out) {
        *out = q.iter().zip(row).map(|(&a, b)| term(a, b.to_f32())).sum();
    }
}

fn plain_l2<E: Float>(q: &[f32], rows: &[E], out: &mut [f32]) {
    plain(q, rows, out, |a, b| (a - b) * (a - b));
}

fn plain_dot<E: Float>(q: &[f32], rows: &[E], out: &mut [f32]) {
    plain(q, rows, out, |a, b| a * b);
}

fn plain_l1<E: Float>(q: &[f32], rows: &[E], out: &mut [f32]) {
    plain(q, rows, out, |a, b| (a - b).abs());
}

fn element<E: Float>(
    effort: Effort,
    emit: &mut dyn FnMut(Measurement) -> Result<()>,
) -> Result<()> {
    let size = size_of::<E>();
    let value = |i: usize| E::from_f32(((i * 7919) % 251) as f32 / 251.0);
    let data: Vec<E> = (0..effort.memory_bytes / size).map(value).collect();
    for case in cases::<E>() {
        for &dims in effort.dims {
            let query: Vec<f32> = (0..dims).map(|i| i as f32 / dims as f32).collect();
            for (place, bytes) in [("cache", CACHE_BYTES), ("memory", effort.memory_bytes)] {
                let n = (bytes / size / dims).max(1);
                let rows = &data[..n * dims];
                let mut out = vec![0f32; n];
                let ns = time(effort, n, || (case.fast)(&query, black_box(rows), &mut out));
                let plain_ns = time(effort, n, || (case.plain)(&query, black_box(rows), &mut out));
                black_box(&out);
                emit(Measurement::Kernel(Kernel {
                    kernel: case.name.to_owned(),
                    element: E::NAME.to_owned(),
                    dims,
                    place: place.to_owned(),
                    ns_per_vector: ns,
                    plain_ns_per_vector: plain_ns,
                    gb_per_s: (dims * size) as f64 / ns,
                }))?;
            }
        }
    }
    Ok(())
}

/// Nanoseconds per item of a call that handles `items`: the median over samples of repeated calls.
fn time(effort: Effort, items: usize, mut call: impl FnMut()) -> f64 {
    call();
    let sample = |_| {
        let start = thread_s();
        let mut calls = 0;
        loop {
            call();
            calls += 1;
            let elapsed = thread_s() - start;
            if elapsed >= effort.sample_s {
                return elapsed * 1e9 / (calls * items) as f64;
            }
        }
    };
    median((0..effort.samples).map(sample).collect())
}

/// Seconds this thread has been on a CPU: being preempted by others does not count.
fn thread_s() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// Gigabytes per second that one core reads from a buffer far larger than the caches.
fn bandwidth(effort: Effort) -> f64 {
    let words = vec![1u64; effort.memory_bytes / 8];
    let ns_per_word = time(effort, words.len(), || {
        let mut sums = [0u64; 16];
        for chunk in black_box(&words).chunks_exact(16) {
            for (sum, word) in sums.iter_mut().zip(chunk) {
                *sum = sum.wrapping_add(*word);
            }
        }
        black_box(sums);
    });
    8.0 / ns_per_word
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is timed must compute the same thing, else the ratio means nothing.
    #[test]
    fn fast_and_plain_agree() {
        for dims in [16, 37, 100] {
            let rows: Vec<f32> = (0..dims * 45).map(|i| (i % 13) as f32 / 13.0).collect();
            let query: Vec<f32> = (0..dims).map(|i| i as f32 / dims as f32).collect();
            for case in cases::<f32>() {
                if case.name.contains("slices") && dims == 37 {
                    continue;
                }
                let (mut fast, mut plain) = (vec![0f32; 45], vec![0f32; 45]);
                (case.fast)(&query, &rows, &mut fast);
                (case.plain)(&query, &rows, &mut plain);
                for (a, b) in fast.iter().zip(&plain) {
                    assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{} {a} {b}", case.name);
                }
            }
        }
    }

    #[test]
    fn a_smoke_run_enters_every_path() {
        let mut records = Vec::new();
        measure(true, &mut |r| {
            records.push(r);
            Ok(())
        })
        .unwrap();
        // Two elements, then the codes: PQ8 wants dimensions divisible by eight.
        assert_eq!(records.len(), 1 + 2 * 6 * 2 * 2 + (7 + 6) * 2);
    }
}
