//! Matrix products on the pool, cut into strips that depend on the shape alone: the same bits on any number of threads.

use crate::kernels::product::{Matrix, multiply};
use crate::parallel::{Job, for_each_chunk};

/// Multiply-adds between two looks at the job's cancel flag: a few milliseconds.
const POLL_PRODUCTS: usize = 1 << 27;

/// `out` = a·b + keep·`out`, row-major. With `keep` 0 nothing of `out` is read. Runs on the pool it is called in, else on
/// the calling thread alone; when the job is cancelled, the rest of `out` is left as it was.
pub fn multiply_all(a: Matrix, b: Matrix, keep: f32, out: &mut [f32], job: &Job) {
    let ((rows, inner), (_, columns)) = (a.shape(), b.shape());
    // Every strip packs all of b: strips are as high as leaves some for each thread.
    let high = (rows / 8).next_multiple_of(8).clamp(32, 256);
    let wide = (POLL_PRODUCTS / (high * inner).max(1)).max(32);
    for_each_chunk(out, high * columns, |i, out| {
        let strip = a.rows(i * high, high);
        for first in (0..columns).step_by(wide) {
            if job.cancelled() {
                return;
            }
            multiply(strip, b.columns(first, wide), keep, &mut out[first..], columns);
        }
    });
}
