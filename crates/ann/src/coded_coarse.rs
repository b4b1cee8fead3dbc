//! The nearest lists among very many: all centroids stand by as 4-bit codes too, and only the likely ones are compared.
//!
//! Groups of centroids do not help enough: of 65,536 text embeddings in 1,024 groups, those groups that hold 40 % of them
//! have but 97 % of the 256 nearest. A fast-scan of all codes reads a sixteenth of the bytes and finds over
//! 99 %; then the best candidates are compared with the query itself.

use crate::coarse::Coarse;
use crate::codec::{self, CodeKind, Codec, CodecQuery, Coding, LANES, Space, UNIT};
use crate::extent::shortened;
use crate::kernels::prefetch;
use crate::kmeans::TrainError;
use crate::parallel::{Job, for_each_chunk};
use crate::topk::{Hit, TopK};

/// From so many lists on a coded coarse step is worth its keeping.
pub const CODED_NLIST_MIN: usize = 4096;

/// Components a sub-quantizer has at most, where the dimension has a divisor that makes it so.
const DSUB_MAX: usize = 2;
/// Candidates compared for each list wanted, and beyond.
const WIDTH: usize = 4;
const SPARE: usize = 64;
/// Candidates ahead of the one compared that are asked for: they lie anywhere in memory.
const AHEAD: usize = 4;

/// The centroids of an inverted file, coded. Holds codes alone; the centroids themselves come with each call.
#[derive(Clone, Debug)]
pub struct CodedCoarse {
    codec: Codec,
    nlist: usize,
    /// Blocks of 32 codes, one after the other.
    blocks: Vec<u8>,
}

/// What a query reuses from call to call.
#[derive(Debug)]
pub struct CodedQuery {
    codes: CodecQuery,
    nearest: TopK,
}

/// The fewest sub-quantizers that divide a dimension and have few components each.
fn kind(dims: usize) -> CodeKind {
    let enough = dims.div_ceil(DSUB_MAX);
    let m = (enough..=dims).find(|m| dims.is_multiple_of(*m)).unwrap_or(dims);
    CodeKind::PqFs { m: u16::try_from(m).unwrap_or(u16::MAX) }
}

fn space(coarse: &Coarse) -> Space {
    Space { dims: coarse.dims, metric: coarse.metric }
}

impl CodedCoarse {
    /// Trains codebooks on the centroids and codes them: for 65,536 centroids 0.15 s of one core at 128 dimensions, 0.9 s at
    /// 768. Runs on the pool it is
    /// called in; the same centroids and seed give the same codes. At least 16 lists.
    pub fn train(coarse: &Coarse, seed: u64, job: &Job) -> Result<Self, TrainError> {
        let dims = coarse.dims;
        let codec = codec::train(kind(dims), space(coarse), coarse.centroids, seed, job)?;
        let n_blocks = coarse.nlist().div_ceil(LANES);
        let mut blocks = vec![0; n_blocks * codec.units() * UNIT];
        for_each_chunk(&mut blocks, codec.units() * UNIT, |i, units| {
            let mut code = vec![0; codec.code_size()];
            let rows = coarse.centroids.chunks_exact(dims).skip(i * LANES).take(LANES);
            for (lane, row) in rows.enumerate().take_while(|_| !job.cancelled()) {
                codec.encode(row, &[], &mut code, &mut []);
                codec.pack(&code, lane, 0, units);
            }
        });
        if job.cancelled() {
            return Err(TrainError::Cancelled);
        }
        Ok(CodedCoarse { codec, nlist: coarse.nlist(), blocks })
    }

    /// A query with nothing in it.
    pub fn query(&self) -> CodedQuery {
        CodedQuery { codes: self.codec.query(), nearest: TopK::new(0) }
    }

    /// Puts the `n` lists nearest to `q` (of `coarse.dims` elements) into `out`, in order, ties by list number, with their
    /// coarse distances as [`Coarse::distances`] has them. More than 99 in 100 are the very nearest; if `n` is a quarter
    /// of all, every list is compared. A later call for more may bring a list among the first `n` that was passed
    /// over before: a scan that goes on must know which lists it has read.
    pub fn nearest(
        &self,
        coarse: &Coarse,
        q: &[f32],
        n: usize,
        query: &mut CodedQuery,
        out: &mut Vec<Hit>,
    ) {
        let q = &*shortened(q);
        let wanted = n.saturating_mul(WIDTH).saturating_add(SPARE).min(self.nlist);
        self.candidates(q, wanted, query, out);
        let row = |hit: &Hit| {
            let at = hit.id as usize * coarse.dims;
            coarse.centroids.get(at..at + coarse.dims).unwrap_or(&[])
        };
        for i in 0..out.len() {
            if let Some(soon) = out.get(i + AHEAD) {
                prefetch(bytemuck::cast_slice(row(soon)));
            }
            let mut distance = [f32::INFINITY];
            coarse.block_distances(q, row(&out[i]), &mut distance);
            out[i].key = distance[0].into();
        }
        out.sort_unstable_by(Hit::order);
        out.truncate(n);
    }

    /// The lists of smallest estimate.
    fn candidates(&self, q: &[f32], wanted: usize, query: &mut CodedQuery, out: &mut Vec<Hit>) {
        let nearest = &mut query.nearest;
        nearest.reset(wanted);
        self.codec.prepare(&mut query.codes, q);
        let mut estimates = [0.0; LANES];
        let size = self.codec.units() * UNIT;
        for (first, block) in (0..).step_by(LANES).zip(self.blocks.chunks_exact(size.max(1))) {
            let limit = nearest.threshold() as f32;
            let mut lanes = self.codec.block(&query.codes, block, &[], limit, &mut estimates);
            while lanes != 0 {
                let lane = lanes.trailing_zeros() as usize;
                lanes &= lanes - 1;
                if first + lane < self.nlist {
                    nearest.push(Hit {
                        key: estimates[lane].into(),
                        id: (first + lane) as u64,
                        at: 0,
                    });
                }
            }
        }
        nearest.sort_into(out);
    }
}

#[cfg(test)]
mod tests {
    use super::CodedCoarse;
    use crate::coarse::{Coarse, Probes};
    use crate::kmeans::{TrainError, normalize};
    use crate::metric::Metric;
    use crate::parallel::{Job, run};
    use crate::rng::Rng;
    use crate::topk::Hit;

    /// Points about a hundred centers.
    fn clouds(n: usize, dims: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(99);
        let centers: Vec<f32> = (0..100 * dims).map(|_| rng.normal()).collect();
        let mut rng = Rng::new(seed);
        let mut one = |_| {
            let at = rng.below(100) as usize * dims;
            let center = &centers[at..at + dims];
            center.iter().map(|x| x + rng.normal()).collect::<Vec<f32>>()
        };
        (0..n).flat_map(&mut one).collect()
    }

    #[test]
    fn finds_nearly_all_of_the_nearest_lists() {
        for (metric, dims) in [(Metric::L2, 24), (Metric::InnerProduct, 32), (Metric::Cosine, 17)] {
            let mut centroids = clouds(5000, dims, 1);
            if metric.is_spherical() {
                normalize(&mut centroids, dims);
            }
            let coarse = Coarse { metric, dims, centroids: &centroids };
            let coded = CodedCoarse::train(&coarse, 1, &Job::default()).unwrap();
            let (mut query, mut hits) = (coded.query(), Vec::new());
            let (mut distances, mut probes) = (Vec::new(), Probes::new());
            for n in [1, 16, 256] {
                let mut found = 0;
                for q in clouds(50, dims, 2).chunks(dims) {
                    coarse.distances(q, &mut distances);
                    probes.refill(&distances);
                    coded.nearest(&coarse, q, n, &mut query, &mut hits);
                    assert_eq!(hits.len(), n);
                    assert!(hits.is_sorted_by(|a, b| a.order(b).is_lt()));
                    let exact = |hit: &Hit| hit.key == f64::from(distances[hit.id as usize]);
                    assert!(hits.iter().all(exact));
                    let last = f64::from(probes.distance(n - 1).unwrap());
                    found += hits.iter().filter(|hit| hit.key <= last).count();
                }
                assert!(found * 100 >= 99 * 50 * n, "{metric:?} {n}: {found} of {}", 50 * n);
            }
        }
    }

    #[test]
    fn asked_for_all_it_gives_all() {
        let centroids = clouds(77, 6, 1);
        let coarse = Coarse { metric: Metric::L2, dims: 6, centroids: &centroids };
        let coded = CodedCoarse::train(&coarse, 1, &Job::default()).unwrap();
        let (mut query, mut hits) = (coded.query(), Vec::new());
        for n in [77, 1000, usize::MAX] {
            coded.nearest(&coarse, &centroids[6..12], n, &mut query, &mut hits);
            let mut seen: Vec<u64> = hits.iter().map(|hit| hit.id).collect();
            assert_eq!((hits[0].id, hits[0].key), (1, 0.0));
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..77));
        }
    }

    #[test]
    fn is_the_same_on_any_number_of_threads() {
        let centroids = clouds(1000, 10, 1);
        let coarse = Coarse { metric: Metric::L2, dims: 10, centroids: &centroids };
        let on = |n| run(n, |_| (), |job| CodedCoarse::train(&coarse, 7, job)).unwrap().unwrap();
        let (one, three) = (on(1), on(3));
        assert_eq!(one.blocks, three.blocks);
    }

    #[test]
    fn refuses_too_few_lists_and_can_be_cancelled() {
        let centroids = clouds(15, 4, 1);
        let coarse = Coarse { metric: Metric::L2, dims: 4, centroids: &centroids };
        assert!(CodedCoarse::train(&coarse, 1, &Job::default()).is_err());
        let centroids = clouds(500, 4, 1);
        let coarse = Coarse { metric: Metric::L2, dims: 4, centroids: &centroids };
        let job = Job::default();
        job.cancel();
        assert_eq!(CodedCoarse::train(&coarse, 1, &job).unwrap_err(), TrainError::Cancelled);
    }
}
