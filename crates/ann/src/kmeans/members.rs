//! The points of each cluster, and their means.

use super::POLL_ELEMENTS;
use crate::kernels::prefetch;
use crate::parallel::Job;
use rayon::prelude::*;

/// Members ahead of the one being summed that are asked for: they lie anywhere in memory.
const AHEAD: usize = 4;

/// The points of each cluster, in their order.
pub struct Members {
    /// Cluster c owns `order[starts[c]..starts[c + 1]]`.
    starts: Vec<u32>,
    order: Vec<u32>,
}

impl Members {
    /// Counting sort by cluster; left unfinished when the job is cancelled.
    pub fn group(assigned: &[u32], k: usize, job: &Job) -> Self {
        let wanted = |_: &&[u32]| !job.cancelled();
        let mut starts = vec![0u32; k + 1];
        for &cluster in assigned.chunks(POLL_ELEMENTS).take_while(wanted).flatten() {
            starts[cluster as usize + 1] += 1;
        }
        for c in 0..k {
            starts[c + 1] += starts[c];
        }
        let mut next = starts.clone();
        let mut order = vec![0; assigned.len()];
        for (point, &cluster) in
            (0u32..).zip(assigned.chunks(POLL_ELEMENTS).take_while(wanted).flatten())
        {
            let slot = &mut next[cluster as usize];
            order[*slot as usize] = point;
            *slot += 1;
        }
        Members { starts, order }
    }

    pub fn sizes(&self) -> Vec<u32> {
        self.starts.windows(2).map(|ends| ends[1] - ends[0]).collect()
    }

    /// Moves each centroid to the mean of its points; an empty cluster's stays. A centroid that is the mean of some points
    /// already, `before` says how many, becomes the mean of those and these.
    pub fn means(
        &self,
        points: &[f32],
        centroids: &mut [f32],
        dims: usize,
        before: &[u32],
        job: &Job,
    ) {
        let one = |sums: &mut Vec<f64>, c: usize, centroid: &mut [f32]| {
            let members = &self.order[self.starts[c] as usize..self.starts[c + 1] as usize];
            sums.clear();
            sums.resize(dims, 0.0);
            for group in members.chunks(POLL_ELEMENTS.div_ceil(dims)) {
                if job.cancelled() {
                    return;
                }
                let rows = |point: &u32| &points[*point as usize * dims..][..dims];
                for (i, row) in group.iter().map(rows).enumerate() {
                    if let Some(soon) = group.get(i + AHEAD) {
                        prefetch(bytemuck::cast_slice(rows(soon)));
                    }
                    for (sum, x) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*x);
                    }
                }
            }
            let n = members.len() as f64;
            let before = before.get(c).copied().unwrap_or_default();
            if before > 0 {
                let part = n / (f64::from(before) + n);
                for (x, sum) in centroid.iter_mut().zip(sums.iter()) {
                    let old = f64::from(*x);
                    *x = (old + part * (sum / n.max(1.0) - old)) as f32;
                }
            } else if n > 0.0 {
                for (x, sum) in centroid.iter_mut().zip(sums.iter()) {
                    *x = (sum / n) as f32;
                }
            }
        };
        // As in Assigner::assign: never wake rayon's global pool.
        if rayon::current_thread_index().is_none() {
            let mut sums = Vec::new();
            for (c, centroid) in centroids.chunks_mut(dims).enumerate() {
                one(&mut sums, c, centroid);
            }
        } else {
            let rows = centroids.par_chunks_mut(dims).enumerate();
            rows.for_each_init(Vec::new, |sums, (c, centroid)| one(sums, c, centroid));
        }
    }
}
