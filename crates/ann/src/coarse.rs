//! The coarse quantizer: which inverted lists a vector is near to.

use crate::extent::shortened;
use crate::kernels::RowKernel;
use crate::metric::Metric;
use crate::topk::Hit;

/// Rows whose distances are held on the stack at a time while one vector is assigned.
const ASSIGN_BLOCK: usize = 256;

/// Centroids beyond this size do not stay in any cache from query to query: then it pays to ask for what is
/// `AHEAD` elements ahead of the row being compared. In a cache it would double the time.
const CACHED: usize = 8 * 1024 * 1024 / size_of::<f32>();
const AHEAD: usize = 2048;

/// Bytes of the centroids that many queries are compared with at a time.
const BATCH_BYTES: usize = 16 * 1024;

/// The centroids of an inverted file. Under inner product and cosine they have norm 1 and a vector belongs to
/// the centroid of largest inner product; its own norm does not change which, so nothing is normalised.
///
/// Centroids are at most [`crate::extent::NORM_MAX`] long, and vectors are compared with them as if they were: so every
/// coarse distance is finite.
#[derive(Clone, Copy, Debug)]
pub struct Coarse<'a> {
    /// The metric of the index.
    pub metric: Metric,
    /// Elements of a centroid.
    pub dims: usize,
    /// `nlist` rows of `dims`, row-major.
    pub centroids: &'a [f32],
}

impl Coarse<'_> {
    /// How many lists there are.
    pub fn nlist(&self) -> usize {
        self.centroids.len().checked_div(self.dims).unwrap_or(0)
    }

    /// The centroid of a list; empty where there is no such list.
    pub fn centroid(&self, list_no: u32) -> &[f32] {
        let at = (list_no as usize).saturating_mul(self.dims);
        self.centroids.get(at..at.saturating_add(self.dims)).unwrap_or_default()
    }

    pub(crate) fn block_distances(&self, x: &[f32], rows: &[f32], out: &mut [f32]) {
        let kernel = self.kernel();
        if rows.len() > CACHED {
            let next: &[u8] = bytemuck::cast_slice(rows.get(AHEAD..).unwrap_or_default());
            kernel.distances_ahead(x, rows, out, next.as_ptr_range());
        } else {
            kernel.distances(x, rows, out);
        }
        self.turn(out);
    }

    fn kernel(&self) -> RowKernel<f32> {
        if self.metric.is_spherical() { RowKernel::dot() } else { RowKernel::l2_sqr() }
    }

    /// Makes distances of what the kernel computed.
    fn turn(&self, out: &mut [f32]) {
        if self.metric.is_spherical() {
            for distance in out {
                *distance = -*distance;
            }
        }
    }

    /// The list that `x` belongs to and its coarse distance: squared L2, or the negative inner product under a
    /// spherical metric. The lower number wins a tie. Without lists, or where every
    /// distance is NaN: list 0 at +∞.
    pub fn assign(&self, x: &[f32]) -> (u32, f32) {
        let x = &*shortened(x);
        let mut best = (0, f32::INFINITY);
        let mut distances = [0.0; ASSIGN_BLOCK];
        let block = self.dims.max(1).saturating_mul(ASSIGN_BLOCK);
        for (first, rows) in (0u32..).step_by(ASSIGN_BLOCK).zip(self.centroids.chunks(block)) {
            let n = rows.len() / self.dims.max(1);
            let distances = &mut distances[..n];
            self.block_distances(x, rows, distances);
            for (i, &distance) in (first..).zip(distances.iter()) {
                if distance < best.1 {
                    best = (i, distance);
                }
            }
        }
        best
    }

    /// The coarse distance of every list, in the order of the lists; smaller is nearer for every metric.
    pub fn distances(&self, q: &[f32], out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.nlist(), f32::INFINITY);
        self.block_distances(&shortened(q), self.centroids, out);
    }

    /// As `distances`, for many queries, query after query: a few centroids at a time, which stay in the first-level cache while
    /// all queries are compared with them.
    pub fn distances_of_many(&self, queries: &[&[f32]], out: &mut Vec<f32>) {
        let nlist = self.nlist();
        let shortened: Vec<_> = queries.iter().map(|query| shortened(query)).collect();
        let queries: Vec<&[f32]> = shortened.iter().map(|query| &**query).collect();
        out.clear();
        out.resize(nlist * queries.len(), f32::INFINITY);
        let some = (BATCH_BYTES / (self.dims * size_of::<f32>()).max(1)).max(1);
        let blocks = self.centroids.chunks(some.saturating_mul(self.dims).max(1));
        let (fours, others) = queries.as_chunks::<4>();
        for (first, rows) in (0..).step_by(some).zip(blocks) {
            let end = nlist.min(first + some);
            let mut rest = out.chunks_mut(nlist.max(1)).map(|out| &mut out[first..end]);
            for four in fours {
                let mut out = std::array::from_fn(|_| rest.next().unwrap_or_default());
                let each = out.each_mut().map(|out| &mut **out);
                self.kernel().distances_of_four(*four, rows, each);
                out.into_iter().for_each(|out| self.turn(out));
            }
            for (q, out) in others.iter().zip(rest) {
                self.block_distances(q, rows, out);
            }
        }
    }
}

/// The lists in order of their coarse distance, sorted only as far as they are asked for.
#[derive(Debug, Default)]
pub struct Probes {
    /// Distance in the upper half, mapped so that it sorts as an integer; list number in the lower half.
    keys: Vec<u64>,
    /// `keys[..n_sorted]` are final.
    n_sorted: usize,
}

/// Distances that are compared with a limit together.
const PICKED: usize = 16;
/// How many lists the first `get` puts in order.
const FIRST_PROBES: usize = 32;

fn key_of(distance: f32, list_no: u32) -> u64 {
    // +0 joins the zeros, and a NaN of either sign must sort last.
    let bits = if distance.is_nan() { 0x7FFF_FFFF } else { (distance + 0.0).to_bits() };
    let ordered = bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000);
    (u64::from(ordered) << 32) | u64::from(list_no)
}

fn distance_of(key: u64) -> f32 {
    let ordered = (key >> 32) as u32;
    f32::from_bits(ordered ^ if ordered >> 31 == 1 { 0x8000_0000 } else { 0xFFFF_FFFF })
}

impl Probes {
    /// No lists yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts over with one distance per list; keeps the memory.
    pub fn refill(&mut self, distances: &[f32]) {
        self.keys.clear();
        self.keys
            .extend((0u32..).zip(distances).map(|(list_no, &distance)| key_of(distance, list_no)));
        self.n_sorted = 0;
    }

    /// Starts over with the nearest lists alone, in their order: hits with the list number as id and the coarse distance as
    /// key. The others come by [`Probes::complete`].
    pub fn refill_nearest(&mut self, nearest: &[Hit]) {
        self.keys.clear();
        self.keys.extend(nearest.iter().map(|hit| key_of(hit.key as f32, hit.id as u32)));
        self.n_sorted = self.keys.len();
    }

    /// Adds the lists that [`Probes::refill_nearest`] left out, one distance per list, behind those it gave, whatever their
    /// distance.
    pub fn complete(&mut self, distances: &[f32]) {
        let mut is_known = vec![false; distances.len()];
        for key in &self.keys {
            if let Some(known) = is_known.get_mut(*key as u32 as usize) {
                *known = true;
            }
        }
        let lists = (0u32..).zip(distances).zip(is_known).filter(|(_, known)| !known);
        self.keys.extend(lists.map(|((list_no, &distance), _)| key_of(distance, list_no)));
    }

    /// Starts over with the `n` nearest lists alone, in their order, picked from one distance per list without keeping the
    /// others; [`Probes::complete`] brings these back.
    pub fn refill_first(&mut self, distances: &[f32], n: usize) {
        self.keys.clear();
        let n = n.min(distances.len());
        let mut limit = f32::INFINITY;
        for (first, some) in (0u32..).step_by(PICKED).zip(distances.chunks(PICKED)) {
            if some.iter().all(|distance| *distance > limit) {
                continue;
            }
            // NaN passes, and orders last.
            let passes = |distance: f32| distance <= limit || distance.is_nan();
            let keys = (first..).zip(some).filter(|(_, distance)| passes(**distance));
            self.keys.extend(keys.map(|(list_no, &distance)| key_of(distance, list_no)));
            if self.keys.len() >= 2 * n + PICKED && n > 0 {
                let (_, last, _) = self.keys.select_nth_unstable(n - 1);
                limit = Some(distance_of(*last)).filter(|x| !x.is_nan()).unwrap_or(f32::INFINITY);
                self.keys.truncate(n);
            }
        }
        self.keys.sort_unstable();
        self.keys.truncate(n);
        self.n_sorted = n;
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when there is no list.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Puts at least the first `n` lists in order at once; `get` does it by itself in growing steps. A scan that
    /// knows its nprobe saves the steps.
    pub fn sort_first(&mut self, n: usize) {
        let n = n.min(self.keys.len());
        if n <= self.n_sorted {
            return;
        }
        let rest = &mut self.keys[self.n_sorted..];
        let more = n - self.n_sorted;
        if more < rest.len() {
            rest.select_nth_unstable(more);
        }
        rest[..more].sort_unstable();
        self.n_sorted = n;
    }

    fn key(&mut self, i: usize) -> Option<u64> {
        if i >= self.n_sorted && i < self.keys.len() {
            self.sort_first((i + 1).max(2 * self.n_sorted).max(FIRST_PROBES));
        }
        self.keys.get(i).copied()
    }

    /// The i-th nearest list; ties by list number, NaN last. `None` past the last list.
    pub fn get(&mut self, i: usize) -> Option<u32> {
        self.key(i).map(|key| key as u32)
    }

    /// The coarse distance of the i-th nearest list.
    pub fn distance(&mut self, i: usize) -> Option<f32> {
        self.key(i).map(distance_of)
    }
}

#[cfg(test)]
mod tests {
    use super::{Coarse, Probes};
    use crate::metric::Metric;
    use crate::rng::Rng;
    use crate::topk::Hit;

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| rng.unit() - 0.5).collect()
    }

    #[test]
    fn assign_is_the_first_probe() {
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
            for (dims, nlist) in [(1, 3), (7, 1), (20, 255), (20, 256), (20, 257), (33, 1000)] {
                let centroids = random(dims * nlist, 3);
                let coarse = Coarse { metric, dims, centroids: &centroids };
                assert_eq!(coarse.nlist(), nlist);
                let x = random(dims, 4);
                let (mut distances, mut probes) = (Vec::new(), Probes::new());
                coarse.distances(&x, &mut distances);
                probes.refill(&distances);
                let (list_no, distance) = coarse.assign(&x);
                assert_eq!(probes.get(0), Some(list_no));
                assert_eq!(distance, distances[list_no as usize]);
                assert_eq!(probes.distance(0), Some(distance));
            }
        }
    }

    #[test]
    fn probes_come_in_order_however_they_are_asked() {
        let mut distances = random(1024, 9);
        distances[100] = f32::NAN;
        distances[101] = -f32::NAN;
        distances[102] = f32::INFINITY;
        (distances[7], distances[500], distances[600]) = (0.0, -0.0, distances[601]);
        let mut expected: Vec<u32> = (0..1024).collect();
        expected.sort_by(|&a, &b| {
            let (x, y) = (distances[a as usize], distances[b as usize]);
            x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan())).then(a.cmp(&b))
        });
        for asked in [vec![0, 5, 40, 41, 1023], vec![1023], (0..1024).collect()] {
            let mut probes = Probes::new();
            probes.refill(&distances);
            for i in asked {
                assert_eq!(probes.get(i), Some(expected[i]));
            }
            assert_eq!(probes.get(1024), None);
        }
    }

    #[test]
    fn lists_passed_over_come_behind_the_nearest() {
        let distances = random(100, 9);
        let hit = |id: u64| Hit { key: distances[id as usize].into(), id, at: 0 };
        let mut probes = Probes::new();
        probes.refill_nearest(&[hit(7), hit(50)]);
        assert_eq!((probes.get(1), probes.get(2), probes.len()), (Some(50), None, 2));
        probes.complete(&distances);
        let order: Vec<u32> = (0..100).map_while(|i| probes.get(i)).collect();
        assert_eq!((order.len(), &order[..2]), (100, &[7, 50][..]));
        let rest = order[2..].iter().map(|list_no| distances[*list_no as usize]);
        assert!(rest.is_sorted());
        let mut all = order.clone();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100));
    }

    #[test]
    fn many_queries_have_the_distances_of_each() {
        for metric in [Metric::L2, Metric::InnerProduct] {
            for (dims, nlist, n) in [(1, 3, 2), (20, 1000, 5), (5000, 3, 2), (7, 0, 3)] {
                let (centroids, points) = (random(dims * nlist, 3), random(dims * n, 4));
                let coarse = Coarse { metric, dims, centroids: &centroids };
                let queries: Vec<&[f32]> = points.chunks(dims).collect();
                let (mut all, mut each) = (Vec::new(), Vec::new());
                coarse.distances_of_many(&queries, &mut all);
                for (i, query) in queries.iter().enumerate() {
                    coarse.distances(query, &mut each);
                    assert_eq!(all[i * nlist..(i + 1) * nlist], each);
                }
            }
        }
    }

    #[test]
    fn the_first_lists_are_picked_and_the_others_come_back() {
        for (nlist, n) in [(100, 7), (1000, 10), (1000, 999), (17, 100), (5, 0), (0, 3)] {
            let mut distances = random(nlist, 9);
            // Few distinct ones, so that ties are common, and some that are no numbers.
            for (i, distance) in distances.iter_mut().enumerate() {
                *distance = if i % 11 == 0 { f32::NAN } else { (*distance * 30.0).round() };
            }
            let (mut all, mut few) = (Probes::new(), Probes::new());
            all.refill(&distances);
            few.refill_first(&distances, n);
            assert_eq!(few.len(), n.min(nlist));
            assert!((0..n.min(nlist)).all(|i| all.get(i) == few.get(i)));
            few.complete(&distances);
            assert!((0..nlist + 1).all(|i| all.get(i) == few.get(i)));
        }
    }

    #[test]
    fn distances_survive_the_key() {
        let distances = [-3.5, 0.0, 1e-30, f32::INFINITY];
        let mut probes = Probes::new();
        probes.refill(&distances);
        for (i, distance) in distances.into_iter().enumerate() {
            assert_eq!(probes.distance(i), Some(distance));
        }
    }

    #[test]
    fn without_lists() {
        let coarse = Coarse { metric: Metric::L2, dims: 4, centroids: &[] };
        assert_eq!(coarse.assign(&[1.0; 4]), (0, f32::INFINITY));
        assert_eq!(Probes::new().get(0), None);
    }
}
