//! Scalar and product codes against faiss-cpu: the same bytes from the same parameters, and training that is as good.

use std::fs;
use std::path::Path;
use std::process::Command;

use ann::codec::pq::Pq;
use ann::codec::{CodeKind, Codec, Coding, Space, train};
use ann::{Job, Metric, Rng};

const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];
const ROWS: usize = 6000;

#[test]
fn scalar_codes() {
    // The odd dimension leaves half of a 4-bit code's last byte empty.
    compare(
        33,
        &[
            ("SQfp16", CodeKind::SqFp16),
            ("SQ8", CodeKind::Sq8),
            ("SQ4", CodeKind::Sq4),
            ("IVF8,SQfp16", CodeKind::SqFp16),
            ("IVF8,SQ8", CodeKind::Sq8),
            ("IVF8,SQ4", CodeKind::Sq4),
        ],
    );
}

#[test]
fn product_codes() {
    let pq = |m, nbits| CodeKind::Pq { m, nbits };
    compare(
        36,
        &[
            ("PQ9x4np", pq(9, 4)),
            ("PQ6x5np", pq(6, 5)),
            ("PQ18x8np", pq(18, 8)),
            ("PQ9x10np", pq(9, 10)),
            ("IVF8,PQ4x4np", pq(4, 4)),
            ("IVF8,PQ9x5np", pq(9, 5)),
            ("IVF8,PQ3x8np", pq(3, 8)),
            ("IVF8,PQ4x10np", pq(4, 10)),
        ],
    );
}

/// Rows in clumps, with halves that no 16-bit float can hold among them.
fn data(dims: usize) -> Vec<f32> {
    let mut rng = Rng::new(1);
    let clump = |i: usize, j: usize| ((i % 11 * 31 + j * 17) % 23) as f32 / 23.0;
    let value = |at| match clump(at / dims, at % dims) + rng.unit() - 0.7 {
        x if at % 7 == 0 => (x * 4096.0).round() / 4096.0,
        x => x,
    };
    (0..ROWS * dims).map(value).collect()
}

fn compare(dims: usize, cases: &[(&str, CodeKind)]) {
    let dir = tempfile::tempdir().unwrap();
    let x = data(dims);
    let bytes: Vec<u8> = x.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(dir.path().join("rows"), bytes).unwrap();
    let python = xtask::python::environment("faiss", REQUIREMENTS).unwrap();
    let out = Command::new(python.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/quantizers.py"))
        .arg(dir.path().join("rows"))
        .arg(dims.to_string())
        .arg(dir.path())
        .args(cases.iter().map(|(factory, _)| factory))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for (factory, kind) in cases {
        case(factory, *kind, dims, &x, &dir.path().join(factory.replace(',', "")));
    }
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

fn case(factory: &str, kind: CodeKind, dims: usize, x: &[f32], dir: &Path) {
    let space = Space { dims, metric: Metric::L2 };
    let theirs = floats(&dir.join("params"));
    let codec = Codec::from_params(kind, space, theirs.clone()).unwrap();
    let residuals = residuals(dims, x, dir);
    let codes = fs::read(dir.join("codes")).unwrap();
    // FAISS stores whole bytes; a code of an inverted list is as long.
    assert_eq!(codes.len(), ROWS * codec.code_size(), "{factory}");
    let mut code = vec![0; codec.code_size()];
    let mut differ = 0;
    for (row, theirs) in residuals.chunks(dims).zip(codes.chunks(codec.code_size())) {
        codec.encode(row, &[], &mut code, &mut []);
        differ += usize::from(code != theirs);
    }
    // Two centroids equally near but for the rounding of sums: either is right.
    let ties = if theirs.len() > 2 * dims { ROWS / 1000 } else { 0 };
    assert!(differ <= ties, "{factory}: {differ} codes differ");

    let ours = train(kind, space, &residuals, 1234, &Job::default()).unwrap();
    match (&ours, &codec) {
        (Codec::Pq(ours), Codec::Pq(theirs)) => {
            let (ours, theirs) = (lost(ours, &residuals, dims), lost(theirs, &residuals, dims));
            println!("{factory}: squared error {ours:.1}, FAISS {theirs:.1}, {differ} ties");
            assert!(ours < theirs * 1.01, "{factory}: {ours} {theirs}");
        }
        _ => assert_eq!(ours.params(), theirs, "{factory}"),
    }
}

/// The sum of squared differences of rows from what their codes stand for.
fn lost(codec: &Pq, rows: &[f32], dims: usize) -> f64 {
    let mut code = vec![0; codec.code_size()];
    let mut sum = 0.0;
    for row in rows.chunks(dims) {
        codec.encode(row, &[], &mut code, &mut []);
        let pairs = row.iter().zip(codec.decode(&code));
        sum += pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    }
    sum
}

/// What is coded: the rows, less their lists' centroids where there are lists.
fn residuals(dims: usize, x: &[f32], dir: &Path) -> Vec<f32> {
    let Ok(assigned) = fs::read(dir.join("assigned")) else { return x.to_vec() };
    let centroids = floats(&dir.join("centroids"));
    let lists = assigned.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four) as usize);
    let centroid = |list| &centroids[list * dims..][..dims];
    let rows = x.chunks(dims).zip(lists);
    rows.flat_map(|(x, list)| x.iter().zip(centroid(list)).map(|(x, c)| x - c)).collect()
}
