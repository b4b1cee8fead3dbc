//! Which code suits the rows of an index, measured on the sample that it is trained on: the shortest one by whose guesses a few
//! candidates for each row asked for hold the nearest rows.

use crate::assign::assign_batch;
use crate::coarse::Coarse;
use crate::codec::{self, CodeKind, Codec, Coding, LANES, Space, UNIT, take_residuals};
use crate::extent::{NORM_MAX, norm};
use crate::kernels::RowKernel;
use crate::kmeans::TrainError;
use crate::parallel::{Job, for_each_chunk};
use crate::rng::spread;
use crate::topk::{Hit, TopK};

/// Rows that ask for their neighbours.
const QUERIES: u32 = 40;
/// Nearest rows of each that are guessed at: guesses that say nothing put every other of the nearest behind the candidates.
const NEAR: usize = 160;
/// Rows asked for.
const K: usize = 10;
/// One in this many of the nearest rows may be missing among the candidates.
const ONE_LOST: usize = 50;
/// Candidates for each row asked for.
const K_FACTOR: usize = 8;
/// Rows among which the nearest are looked for, in blocks from all parts of the sample.
pub const ROWS_MAX: usize = 65_536;
const BLOCK: usize = 64;
/// Rows that a code is trained on.
const TRAINING_ROWS: u32 = 4096;
/// With fewer rows nothing is measured.
const ROWS_MIN: usize = 256;

/// The codes that are tried, the shortest first.
const CODES: [CodeKind; 3] = [SHORTEST, CodeKind::RaBitQ { nbits: 4 }, CodeKind::Sq8];
/// One bit for the sign of a component and one for its size. With signs alone the nearest rows of some sets are among 35 times as
/// many candidates, with two bits among six times as many (100-dimensional word vectors).
pub const SHORTEST: CodeKind = CodeKind::RaBitQ { nbits: 2 };

/// The code for rows like `points` in lists of these centroids; `None` if each loses too much, so that vectors should stay as they
/// are. `points` are rows as they are coded: rotated, and of norm 1 under cosine. Runs on the pool it is called in.
///
/// The rows of a sample are fewer than those of the table and their neighbours farther, so this tells codes that fail from such
/// that do; how many candidates it takes is measured on the index itself.
pub fn choose_code(
    coarse: &Coarse<'_>,
    points: &[f32],
    seed: u64,
    job: &Job,
) -> Result<Option<CodeKind>, TrainError> {
    let n = points.len() / coarse.dims.max(1);
    if n < ROWS_MIN {
        return Ok(Some(SHORTEST));
    }
    let mut asked: Vec<Asked> =
        spread(n as u32, QUERIES).map(|row| Asked::new(row as usize, coarse.dims)).collect();
    for_each_chunk(&mut asked, 1, |_, asked| {
        asked.iter_mut().filter(|_| !job.cancelled()).for_each(|asked| asked.ask(coarse, points));
    });
    for asked in &mut asked {
        let (mut lists, mut distances) = (vec![0; asked.n()], vec![0.0; asked.n()]);
        assign_batch(coarse, &asked.near, &mut lists, &mut distances, job);
        asked.lists = lists;
    }
    for kind in CODES {
        if job.cancelled() {
            return Err(TrainError::Cancelled);
        }
        let codec = trained(kind, coarse, points, seed, job)?;
        if finds_enough(&codec, coarse, &asked, points) {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

/// A row that asks for its neighbours.
struct Asked {
    row: usize,
    dims: usize,
    /// Its nearest rows, the nearest first.
    near: Vec<f32>,
    /// Their distances.
    distances: Vec<f64>,
    /// Their lists.
    lists: Vec<u32>,
}

impl Asked {
    fn new(row: usize, dims: usize) -> Self {
        Self { row, dims, near: Vec::new(), distances: Vec::new(), lists: Vec::new() }
    }

    fn n(&self) -> usize {
        self.near.len() / self.dims
    }

    fn ask(&mut self, coarse: &Coarse<'_>, points: &[f32]) {
        let Some(query) = row_of(points, self.row, self.dims) else { return };
        let every = (points.len() / self.dims).div_ceil(ROWS_MAX);
        let mut distances = [0.0; BLOCK];
        let mut nearest = TopK::new(NEAR);
        for (number, block) in points.chunks(BLOCK * self.dims).enumerate().step_by(every) {
            let n = block.len() / self.dims;
            distances_to(coarse, query, block, &mut distances[..n]);
            for (id, key) in (number * BLOCK..).zip(&distances[..n]) {
                if id != self.row {
                    nearest.push(Hit { key: f64::from(*key), id: id as u64, at: 0 });
                }
            }
        }
        let nearest = nearest.into_sorted();
        self.distances = nearest.iter().map(|hit| hit.key).collect();
        self.near = nearest
            .iter()
            .filter_map(|hit| row_of(points, hit.id as usize, self.dims))
            .flatten()
            .copied()
            .collect();
    }
}

fn row_of(points: &[f32], row: usize, dims: usize) -> Option<&[f32]> {
    points.chunks_exact(dims).nth(row)
}

/// Distances as a list's are: squared, or negative inner products.
fn distances_to(coarse: &Coarse<'_>, query: &[f32], rows: &[f32], out: &mut [f32]) {
    if coarse.metric.is_spherical() {
        RowKernel::dot().distances(query, rows, out);
        out.iter_mut().for_each(|x| *x = -*x);
    } else {
        RowKernel::l2_sqr().distances(query, rows, out);
    }
}

/// A code for rows like these, as the build would train it if it were chosen.
fn trained(
    kind: CodeKind,
    coarse: &Coarse<'_>,
    points: &[f32],
    seed: u64,
    job: &Job,
) -> Result<Codec, TrainError> {
    let (n, dims) = (points.len() / coarse.dims, coarse.dims);
    let some = if kind.training_rows() > 0 { TRAINING_ROWS } else { 0 };
    let rows = spread(n as u32, some).filter(|_| some > 0);
    let mut points: Vec<f32> =
        rows.filter_map(|row| row_of(points, row as usize, dims)).flatten().copied().collect();
    if kind.by_residual() && some > 0 {
        let n = points.len() / dims;
        let (mut lists, mut distances) = (vec![0; n], vec![0.0; n]);
        assign_batch(coarse, &points, &mut lists, &mut distances, job);
        take_residuals(coarse, &mut points, &lists);
    }
    codec::train(kind, Space { dims: coarse.dims, metric: coarse.metric }, &points, seed, job)
}

/// Whether the candidates hold the nearest rows, but for a few.
fn finds_enough(codec: &Codec, coarse: &Coarse<'_>, asked: &[Asked], points: &[f32]) -> bool {
    let (mut wanted, mut lost) = (0, 0);
    for asked in asked {
        if let Some(query) = row_of(points, asked.row, asked.dims) {
            let guessed = guesses(codec, coarse, query, asked);
            let rows = || guessed.iter().zip(&asked.distances);
            for ((guess, distance), row) in rows().zip(asked.near.chunks_exact(asked.dims)).take(K)
            {
                // Of rows that the guess takes for equal those count that are not.
                let is_before = |(other, far): &(&f32, &f64)| {
                    *other < guess || *other == guess && *far > distance
                };
                let is_candidate = rows().filter(is_before).count() < K * K_FACTOR;
                wanted += 1;
                // Codes are of shortened rows, so that they cannot tell the longest apart.
                let is_short = norm(row) < f64::from(NORM_MAX) / 2.0;
                lost += usize::from(!(is_candidate && guess.is_finite() && is_short));
            }
        }
    }
    lost * ONE_LOST <= wanted
}

/// The code's guesses of the distances to the near rows.
fn guesses(codec: &Codec, coarse: &Coarse<'_>, query: &[f32], asked: &Asked) -> Vec<f32> {
    let mut prepared = codec.query();
    codec.prepare(&mut prepared, query);
    let mut code = vec![0; codec.bare_size()];
    let mut units = vec![0; codec.units() * UNIT];
    let mut own = vec![0.0; codec.n_factors()];
    let mut factors = vec![0.0; codec.n_factors() * LANES];
    let rows = asked.near.chunks_exact(asked.dims).zip(&asked.lists);
    rows.map(|(row, list)| {
        let centroid = coarse.centroid(*list);
        let mut distance = [0.0];
        distances_to(coarse, query, centroid, &mut distance);
        codec.enter_list(&mut prepared, centroid, distance[0]);
        codec.encode(row, centroid, &mut code, &mut own);
        units.fill(0);
        codec.pack(&code, 0, 0, &mut units);
        factors.iter_mut().step_by(LANES).zip(&own).for_each(|(to, factor)| *to = *factor);
        let mut guesses = [0.0; LANES];
        codec.block(&prepared, &units, &factors, f32::INFINITY, &mut guesses);
        guesses[0]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{SHORTEST, choose_code};
    use crate::coarse::Coarse;
    use crate::codec::CodeKind;
    use crate::kmeans::{KMeansParams, kmeans};
    use crate::metric::Metric;
    use crate::parallel::Job;
    use crate::rng::Rng;
    use crate::rotation::HadamardRotation;

    const DIMS: usize = 96;

    /// The code for rows in lists, as a build chooses it.
    fn chosen(points: &[f32], metric: Metric) -> Option<CodeKind> {
        let job = Job::default();
        let mut rotated = vec![0.0; points.len()];
        HadamardRotation::random(DIMS, 1).apply_batch(points, &mut rotated, &job);
        let params = KMeansParams::new(16, DIMS, metric.is_spherical());
        let centroids = kmeans(&rotated, &params, &job).unwrap();
        let coarse = Coarse { metric, dims: DIMS, centroids: &centroids };
        choose_code(&coarse, &rotated, 1, &job).unwrap()
    }

    fn rows(n: usize, mut component: impl FnMut(&mut Rng, usize) -> f32) -> Vec<f32> {
        let mut rng = Rng::new(7);
        (0..n * DIMS).map(|i| component(&mut rng, i)).collect()
    }

    #[test]
    fn two_bits_do_for_ordinary_rows() {
        let falling = |rng: &mut Rng, i: usize| rng.normal() / (1.0 + (i % DIMS) as f32 / 8.0);
        for metric in [Metric::L2, Metric::InnerProduct] {
            assert_eq!(chosen(&rows(3000, falling), metric), Some(SHORTEST), "{metric:?}");
        }
    }

    /// All differences between rows are far below the size of what is coded: each list's rows are hardly told apart.
    #[test]
    fn rows_that_a_code_cannot_tell_apart_stay_as_they_are() {
        // Ten pairs of far ends in each of 96 directions, and a millionth of that between neighbours.
        let mut rng = Rng::new(3);
        let ends: Vec<f32> = (0..40 * DIMS).map(|_| rng.normal() * 1e4).collect();
        let far = rows(4000, |rng, i| {
            let (row, at) = (i / DIMS, i % DIMS);
            ends[(row % 40) * DIMS + at] + rng.normal() * 1e-2
        });
        assert_eq!(chosen(&far, Metric::L2), None);
    }

    /// Products of so small rows are below what a guess can be: all guesses are zero.
    #[test]
    fn guesses_that_are_all_equal_say_nothing() {
        let tiny = rows(3000, |rng, _| rng.normal() * 1e-17);
        assert_eq!(chosen(&tiny, Metric::InnerProduct), None);
        let equal = rows(3000, |_, i| [1.0, -1.0, 0.5][i % 3]);
        assert_eq!(chosen(&equal, Metric::L2), Some(SHORTEST));
    }

    #[test]
    fn rows_that_codes_shorten_stay_as_they_are() {
        let long = rows(3000, |rng, i| {
            rng.normal() * if (i / DIMS).is_multiple_of(10) { 1e18 } else { 1.0 }
        });
        assert_eq!(chosen(&long, Metric::InnerProduct), None);
    }

    #[test]
    fn few_rows_are_not_measured() {
        assert_eq!(chosen(&rows(100, |rng, _| rng.normal()), Metric::L2), Some(SHORTEST));
    }
}
