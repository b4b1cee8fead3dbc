//! Fast-scan and RaBitQ codes against faiss-cpu: the same codes, blocks and factors byte for byte, and
//! estimates that differ by the rounding of tables alone. The levels of RaBitQ with several bits are found in another way than
//! FAISS finds them: they are compared by how well they fit.

mod rabitq;

use std::fs;
use std::path::Path;
use std::process::Command;

use ann::codec::fastscan::PqFs;
use ann::codec::{Coding, LANES, Space, UNIT};
use ann::kernels::{dot, l2_sqr};
use ann::{Metric, Rng};

const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];
const ROWS: usize = 1500;
const QUERIES: usize = 5;
const NLIST: usize = 8;

#[test]
fn l2() {
    for (dims, m) in [(32, 16), (60, 15), (129, 43)] {
        compare(Space { dims, metric: Metric::L2 }, m);
    }
}

#[test]
fn inner_product() {
    for (dims, m) in [(32, 8), (61, 61)] {
        compare(Space { dims, metric: Metric::InnerProduct }, m);
    }
}

/// Rows in clumps, so that lists differ.
fn data(n: usize, dims: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let clump = |i: usize, j: usize| ((i % 11 * 31 + j * 17) % 23) as f32 / 23.0;
    (0..n * dims).map(|at| clump(at / dims, at % dims) + rng.unit() - 0.7).collect()
}

fn compare(space: Space, m: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (x, q) = (data(ROWS, space.dims, 1), data(QUERIES, space.dims, 2));
    run_faiss(dir.path(), space, m, &x, &q);
    fast_scan(dir.path(), space, m, &x, &q);
    rabitq::signs(dir.path(), space, &x, &q);
    for nbits in rabitq::NBITS {
        rabitq::levels(dir.path(), nbits, space, &x, &q);
    }
}

fn run_faiss(dir: &Path, space: Space, m: usize, x: &[f32], q: &[f32]) {
    let python = xtask::python::environment("faiss", REQUIREMENTS).unwrap();
    for (name, values) in [("rows", x), ("queries", q)] {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        fs::write(dir.join(name), bytes).unwrap();
    }
    let out = Command::new(python.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/fastscan.py"))
        .args([dir.join("rows"), dir.join("queries")])
        .args([space.dims, m, NLIST].map(|n| n.to_string()))
        .arg(space.metric.name())
        .arg(dir)
        .args(rabitq::NBITS.map(|nbits| nbits.to_string()))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn floats(dir: &Path, name: &str) -> Vec<f32> {
    let bytes = fs::read(dir.join(name)).unwrap();
    bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

fn integers(dir: &Path, name: &str) -> Vec<usize> {
    let bytes = fs::read(dir.join(name)).unwrap();
    bytes.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four) as usize).collect()
}

/// FAISS returns inner products.
fn sign(space: Space) -> f32 {
    if space.metric == Metric::L2 { 1.0 } else { -1.0 }
}

fn fast_scan(dir: &Path, space: Space, m: usize, x: &[f32], q: &[f32]) {
    let codec = PqFs::new(m, space, floats(dir, "codebooks")).unwrap();
    let codes = fs::read(dir.join("codes")).unwrap();
    let size = codec.code_size();
    assert_eq!(codes.len(), ROWS * size);
    let mut blocks = vec![0; ROWS.div_ceil(LANES) * codec.units() * UNIT];
    let mut code = vec![0; size];
    let mut ties = 0;
    for (i, row) in x.chunks(space.dims).enumerate() {
        codec.encode(row, &[], &mut code, &mut []);
        // Two centroids equally near but for rounding: either is right.
        ties += usize::from(code != codes[i * size..][..size]);
        let block = &mut blocks[i / LANES * codec.units() * UNIT..];
        codec.pack(&codes[i * size..][..size], i % LANES, 0, &mut block[..codec.units() * UNIT]);
    }
    assert!(ties <= ROWS / 500, "{ties} codes differ");
    assert!(blocks == fs::read(dir.join("blocks")).unwrap(), "blocks differ");
    let decoded: Vec<f32> =
        codes.chunks(size).flat_map(|code| decode(&codec, space, m, code)).collect();
    let (mut query, mut out) = (codec.query(), [0.0; LANES]);
    let (mut our_error, mut their_error) = (0.0, 0.0);
    for (q, theirs) in q.chunks(space.dims).zip(floats(dir, "distances").chunks(ROWS)) {
        codec.prepare(&mut query, q);
        let exact: Vec<f32> = decoded.chunks(space.dims).map(|x| distance(space, q, x)).collect();
        for (i, units) in blocks.chunks(codec.units() * UNIT).enumerate() {
            codec.block(&query, units, &[], 0.0, &mut out);
            let exact = exact.iter().zip(theirs).skip(i * LANES);
            for (ours, (exact, theirs)) in out.iter().zip(exact) {
                our_error += (ours - exact).abs();
                their_error += (sign(space) * theirs - exact).abs();
            }
        }
    }
    let n = (QUERIES * ROWS) as f32;
    eprintln!("mean error of tables: {} ours, {} FAISS", our_error / n, their_error / n);
    assert!(our_error < 1.1 * their_error, "{our_error} {their_error}");
}

/// What a code stands for.
fn decode(codec: &PqFs, space: Space, m: usize, code: &[u8]) -> Vec<f32> {
    let dsub = space.dims / m;
    let centroid = |sub: usize| {
        let no = usize::from(code[sub / 2] >> (sub % 2 * 4) & 15);
        &codec.params()[(sub * 16 + no) * dsub..][..dsub]
    };
    (0..m).flat_map(centroid).copied().collect()
}

fn distance(space: Space, q: &[f32], x: &[f32]) -> f32 {
    if space.metric == Metric::L2 { l2_sqr(q, x) } else { -dot(q, x) }
}
