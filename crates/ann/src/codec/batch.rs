//! Coding many vectors at once, on all threads of the pool.

use rayon::prelude::*;

use super::{Codec, Coding};
use crate::coarse::Coarse;
use crate::parallel::Job;

/// Vectors between two looks at the job's cancel flag.
const POLL_ROWS: usize = 64;

/// Codes each point, a member of its list, into the head of its record: the bare code, then the factors as little-endian
/// floats. `out` holds a record of `record` bytes per point, whose rest is left alone. Runs on the pool it is called
/// in, else on the calling thread alone. When the job is cancelled the remaining records are left as they were.
pub fn encode_batch(
    codec: &Codec,
    coarse: &Coarse<'_>,
    points: &[f32],
    list_nos: &[u32],
    record: usize,
    out: &mut [u8],
    job: &Job,
) {
    let dims = coarse.dims.max(1);
    let group = |points: &[f32], list_nos: &[u32], out: &mut [u8]| {
        if job.cancelled() {
            return;
        }
        let mut factors = vec![0.0; codec.n_factors()];
        let bare = codec.bare_size();
        let rows = points.chunks_exact(dims).zip(list_nos);
        for ((point, list_no), record) in rows.zip(out.chunks_exact_mut(record)) {
            let Some((code, rest)) = record.split_at_mut_checked(bare) else { return };
            codec.encode(point, coarse.centroid(*list_no), code, &mut factors);
            for (place, factor) in rest.chunks_exact_mut(size_of::<f32>()).zip(&factors) {
                place.copy_from_slice(&factor.to_le_bytes());
            }
        }
    };
    // As in Assigner::assign: never wake rayon's global pool.
    if rayon::current_thread_index().is_none() {
        let rows = points.chunks(POLL_ROWS * dims).zip(list_nos.chunks(POLL_ROWS));
        for ((points, list_nos), out) in rows.zip(out.chunks_mut(POLL_ROWS * record)) {
            group(points, list_nos, out);
        }
    } else {
        let rows = points.par_chunks(POLL_ROWS * dims).zip(list_nos.par_chunks(POLL_ROWS));
        rows.zip(out.par_chunks_mut(POLL_ROWS * record))
            .for_each(|((points, list_nos), out)| group(points, list_nos, out));
    }
}

/// Subtracts from each point the centroid of its list, in place.
pub fn take_residuals(coarse: &Coarse<'_>, points: &mut [f32], list_nos: &[u32]) {
    for (point, list_no) in points.chunks_exact_mut(coarse.dims.max(1)).zip(list_nos) {
        for (x, c) in point.iter_mut().zip(coarse.centroid(*list_no)) {
            *x -= c;
        }
    }
}
