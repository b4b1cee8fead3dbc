//! RaBitQ codes against FAISS's.

use std::fs;
use std::path::Path;

use ann::Metric;
use ann::codec::rabitq::RaBitQ;
use ann::codec::{Coding, LANES, Space, UNIT};
use ann::kernels::{dot, norm_sqr};

use crate::{NLIST, ROWS, distance, floats, integers, sign};

/// With more than one bit.
pub const NBITS: [u8; 4] = [2, 3, 4, 8];

/// One bit: codes, factors and blocks are FAISS's, byte for byte.
pub fn signs(dir: &Path, space: Space, x: &[f32], q: &[f32]) {
    let codec = RaBitQ::new(1, space).unwrap();
    let (size, bare) = (codec.code_size(), codec.bare_size());
    let codes = fs::read(dir.join("rabitq_codes")).unwrap();
    assert_eq!(codes.len(), ROWS * size);
    let (centroids, assigned) = (floats(dir, "centroids"), integers(dir, "assigned"));
    let mut code = vec![0; bare];
    let mut factors = vec![[0.0; 2]; ROWS];
    for (i, row) in x.chunks(space.dims).enumerate() {
        let centroid = &centroids[assigned[i] * space.dims..][..space.dims];
        codec.encode(row, centroid, &mut code, &mut factors[i]);
        let (bits, tail) = codes[i * size..][..size].split_at(bare);
        assert_eq!(code, bits, "row {i}");
        let (theirs, ours) = (tail.as_chunks().0, codec.faiss_factors(row, centroid));
        for (theirs, ours) in theirs.iter().zip(ours) {
            let theirs = f32::from_le_bytes(*theirs);
            assert!((theirs - ours).abs() <= 1e-5 * theirs.abs().max(1.0), "{theirs} {ours}");
        }
    }
    let mut blocks = fs::read(dir.join("rabitq_blocks")).unwrap().into_iter();
    let (order, theirs) = (integers(dir, "order"), floats(dir, "rabitq_distances"));
    for list in 0..NLIST {
        let rows: Vec<usize> = order.iter().copied().filter(|&i| assigned[i] == list).collect();
        let centroid = &centroids[list * space.dims..][..space.dims];
        for rows in rows.chunks(LANES) {
            let mut units = vec![0; codec.units() * UNIT];
            let mut both = [0.0; 2 * LANES];
            for (lane, &i) in rows.iter().enumerate() {
                codec.pack(&codes[i * size..][..bare], lane, 0, &mut units);
                (both[lane], both[LANES + lane]) = (factors[i][0], factors[i][1]);
            }
            let block: Vec<u8> = blocks.by_ref().take(units.len()).collect();
            assert!(units == block, "blocks of list {list} differ");
            for (at, q) in q.chunks(space.dims).enumerate() {
                let distances = rows.iter().map(|&i| sign(space) * theirs[at * ROWS + i]);
                estimates(&codec, space, q, centroid, &units, &both, distances);
            }
        }
    }
    assert!(blocks.next().is_none());
}

fn estimates(
    codec: &RaBitQ,
    space: Space,
    q: &[f32],
    centroid: &[f32],
    units: &[u8],
    factors: &[f32],
    theirs: impl Iterator<Item = f32>,
) {
    let coarse = distance(space, q, centroid);
    let (mut query, mut out) = (codec.query(), [0.0; LANES]);
    codec.prepare(&mut query, q);
    codec.enter_list(&mut query, centroid, coarse);
    codec.block(&query, units, factors, 0.0, &mut out);
    for (ours, theirs) in out.into_iter().zip(theirs) {
        assert_near(ours, theirs);
    }
}

/// Several bits: the signs are FAISS's; the levels fit the residuals as well as FAISS's do, and FAISS's codes in our
/// blocks, with factors that follow from FAISS's, estimate FAISS's distances.
pub fn levels(dir: &Path, nbits: u8, space: Space, x: &[f32], q: &[f32]) {
    let codec = RaBitQ::new(nbits, space).unwrap();
    let (size, bare, signs) = (codec.code_size(), codec.bare_size(), space.dims.div_ceil(8));
    let codes = fs::read(dir.join(format!("rabitq{nbits}_codes"))).unwrap();
    assert_eq!(codes.len(), ROWS * size);
    let (centroids, assigned) = (floats(dir, "centroids"), integers(dir, "assigned"));
    let theirs = floats(dir, &format!("rabitq{nbits}_distances"));
    let (mut code, mut factors) = (vec![0; bare], [0.0; 2]);
    let (mut our_loss, mut their_loss, mut equal) = (0.0, 0.0, 0);
    let mut query = codec.query();
    for (i, row) in x.chunks(space.dims).enumerate() {
        let centroid = &centroids[assigned[i] * space.dims..][..space.dims];
        codec.encode(row, centroid, &mut code, &mut factors);
        let faiss = Faiss::of(&codes[i * size..][..size], signs, bare);
        assert_eq!(code[..signs], faiss.code[..signs], "row {i}");
        equal += usize::from(code == faiss.code);
        let r: Vec<f32> = row.iter().zip(centroid).map(|(x, c)| x - c).collect();
        our_loss += loss(&codec.decode(&code), &r);
        their_loss += loss(&codec.decode(&faiss.code), &r);
        let factors = faiss.factors(&codec, space, centroid);
        for (at, q) in q.chunks(space.dims).enumerate() {
            let lane = i % LANES;
            let mut units = vec![0; codec.units() * UNIT];
            codec.pack(&faiss.code, lane, 0, &mut units);
            let mut both = [0.0; 2 * LANES];
            (both[lane], both[LANES + lane]) = (factors[0], factors[1]);
            let mut out = [0.0; LANES];
            codec.prepare(&mut query, q);
            codec.enter_list(&mut query, centroid, distance(space, q, centroid));
            codec.block(&query, &units, &both, 0.0, &mut out);
            assert_near(out[lane], sign(space) * theirs[at * ROWS + i]);
        }
    }
    eprintln!(
        "{nbits} bits, {} dimensions, {:?}: {equal} of {ROWS} codes equal, mean loss {:.5} ours, {:.5} FAISS",
        space.dims,
        space.metric,
        our_loss / ROWS as f32,
        their_loss / ROWS as f32
    );
    assert!(our_loss < 1.01 * their_loss, "{nbits}: {our_loss} {their_loss}");
}

/// A code as FAISS lays it out: signs, three factors, the other bits, two factors.
struct Faiss {
    code: Vec<u8>,
    add: f32,
    rescale: f32,
}

impl Faiss {
    fn of(bytes: &[u8], signs: usize, bare: usize) -> Self {
        let code = [&bytes[..signs], &bytes[signs + 12..bare + 12]].concat();
        let float = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        Faiss { code, add: float(bare + 12), rescale: float(bare + 16) }
    }

    /// Our factors.
    fn factors(&self, codec: &RaBitQ, space: Space, centroid: &[f32]) -> [f32; 2] {
        let product = dot(centroid, &codec.decode(&self.code));
        if space.metric == Metric::L2 {
            let f1 = -0.5 * self.rescale;
            [self.add + f1 * product, f1]
        } else {
            let f1 = 0.5 * self.rescale;
            [f1 * product - self.add, f1]
        }
    }
}

/// The sine of the angle between a residual and what its code stands for.
fn loss(w: &[f32], r: &[f32]) -> f32 {
    let cosine = dot(w, r) / (norm_sqr(w) * norm_sqr(r)).sqrt();
    (1.0 - cosine * cosine).max(0.0).sqrt()
}

fn assert_near(ours: f32, theirs: f32) {
    // FAISS takes a negative squared distance for 0.
    let near = (ours - theirs).abs() < 0.05 * (1.0 + theirs.abs());
    assert!(near || (theirs == 0.0 && ours <= 0.0), "{ours} {theirs}");
}
