//! Every codec against what its code stands for, and against the figures that FAISS reaches on the same kinds of data.

use super::{CodeKind, Codec, Coding, LANES, Space, Sums, UNIT, train};
use crate::kmeans::TrainError;
use crate::metric::Metric;
use crate::parallel::Job;
use crate::rng::Rng;

/// Numbers in 0.0..=1.0.
fn uniform(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..n).map(|_| rng.unit()).collect()
}

fn pq(m: u16, nbits: u8) -> CodeKind {
    CodeKind::Pq { m, nbits }
}

fn trained(kind: CodeKind, metric: Metric, dims: usize, points: &[f32]) -> Codec {
    train(kind, Space { dims, metric }, points, 1, &Job::default()).unwrap()
}

/// A codec with parameters out of the air: training would take too long for many bits.
fn made_up(kind: CodeKind, metric: Metric, dims: usize) -> Codec {
    let params = uniform(kind.params_len(dims), 5);
    Codec::from_params(kind, Space { dims, metric }, params).unwrap()
}

fn encode(codec: &Codec, x: &[f32], centroid: &[f32]) -> Vec<u8> {
    let mut code = vec![0xAA; codec.code_size()];
    codec.encode(x, centroid, &mut code, &mut []);
    code
}

fn decode(codec: &Codec, code: &[u8]) -> Vec<f32> {
    match codec {
        Codec::Sq(codec) => codec.decode(code),
        Codec::Pq(codec) => codec.decode(code),
        Codec::PqFs(_) | Codec::RaBitQ(_) => unreachable!(),
    }
}

fn squared(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Kinds and dimensions that fill units in every way.
fn kinds() -> Vec<(CodeKind, usize)> {
    let mut kinds = Vec::new();
    for dims in [1, 2, 5, 18] {
        kinds.extend([CodeKind::SqFp16, CodeKind::Sq8, CodeKind::Sq4].map(|kind| (kind, dims)));
    }
    for (m, nbits) in [1, 2, 3, 6].into_iter().flat_map(|m| (4..=12).map(move |b| (m, b))) {
        kinds.push((pq(m, nbits), 2 * usize::from(m)));
    }
    kinds
}

#[test]
fn a_block_gives_back_its_codes_however_it_is_cut() {
    for (kind, dims) in kinds() {
        let codec = made_up(kind, Metric::L2, dims);
        assert_eq!((codec.units(), codec.code_size()), (kind.units(dims), kind.code_size(dims)));
        let n = codec.units();
        let rows = uniform(LANES * dims, 3);
        let codes: Vec<_> = rows.chunks(dims).map(|x| encode(&codec, x, &[])).collect();
        for cut in 0..=n {
            let mut block = vec![0x55; n * UNIT];
            for (lane, code) in codes.iter().enumerate() {
                let (head, tail) = block.split_at_mut(cut * UNIT);
                codec.pack(code, lane, cut, tail);
                codec.pack(code, lane, 0, head);
            }
            for (lane, code) in codes.iter().enumerate() {
                let mut back = vec![0; code.len()];
                codec.unpack(0, &block[..cut * UNIT], lane, &mut back);
                codec.unpack(cut, &block[cut * UNIT..], lane, &mut back);
                assert_eq!(&back, code, "{kind:?}, lane {lane}, cut at {cut}");
            }
        }
    }
}

/// The estimates of a block, its units given in pieces that end at `cuts`.
fn estimates(
    codec: &Codec,
    q: &[f32],
    list: (&[f32], f32),
    block: &[u8],
    cuts: &[usize],
) -> [f32; LANES] {
    let mut query = codec.query();
    // What an earlier query left must not matter.
    codec.prepare(&mut query, &vec![9.0; q.len()]);
    codec.enter_list(&mut query, list.0, 3.0);
    codec.prepare(&mut query, q);
    codec.enter_list(&mut query, list.0, list.1);
    let mut sums = Sums::ZERO;
    let mut from = 0;
    for &to in cuts.iter().chain([&codec.units()]) {
        codec.accumulate(&query, &mut sums, from, &block[from * UNIT..to * UNIT]);
        from = to;
    }
    let mut out = [0.0; LANES];
    codec.estimates(&query, &sums, &[], &mut out);
    out
}

fn packed(codec: &Codec, codes: &[Vec<u8>]) -> Vec<u8> {
    let mut block = vec![0; codec.units() * UNIT];
    for (lane, code) in codes.iter().enumerate() {
        codec.pack(code, lane, 0, &mut block);
    }
    block
}

#[test]
fn estimates_are_distances_to_the_decoded() {
    for (kind, dims) in kinds() {
        for (metric, lists) in [
            (Metric::L2, true),
            (Metric::L2, false),
            (Metric::InnerProduct, true),
            (Metric::Cosine, false),
        ] {
            let codec = made_up(kind, metric, dims);
            let centroid = if lists { uniform(dims, 8) } else { Vec::new() };
            let whole = if lists { centroid.clone() } else { vec![0.0; dims] };
            let (rows, q) = (uniform(LANES * dims, 3), uniform(dims, 9));
            let codes: Vec<_> = rows.chunks(dims).map(|x| encode(&codec, x, &centroid)).collect();
            let dot = |x: &[f32]| q.iter().zip(x).map(|(a, b)| a * b).sum::<f32>();
            let coarse = match (lists, metric) {
                (false, _) => 0.0,
                (true, Metric::L2) => squared(&q, &whole),
                (true, _) => -dot(&whole),
            };
            let block = packed(&codec, &codes);
            let list = (&centroid[..], coarse);
            let found = estimates(&codec, &q, list, &block, &[]);
            for (code, found) in codes.iter().zip(found) {
                let decoded: Vec<f32> =
                    decode(&codec, code).iter().zip(&whole).map(|(x, c)| x + c).collect();
                let wanted =
                    if metric == Metric::L2 { squared(&q, &decoded) } else { -dot(&decoded) };
                assert!((found - wanted).abs() < 1e-4, "{kind:?} {metric:?}: {found} {wanted}");
            }
            for cut in 0..=codec.units() {
                let next = (cut + 1).min(codec.units());
                assert_eq!(estimates(&codec, &q, list, &block, &[cut, next]), found);
            }
        }
    }
}

#[test]
fn a_scalar_code_is_at_most_half_a_step_off() {
    let dims = 7;
    let points = uniform(3000 * dims, 2);
    for (kind, steps) in [(CodeKind::Sq8, 255.0), (CodeKind::Sq4, 15.0)] {
        let codec = trained(kind, Metric::L2, dims, &points);
        let (least, ranges) = codec.params().split_at(dims);
        for x in points.chunks(dims) {
            let back = decode(&codec, &encode(&codec, x, &[]));
            for (i, (x, back)) in x.iter().zip(back).enumerate() {
                assert!((x - back).abs() <= 0.501 * ranges[i] / steps);
            }
        }
        // What lies outside the trained range gets its end.
        let (low, high) = (encode(&codec, &[-1e30; 7], &[]), encode(&codec, &[1e30; 7], &[]));
        let ends = [decode(&codec, &low), decode(&codec, &high)];
        for i in 0..dims {
            assert!((ends[0][i] - least[i]).abs() <= 0.501 * ranges[i] / steps);
            assert!((ends[1][i] - least[i] - ranges[i]).abs() <= 0.501 * ranges[i] / steps);
        }
    }
}

#[test]
fn a_component_without_range_stays_what_it_is() {
    for kind in [CodeKind::Sq8, CodeKind::Sq4] {
        let codec = trained(kind, Metric::L2, 2, &[3.0, 1.0, 3.0, 2.0]);
        assert_eq!(decode(&codec, &encode(&codec, &[3.0, 1.5], &[]))[0], 3.0);
        assert_eq!(decode(&codec, &encode(&codec, &[7.0, 1.5], &[]))[0], 3.0);
    }
}

#[test]
fn half_floats_round_ties_away_from_zero() {
    let codec = made_up(CodeKind::SqFp16, Metric::L2, 1);
    let half = |x: f32| decode(&codec, &encode(&codec, &[x], &[]))[0];
    let step = 1.0 / 1024.0;
    for (x, wanted) in [
        (1.0 + step / 2.0, 1.0 + step),
        (-1.0 - step / 2.0, -1.0 - step),
        (1.0 + step * 1.5, 1.0 + step * 2.0),
        (1.0 + step * 0.499, 1.0),
        (1.0 + step * 0.501, 1.0 + step),
        (0.0, 0.0),
        (65504.0, 65504.0),
        (2f32.powi(-25), 2f32.powi(-24)),
        (2f32.powi(-26), 0.0),
    ] {
        assert_eq!(half(x), wanted, "{x}");
    }
}

#[test]
fn a_product_quantizer_is_exact_on_its_centroids() {
    for nbits in 4..=12 {
        let (m, dims) = (3, 6);
        let codec = made_up(pq(m, nbits), Metric::L2, dims);
        let k = 1 << nbits;
        for number in [0, 1, k / 2, k - 1] {
            let centroid = |sub: usize| &codec.params()[(sub * k + number) * 2..][..2];
            let x = [centroid(0), centroid(1), centroid(2)].concat();
            assert_eq!(decode(&codec, &encode(&codec, &x, &[])), x);
        }
    }
}

#[test]
fn more_bits_reconstruct_better() {
    // FAISS's sums on the same kind of data, 3 % allowed.
    let points = uniform(2000 * 64, 4);
    for (kind, faiss) in
        [(pq(4, 8), 4402.0), (pq(4, 10), 1722.0), (pq(8, 8), 2084.0), (pq(16, 4), 2673.0)]
    {
        let codec = trained(kind, Metric::L2, 64, &points);
        let error = |x: &[f32]| squared(x, &decode(&codec, &encode(&codec, x, &[])));
        let sum: f32 = points.chunks(64).map(error).sum();
        assert!(sum < faiss * 1.03, "{kind:?}: {sum}");
    }
}

#[test]
fn parameters_make_the_codec_again() {
    for (kind, dims) in kinds() {
        let space = Space { dims, metric: Metric::L2 };
        let codec = made_up(kind, Metric::L2, dims);
        let params = codec.params().to_vec();
        let again = Codec::from_params(kind, space, params.clone()).unwrap();
        let x = uniform(dims, 6);
        assert_eq!(encode(&again, &x, &[]), encode(&codec, &x, &[]));
        assert!(Codec::from_params(kind, space, [&params[..], &[0.0]].concat()).is_none());
        if let Some((_, fewer)) = params.split_last() {
            assert!(Codec::from_params(kind, space, fewer.to_vec()).is_none());
            let broken = [fewer, &[f32::INFINITY]].concat();
            assert!(Codec::from_params(kind, space, broken).is_none());
        }
    }
}

#[test]
fn what_cannot_be_trained() {
    let space = Space { dims: 4, metric: Metric::L2 };
    let error = |kind, points: &[f32]| train(kind, space, points, 1, &Job::default()).unwrap_err();
    assert_eq!(error(CodeKind::Sq8, &[]), TrainError::TooFewPoints { points: 0, k: 1 });
    let broken = [0.0, 0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0];
    assert_eq!(error(CodeKind::Sq4, &broken), TrainError::NotFinite { row: 1 });
    let points = uniform(4 * 255, 1);
    assert_eq!(error(pq(2, 8), &points), TrainError::TooFewPoints { points: 255, k: 256 });
    for kind in [pq(3, 4), pq(0, 4), pq(2, 3), pq(2, 13), pq(2, 255)] {
        assert!(matches!(error(kind, &points), TrainError::Shape { .. }), "{kind:?}");
        assert!(Codec::from_params(kind, space, vec![0.0; kind.params_len(4)]).is_none());
    }
}
