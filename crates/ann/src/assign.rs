//! The nearest centroid of many points at once: training and bulk loading spend nearly all their time here.

use crate::coarse::Coarse;
use crate::extent::NORM_MAX;
use crate::kernels::short::{MOST_CENTROIDS, PAIR, Short};
use crate::kernels::tile::{Best, PANEL, Tile};
use crate::kernels::{dot, l2_sqr};
use crate::middle;
use crate::parallel::Job;
use rayon::prelude::*;

/// Bytes of packed points that one thread works on at a time; they stay in its L2 cache.
const BLOCK_BYTES: usize = 128 * 1024;
/// Vectors of at most this many elements are compared by the kernel for short ones.
const SHORT_DIMS: usize = 16;
/// Multiply-adds between two looks at the job's cancel flag: about a millisecond.
const POLL_PRODUCTS: usize = 1 << 24;
/// A squared distance is in doubt below so much of the squared distance to the middle: 2⁻²⁴, the error of a product, for
/// an error of a few in a hundred.
const DOUBTFUL: f32 = 1.0 / (1 << 19) as f32;

/// Dimensions of a row that are laid out at a time: what is written stays in the first-level cache.
const TRANSPOSED: usize = 64;
/// Squared distances from here on may be of a vector longer than [`NORM_MAX`].
const TOO_FAR: f32 = NORM_MAX * NORM_MAX / 4.0;

/// The centroids of an inverted file, packed for assigning in bulk. Packing costs as much as assigning a few
/// points: make one per batch of hundreds at least.
///
/// The nearest centroid is the one of smallest |c|²/2 − x·c (or −x·c under a spherical metric). Under L2 both sides are
/// taken relative to the middle of the centroids: otherwise, for data far from the origin, the difference
/// of two large numbers would lose the neighbours. The middle is the mean, but where a few far centroids would draw it
/// away from the others the median. A point so far from it, and so near to its centroid, that rounding
/// may have decided all the same is compared with every centroid by the plain sum of squared differences.
pub struct Assigner<'a> {
    coarse: Coarse<'a>,
    /// Subtracted from both sides; zeros under a spherical metric.
    middle: Vec<f32>,
    packed: Packed,
    /// The least distance of a point to its centroid that leaves no doubt, for each centroid.
    doubt: Vec<f32>,
}

/// The centroids as a kernel wants them.
enum Packed {
    Tile {
        tile: Tile,
        panels: Vec<f32>,
        /// Less the product this is the score.
        bias: Vec<[f32; PANEL]>,
    },
    Short {
        short: Short,
        /// Negative, so that products are added to the bias.
        centroids: Vec<f32>,
        bias: Vec<f32>,
    },
}

impl Packed {
    /// Points that go together.
    fn width(&self) -> usize {
        match self {
            Packed::Tile { tile, .. } => tile.points,
            Packed::Short { short, .. } => short.points,
        }
    }
}

/// What a thread reuses from block to block.
struct Scratch {
    points: Vec<f32>,
    best: Vec<Best>,
    nearest: Vec<u32>,
}

impl<'a> Assigner<'a> {
    /// Packs the centroids.
    pub fn new(coarse: Coarse<'a>) -> Self {
        let middle = middle_of(&coarse);
        let packed = if coarse.dims <= SHORT_DIMS && coarse.nlist() < MOST_CENTROIDS {
            pack_short(&coarse, &middle)
        } else {
            pack_tile(&coarse, &middle)
        };
        let doubt = doubts(&coarse, &middle);
        Assigner { coarse, middle, packed, doubt }
    }

    /// The centroids.
    pub fn coarse(&self) -> &Coarse<'a> {
        &self.coarse
    }

    /// The nearest list of each point and its coarse distance (as `Coarse::assign` gives it; between lists that are
    /// equally near but for a few in a hundred, of a point much farther away from most, the two may choose differently). Uses the pool it is called in (see
    /// `parallel::run`), else the calling thread alone. When the job is cancelled the rest of
    /// the output is left as it was.
    pub fn assign(&self, points: &[f32], out: &mut [u32], dist: &mut [f32], job: &Job) {
        let dims = self.coarse.dims.max(1);
        debug_assert!(points.len() == out.len() * dims && out.len() == dist.len());
        let width = self.packed.width();
        let block = width * (BLOCK_BYTES / (width * dims * size_of::<f32>())).clamp(1, 32);
        let one = |scratch: &mut Scratch, points: &[f32], out: &mut [u32], dist: &mut [f32]| {
            if self.nearest(points, scratch, job) {
                out.copy_from_slice(&scratch.nearest[..out.len()]);
                settle(&self.coarse, &self.doubt, points, out, dist, job);
            }
        };
        let scratch = || Scratch { points: Vec::new(), best: Vec::new(), nearest: Vec::new() };
        // Outside a pool rayon would start its global one, whose threads take the server's signals.
        if rayon::current_thread_index().is_none() {
            let mut scratch = scratch();
            let outs = out.chunks_mut(block).zip(dist.chunks_mut(block));
            for (points, (out, dist)) in points.chunks(block * dims).zip(outs) {
                one(&mut scratch, points, out, dist);
            }
        } else {
            let outs = out.par_chunks_mut(block).zip(dist.par_chunks_mut(block));
            points.par_chunks(block * dims).zip(outs).for_each_init(
                scratch,
                |scratch, (points, (out, dist))| {
                    one(scratch, points, out, dist);
                },
            );
        }
    }

    /// Fills `scratch.nearest`; false when the job was cancelled.
    fn nearest(&self, points: &[f32], scratch: &mut Scratch, job: &Job) -> bool {
        let dims = self.coarse.dims.max(1);
        self.pack(points, &mut scratch.points);
        let n = scratch.points.len() / dims;
        scratch.nearest.clear();
        match &self.packed {
            Packed::Tile { tile, panels, bias } => {
                scratch.best.clear();
                scratch.best.resize(n, Best::NONE);
                let some =
                    (POLL_PRODUCTS / (n * dims * PANEL).max(1)).next_multiple_of(tile.panels);
                let some = some.max(1);
                let groups = panels.chunks(some * PANEL * dims).zip(bias.chunks(some));
                for ((group, bias), first) in groups.zip((0u32..).step_by(some)) {
                    if job.cancelled() {
                        return false;
                    }
                    tile.pass(&scratch.points, dims, group, bias, first, &mut scratch.best);
                }
                scratch.nearest.extend(scratch.best.iter().map(Best::centroid));
            }
            Packed::Short { short, centroids, bias } => {
                scratch.nearest.resize(n, 0);
                let some = POLL_PRODUCTS / (short.points * centroids.len()).max(1);
                let some = short.points * some.max(1);
                let groups = scratch.points.chunks(some * dims);
                for (points, nearest) in groups.zip(scratch.nearest.chunks_mut(some)) {
                    if job.cancelled() {
                        return false;
                    }
                    short.nearest(points, dims, centroids, bias, nearest);
                }
            }
        }
        !job.cancelled()
    }

    /// Lays points out tile by tile, dimension by dimension; the last tile is filled up with zeros.
    fn pack(&self, points: &[f32], packed: &mut Vec<f32>) {
        let (dims, width) = (self.coarse.dims.max(1), self.packed.width());
        let n = points.len() / dims;
        packed.clear();
        packed.resize(n.next_multiple_of(width) * dims, 0.0);
        for (tile, rows) in packed.chunks_mut(width * dims).zip(points.chunks(width * dims)) {
            transpose(rows.chunks_exact(dims), &self.middle, width, tile);
        }
    }
}

/// The distances, and another centroid where the products left it in doubt: `doubt` has the least distance to each centroid that
/// leaves none.
pub(crate) fn settle(
    coarse: &Coarse,
    doubt: &[f32],
    points: &[f32],
    nearest: &mut [u32],
    dist: &mut [f32],
    job: &Job,
) {
    let rows = points.chunks_exact(coarse.dims.max(1)).zip(nearest);
    for ((row, nearest), dist) in rows.zip(dist) {
        let centroid = coarse.centroid(*nearest);
        let doubt = doubt.get(*nearest as usize).copied().unwrap_or_default();
        *dist =
            if coarse.metric.is_spherical() { -dot(row, centroid) } else { l2_sqr(row, centroid) };
        // No centroid is nearer than one at no distance; and vectors that are too long count as shorter ones.
        let is_sure = *dist < TOO_FAR && (*dist >= doubt || *dist == 0.0);
        if !is_sure && !job.cancelled() {
            (*nearest, *dist) = coarse.assign(row);
        }
    }
}

fn pack_tile(coarse: &Coarse, middle: &[f32]) -> Packed {
    let (tile, dims) = (Tile::detect(), coarse.dims);
    let n_panels = coarse.nlist().div_ceil(PANEL).next_multiple_of(tile.panels);
    let mut panels = vec![0.0; n_panels * PANEL * dims];
    let mut bias = vec![[f32::INFINITY; PANEL]; n_panels];
    let places = panels.chunks_mut(PANEL * dims.max(1)).zip(&mut bias);
    for (rows, (panel, bias)) in coarse.centroids.chunks(PANEL * dims.max(1)).zip(places) {
        transpose(rows.chunks_exact(dims.max(1)), middle, PANEL, panel);
        for (bias, row) in bias.iter_mut().zip(rows.chunks_exact(dims.max(1))) {
            *bias = bias_of(coarse, row, middle);
        }
    }
    Packed::Tile { tile, panels, bias }
}

fn pack_short(coarse: &Coarse, middle: &[f32]) -> Packed {
    let (short, dims) = (Short::detect(), coarse.dims.max(1));
    let n = coarse.nlist().next_multiple_of(PAIR);
    let mut centroids = vec![0.0; n * dims];
    let mut bias = vec![f32::INFINITY; n];
    let places = centroids.chunks_exact_mut(dims).zip(&mut bias);
    for (row, (slots, bias)) in coarse.centroids.chunks_exact(dims).zip(places) {
        *bias = bias_of(coarse, row, middle);
        for (slot, (x, middle)) in slots.iter_mut().zip(row.iter().zip(middle)) {
            *slot = middle - x;
        }
    }
    Packed::Short { short, centroids, bias }
}

pub(crate) fn bias_of(coarse: &Coarse, centroid: &[f32], middle: &[f32]) -> f32 {
    if coarse.metric.is_spherical() { 0.0 } else { l2_sqr(centroid, middle) / 2.0 }
}

/// Lays at most `width` rows out dimension by dimension, less the middle; the places of missing rows stay.
pub(crate) fn transpose<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    middle: &[f32],
    width: usize,
    out: &mut [f32],
) {
    let blocks = middle.chunks(TRANSPOSED).zip(out.chunks_mut(TRANSPOSED * width));
    for ((middle, out), first) in blocks.zip((0..).step_by(TRANSPOSED)) {
        for (p, row) in rows.clone().take(width).enumerate() {
            let row = row.get(first..first + middle.len()).unwrap_or_default();
            let slots = out.iter_mut().skip(p).step_by(width);
            slots.zip(row.iter().zip(middle)).for_each(|(slot, (x, middle))| *slot = x - middle);
        }
    }
}

/// What both sides are taken relative to.
pub(crate) fn middle_of(coarse: &Coarse) -> Vec<f32> {
    let dims = coarse.dims.max(1);
    if coarse.metric.is_spherical() {
        return vec![0.0; coarse.dims];
    }
    let mut sums = vec![0.0f64; coarse.dims];
    for centroid in coarse.centroids.chunks_exact(dims) {
        sums.iter_mut().zip(centroid).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let n = coarse.nlist().max(1) as f64;
    let mean: Vec<f32> = sums.iter().map(|sum| (sum / n) as f32).collect();
    let median = middle::median(coarse.centroids, coarse.dims);
    let some = middle::some(coarse.centroids, dims);
    let mut spread: Vec<f32> = some.map(|centroid| l2_sqr(centroid, &median)).collect();
    let spread = middle::of_numbers(&mut spread).unwrap_or_default();
    if l2_sqr(&mean, &median) <= spread { mean } else { median }
}

/// The least squared distance to each centroid that rounding cannot have decided: products add up errors of half
/// the last bit of the largest number, about as many times as the root of the dimensions says. Centroids of norm 1 leave
/// no doubt.
pub(crate) fn doubts(coarse: &Coarse, middle: &[f32]) -> Vec<f32> {
    if coarse.metric.is_spherical() {
        return vec![f32::MIN; coarse.nlist()];
    }
    let part = DOUBTFUL * (1.0 + (coarse.dims as f32).sqrt());
    coarse.centroids.chunks_exact(coarse.dims.max(1)).map(|c| part * l2_sqr(c, middle)).collect()
}

/// The nearest list of each point and its coarse distance; packs the centroids and calls
/// [`Assigner::assign`].
pub fn assign_batch(coarse: &Coarse, points: &[f32], out: &mut [u32], dist: &mut [f32], job: &Job) {
    Assigner::new(*coarse).assign(points, out, dist, job);
}
