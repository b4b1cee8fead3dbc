//! Lossy codes: whole blocks scanned as an index scan does it, with sums, estimates and the mask of what is near
//! enough, against a plain loop over the uncompressed vectors.

use super::{CACHE_BYTES, Effort, Kernel, Measurement, plain_l2, time};
use ann::codec::{CodeKind, Codec, Coding, LANES, Space, UNIT};
use ann::{Metric, Rng};
use anyhow::{Context, Result};
use std::hint::black_box;

/// The codes of vectors of `dims` components that are measured, by their names in FAISS.
fn kinds(dims: usize) -> Vec<(String, CodeKind)> {
    let mut kinds = vec![
        ("SQfp16".to_owned(), CodeKind::SqFp16),
        ("SQ8".to_owned(), CodeKind::Sq8),
        ("SQ4".to_owned(), CodeKind::Sq4),
        ("RaBitQ".to_owned(), CodeKind::RaBitQ { nbits: 1 }),
        ("RaBitQ4".to_owned(), CodeKind::RaBitQ { nbits: 4 }),
    ];
    let m = (dims / 8) as u16;
    if dims.is_multiple_of(8) {
        kinds.push((format!("PQ{m}"), CodeKind::Pq { m, nbits: 8 }));
    }
    let m = (dims / 2) as u16;
    kinds.push((format!("PQ{m}x4fs"), CodeKind::PqFs { m }));
    kinds
}

pub fn measure(effort: Effort, emit: &mut dyn FnMut(Measurement) -> Result<()>) -> Result<()> {
    for &dims in effort.dims {
        let query: Vec<f32> = (0..dims).map(|i| i as f32 / dims as f32).collect();
        let n = (CACHE_BYTES / 4 / dims).max(1);
        let (rows, mut out) = (vec![0.5; n * dims], vec![0.0; n]);
        let plain_ns = time(effort, n, || plain_l2(&query, black_box(&rows), &mut out));
        for (name, kind) in kinds(dims) {
            let codec = codec(kind, dims).with_context(|| format!("no {name} in {dims}-d"))?;
            for (place, bytes) in [("cache", CACHE_BYTES), ("memory", effort.memory_bytes)] {
                let ns = scan(effort, &codec, &query, bytes / kind.code_size(dims) / LANES);
                emit(Measurement::Kernel(Kernel {
                    kernel: kernel_name(kind).to_owned(),
                    element: name.clone(),
                    dims,
                    place: place.to_owned(),
                    ns_per_vector: ns,
                    plain_ns_per_vector: plain_ns,
                    gb_per_s: kind.code_size(dims) as f64 / ns,
                }))?;
            }
        }
    }
    Ok(())
}

/// What curves over dimensions are called: the name of a product quantizer changes with them.
fn kernel_name(kind: CodeKind) -> &'static str {
    match kind {
        CodeKind::Pq { .. } => "codes PQ(d/8)",
        CodeKind::PqFs { .. } => "codes PQ(d/2)x4fs",
        CodeKind::RaBitQ { nbits: 1 } => "codes RaBitQ",
        CodeKind::RaBitQ { .. } => "codes RaBitQ4",
        CodeKind::SqFp16 => "codes SQfp16",
        CodeKind::Sq8 => "codes SQ8",
        CodeKind::Sq4 => "codes SQ4",
    }
}

/// A codec whose parameters are numbers at random: its speed does not depend on them.
fn codec(kind: CodeKind, dims: usize) -> Option<Codec> {
    let mut rng = Rng::new(1);
    let params = (0..kind.params_len(dims)).map(|_| rng.unit()).collect();
    Codec::from_params(kind, Space { dims, metric: Metric::L2 }, params)
}

/// Nanoseconds for each vector of a scan of `n_blocks` blocks, at least one.
fn scan(effort: Effort, codec: &Codec, q: &[f32], n_blocks: usize) -> f64 {
    let n_blocks = n_blocks.max(1);
    let (units, width) = (codec.units() * UNIT, codec.n_factors() * LANES);
    let bytes: Vec<u8> = (0..n_blocks * units).map(|i| ((i * 7919) >> 3) as u8).collect();
    let factors = vec![0.5f32; n_blocks * width];
    let mut query = codec.query();
    codec.prepare(&mut query, q);
    codec.enter_list(&mut query, &[], 0.0);
    time(effort, n_blocks * LANES, || {
        let (mut near, mut out) = (0, [0.0; LANES]);
        for (i, units) in black_box(&bytes).chunks_exact(units).enumerate() {
            let factors = &factors[i * width..][..width];
            near += codec.block(&query, units, factors, f32::MIN, &mut out).count_ones();
        }
        black_box(near);
    })
}
