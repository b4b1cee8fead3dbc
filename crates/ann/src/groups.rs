//! The nearest of very many centroids, for many points at once: the centroids are put into groups, and a point is compared
//! with the centroids of the few groups nearest to it.
//!
//! Groups come of a k-means over the centroids themselves, so that nothing but these decides. A batch of points is brought into
//! the order of its groups: the centroids of a group are read once for many points, from the cache.

use crate::assign::{Assigner, assign_batch, bias_of, doubts, middle_of, settle, transpose};
use crate::coarse::Coarse;
use crate::kernels::scores::Scores;
use crate::kernels::tile::{Best, PANEL, Tile};
use crate::kmeans::{KMeansParams, TrainError, kmeans_observed};
use crate::parallel::{Job, for_each_chunk};
use crate::radix::by_list;
use crate::rules::is_by_levels;
use std::borrow::Cow;

/// Groups that a point is compared with: of 200,000 SIFT descriptors 998 in 1000 find the nearest of 4096 centroids, of 100,000
/// text embeddings 98 in 100.
const PROBES: usize = 16;
/// Iterations of the k-means that makes the groups, and centroids for each of them that it looks at.
const ITERATIONS: usize = 6;
const LOOKED_AT: usize = 64;
/// Points brought into the order of their groups at once.
const BATCH: usize = 16_384;
/// Points that a thread compares with a group in one go.
const TASK: usize = 768;
/// Points whose groups a thread chooses in one go.
const CHOSEN: usize = 192;

/// Centroids as the kernels want them.
struct Panels {
    panels: Vec<f32>,
    /// Less the product this is the score; +∞ where there is no centroid.
    bias: Vec<[f32; PANEL]>,
}

/// Where a group lies in the panels.
#[derive(Clone, Copy)]
struct Group {
    first_panel: usize,
    n_panels: usize,
}

/// Centroids in groups, packed. Holds no centroid as it was given.
pub struct Groups {
    dims: usize,
    /// Subtracted from both sides.
    middle: Vec<f32>,
    tile: Tile,
    scores: Scores,
    /// The groups' own centroids.
    heads: Panels,
    n_groups: usize,
    members: Panels,
    groups: Vec<Group>,
    /// The number of the centroid at each place of `members`.
    numbers: Vec<u32>,
    n_probes: usize,
}

/// How many groups `k` centroids are put into.
pub fn n_groups(k: usize) -> usize {
    ((k as f64).sqrt().round() as usize).clamp(1, k.max(1))
}

impl Groups {
    /// Puts centroids into groups. Runs on the pool it is called in; the same centroids give the same groups.
    pub fn new(coarse: &Coarse, job: &Job) -> Result<Self, TrainError> {
        let (k, dims) = (coarse.nlist(), coarse.dims);
        let n_groups = n_groups(k);
        let heads = heads(coarse, n_groups, job)?;
        let of_heads = Coarse { centroids: &heads, ..*coarse };
        let (mut group_of, mut distances) = (vec![0; k], vec![0.0; k]);
        assign_batch(&of_heads, coarse.centroids, &mut group_of, &mut distances, job);
        if job.cancelled() {
            return Err(TrainError::Cancelled);
        }
        let middle = middle_of(coarse);
        let tile = Tile::detect();
        let (order, ends) = by_list(&group_of, || ());
        let mut members = Panels::new();
        let (mut groups, mut numbers, mut start) = (Vec::new(), Vec::new(), 0);
        for end in ends {
            let list = order.get(start..end).unwrap_or_default();
            let first_panel = members.bias.len();
            members.add(coarse, list.iter().copied(), &middle, tile.panels);
            numbers.extend_from_slice(list);
            numbers.resize(members.bias.len() * PANEL, 0);
            groups.push(Group { first_panel, n_panels: members.bias.len() - first_panel });
            start = end;
        }
        groups.resize(n_groups, Group { first_panel: 0, n_panels: 0 });
        let mut packed = Panels::new();
        packed.add(&of_heads, 0..n_groups as u32, &middle, tile.panels);
        Ok(Self {
            dims,
            middle,
            tile,
            scores: Scores::detect(),
            heads: packed,
            n_groups,
            members,
            groups,
            numbers,
            n_probes: PROBES.min(n_groups),
        })
    }

    /// Compares points with `n_probes` groups.
    pub fn with_probes(self, n_probes: usize) -> Self {
        Self { n_probes: n_probes.clamp(1, self.n_groups), ..self }
    }

    /// The number of the nearest centroid of each point, as far as the groups tell and rounding leaves no doubt. Runs on the pool
    /// it is called in, else on the calling thread. When the job is cancelled the rest of the output is left as it was.
    pub fn nearest(&self, points: &[f32], out: &mut [u32], job: &Job) {
        let dims = self.dims.max(1);
        for (points, out) in points.chunks(BATCH * dims).zip(out.chunks_mut(BATCH)) {
            if job.cancelled() {
                return;
            }
            self.batch(points, out, job);
        }
    }

    fn batch(&self, points: &[f32], out: &mut [u32], job: &Job) {
        let dims = self.dims.max(1);
        let centered = self.centered(points);
        let points = &*centered;
        let mut chosen = vec![0u32; out.len() * self.n_probes];
        for_each_chunk(&mut chosen, CHOSEN * self.n_probes, |i, chosen| {
            let rows = points.chunks(CHOSEN * dims).nth(i).unwrap_or_default();
            if !job.cancelled() {
                self.choose(rows, chosen);
            }
        });
        let (order, ends) = by_list(&chosen, || ());
        let mut found = vec![(f32::INFINITY, 0u32); chosen.len()];
        let mut tasks = Vec::new();
        let (mut rest, mut start) = (&mut found[..], 0);
        for (group, end) in self.groups.iter().zip(ends) {
            for places in order[start..end].chunks(TASK) {
                let (found, others) = std::mem::take(&mut rest).split_at_mut(places.len());
                rest = others;
                tasks.push((*group, places, found));
            }
            start = end;
        }
        for_each_chunk(&mut tasks, 1, |_, tasks| {
            for (group, places, found) in tasks.iter_mut().take_while(|_| !job.cancelled()) {
                self.compare(points, *group, places, found);
            }
        });
        if job.cancelled() {
            return;
        }
        let mut best = vec![(f32::INFINITY, u32::MAX); out.len()];
        for (place, found) in order.iter().zip(&found) {
            let best = &mut best[*place as usize / self.n_probes];
            if found.0 < best.0 || (found.0 == best.0 && found.1 < best.1) {
                *best = *found;
            }
        }
        for (out, (score, number)) in out.iter_mut().zip(best) {
            *out = if score < f32::INFINITY { number } else { 0 };
        }
    }

    /// The points less the middle.
    fn centered<'a>(&self, points: &'a [f32]) -> Cow<'a, [f32]> {
        if self.middle.iter().all(|x| *x == 0.0) {
            return Cow::Borrowed(points);
        }
        let mut points = points.to_vec();
        for_each_chunk(&mut points, CHOSEN * self.dims, |_, points| {
            for point in points.chunks_exact_mut(self.dims) {
                point.iter_mut().zip(&self.middle).for_each(|(x, middle)| *x -= middle);
            }
        });
        Cow::Owned(points)
    }

    /// The nearest groups of some points, in no order.
    fn choose(&self, points: &[f32], chosen: &mut [u32]) {
        let n_runs = self.heads.bias.len();
        let mut scores = vec![[0.0; PANEL]; self.tile.points * n_runs];
        let mut nearest = vec![(f32::INFINITY, 0u32); self.n_probes];
        let mut rows: Vec<&[f32]> = points.chunks_exact(self.dims.max(1)).collect();
        fill_up(&mut rows, self.tile.points);
        let outs = chosen.chunks_mut(self.tile.points * self.n_probes);
        for (tile, chosen) in rows.chunks(self.tile.points).zip(outs) {
            let Panels { panels, bias } = &self.heads;
            self.scores.write(tile, self.dims, panels, bias, &mut scores);
            for (runs, chosen) in scores.chunks(n_runs).zip(chosen.chunks_mut(self.n_probes)) {
                // Where no score is a number, groups stand for themselves.
                (0..).zip(&mut nearest).for_each(|(group, it)| *it = (f32::INFINITY, group));
                keep_least(&mut nearest, &runs.as_flattened()[..self.n_groups]);
                chosen.iter_mut().zip(&nearest).for_each(|(out, (_, group))| *out = *group);
            }
        }
    }

    /// The best centroid of a group for each of the points whose places these are.
    fn compare(&self, points: &[f32], group: Group, places: &[u32], found: &mut [(f32, u32)]) {
        let dims = self.dims.max(1);
        let range = group.first_panel..group.first_panel + group.n_panels;
        let panels = &self.members.panels[range.start * PANEL * dims..range.end * PANEL * dims];
        let bias = &self.members.bias[range.clone()];
        let row = |place: &u32| {
            let at = *place as usize / self.n_probes * dims;
            &points[at..at + dims]
        };
        let mut rows: Vec<&[f32]> = places.iter().map(row).collect();
        fill_up(&mut rows, self.tile.points);
        let mut best = vec![Best::NONE; rows.len()];
        self.tile.pass_rows(&rows, dims, panels, bias, range.start as u32, &mut best);
        for (found, best) in found.iter_mut().zip(&best) {
            let number = self.numbers.get(best.centroid() as usize).copied();
            *found = (best.score(), number.unwrap_or_default());
        }
    }
}

/// Repeats the last row until tiles are full.
fn fill_up(rows: &mut Vec<&[f32]>, width: usize) {
    if let Some(last) = rows.last().copied() {
        rows.resize(rows.len().next_multiple_of(width), last);
    }
}

impl Panels {
    fn new() -> Self {
        Self { panels: Vec::new(), bias: Vec::new() }
    }

    /// Adds centroids, and fills up to whole tiles.
    fn add(
        &mut self,
        coarse: &Coarse,
        list: impl ExactSizeIterator<Item = u32>,
        middle: &[f32],
        width: usize,
    ) {
        let dims = coarse.dims.max(1);
        let list: Vec<u32> = list.collect();
        let n = list.len().div_ceil(PANEL).next_multiple_of(width);
        let first = self.bias.len();
        self.bias.resize(first + n, [f32::INFINITY; PANEL]);
        self.panels.resize((first + n) * PANEL * dims, 0.0);
        let places = self.panels[first * PANEL * dims..].chunks_mut(PANEL * dims);
        for ((list, panel), bias) in list.chunks(PANEL).zip(places).zip(&mut self.bias[first..]) {
            transpose(list.iter().map(|number| coarse.centroid(*number)), middle, PANEL, panel);
            for (bias, number) in bias.iter_mut().zip(list) {
                *bias = bias_of(coarse, coarse.centroid(*number), middle);
            }
        }
    }
}

/// Keeps the least scores with their numbers, in order.
fn keep_least(nearest: &mut [(f32, u32)], scores: &[f32]) {
    let Some(last) = nearest.len().checked_sub(1) else { return };
    for (number, score) in (0u32..).zip(scores) {
        if *score < nearest[last].0 {
            let mut at = last;
            while at > 0 && *score < nearest[at - 1].0 {
                nearest[at] = nearest[at - 1];
                at -= 1;
            }
            nearest[at] = (*score, number);
        }
    }
}

/// The centroids of the groups.
fn heads(coarse: &Coarse, n_groups: usize, job: &Job) -> Result<Vec<f32>, TrainError> {
    let dims = coarse.dims.max(1);
    let every = (coarse.nlist() / (n_groups * LOOKED_AT).max(1)).max(1);
    let spherical = coarse.metric.is_spherical();
    let params =
        KMeansParams { n_iter: ITERATIONS, ..KMeansParams::new(n_groups, dims, spherical) };
    if every == 1 {
        return kmeans_observed(coarse.centroids, &params, job, |_, _| ());
    }
    let some = coarse.centroids.chunks_exact(dims).step_by(every).flatten();
    kmeans_observed(&some.copied().collect::<Vec<f32>>(), &params, job, |_, _| ())
}

/// The nearest of very many centroids, with distances as [`Assigner`] gives them.
pub struct GroupAssigner<'a> {
    coarse: Coarse<'a>,
    groups: Groups,
    doubt: Vec<f32>,
}

impl<'a> GroupAssigner<'a> {
    /// Puts the centroids into groups and packs them, on the pool it is called in.
    pub fn new(coarse: Coarse<'a>, job: &Job) -> Result<Self, TrainError> {
        let groups = Groups::new(&coarse, job)?;
        let doubt = doubts(&coarse, &groups.middle);
        Ok(Self { coarse, groups, doubt })
    }

    /// The centroids.
    pub fn coarse(&self) -> &Coarse<'a> {
        &self.coarse
    }

    /// As [`Assigner::assign`], but a few in a hundred points get one of their nearest centroids instead of the very
    /// nearest.
    pub fn assign(&self, points: &[f32], out: &mut [u32], dist: &mut [f32], job: &Job) {
        let dims = self.coarse.dims.max(1);
        self.groups.nearest(points, out, job);
        let mut places: Vec<_> = out.chunks_mut(CHOSEN).zip(dist.chunks_mut(CHOSEN)).collect();
        for_each_chunk(&mut places, 1, |i, places| {
            let rows = points.chunks(CHOSEN * dims).nth(i).unwrap_or_default();
            for (out, dist) in places.iter_mut().take_while(|_| !job.cancelled()) {
                settle(&self.coarse, &self.doubt, rows, out, dist, job);
            }
        });
    }
}

/// Assigns many points: by groups where [`is_by_levels`] says so of the number of lists, else by comparing all.
pub enum BulkAssigner<'a> {
    /// Every centroid is compared.
    All(Assigner<'a>),
    /// Those of the nearest groups are.
    Grouped(GroupAssigner<'a>),
}

impl<'a> BulkAssigner<'a> {
    /// Packs the centroids, on the pool it is called in.
    pub fn new(coarse: Coarse<'a>, job: &Job) -> Result<Self, TrainError> {
        if is_by_levels(coarse.nlist()) {
            GroupAssigner::new(coarse, job).map(Self::Grouped)
        } else {
            Ok(Self::All(Assigner::new(coarse)))
        }
    }

    /// The centroids.
    pub fn coarse(&self) -> &Coarse<'a> {
        match self {
            Self::All(assigner) => assigner.coarse(),
            Self::Grouped(assigner) => assigner.coarse(),
        }
    }

    /// As [`Assigner::assign`] or [`GroupAssigner::assign`].
    pub fn assign(&self, points: &[f32], out: &mut [u32], dist: &mut [f32], job: &Job) {
        match self {
            Self::All(assigner) => assigner.assign(points, out, dist, job),
            Self::Grouped(assigner) => assigner.assign(points, out, dist, job),
        }
    }
}

#[cfg(test)]
mod tests;
