//! Models survive the way into bytes and back; nothing else is taken for one.

use ann::Metric;
use ann::codec::CodeKind;
use ann::factory::{Refine, RotationKind};
use ann::rng::Rng;

use super::{BlobError, HEADER, TrainedModel, checksum};
use crate::damage::models::ask;
use crate::lists::CodeParams;

fn model(metric: Metric, nlist: Option<usize>, code: Option<CodeParams>) -> TrainedModel {
    let (dims, mut rng) = (12, Rng::new(7));
    let mut floats = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.normal()).collect() };
    TrainedModel {
        metric,
        dims,
        has_lists: nlist.is_some(),
        seed: 1234,
        trained_rows: 5000,
        coarse_error: 1.5,
        code_error: 0.0,
        code,
        centroids: floats(nlist.unwrap_or(1) * dims),
        params: floats(code.map_or(0, |code| code.model_len(dims))),
    }
}

fn code(kind: CodeKind, refine: Refine, rotation: RotationKind) -> Option<CodeParams> {
    Some(CodeParams { kind, refine, rotation, normalize: false })
}

fn models() -> Vec<TrainedModel> {
    let (heap, none) = (Refine::Heap, RotationKind::None);
    vec![
        model(Metric::L2, Some(3), None),
        model(Metric::InnerProduct, Some(1), code(CodeKind::Sq8, Refine::Sq8, none)),
        model(Metric::Cosine, Some(5), code(CodeKind::PqFs { m: 6 }, Refine::Flat, none)),
        model(Metric::L2, None, code(CodeKind::Pq { m: 4, nbits: 5 }, heap, RotationKind::Random)),
        model(
            Metric::L2,
            Some(2),
            code(CodeKind::RaBitQ { nbits: 4 }, heap, RotationKind::Opq { m: 3 }),
        ),
        model(Metric::Cosine, None, code(CodeKind::SqFp16, Refine::SqFp16, none)),
    ]
}

/// Bytes with a right checksum, so that what lies behind it is looked at.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((header, body)) = bytes.split_at_mut_checked(HEADER) {
        header[8..].copy_from_slice(&checksum(body).to_le_bytes());
    }
    bytes
}

#[test]
fn models_come_back_whole() {
    for model in models() {
        let bytes = model.to_bytes().unwrap();
        assert_eq!(TrainedModel::from_bytes(&bytes).unwrap(), model);
        assert_eq!(bytes, model.to_bytes().unwrap());
    }
    let shown: Vec<String> = models().iter().map(|model| model.factory().to_string()).collect();
    assert_eq!(shown[0], "IVF3,Flat");
    assert_eq!(shown[3], "RR,PQ4x5");
}

/// A release must read what every earlier one with the same version wrote.
#[test]
fn the_bytes_are_these_for_good() {
    let mut model = model(Metric::Cosine, Some(1), None);
    (model.dims, model.centroids) = (2, vec![1.0, -2.0]);
    let bytes = model.to_bytes().unwrap();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let header = "4641494d01000000";
    let errors = "0000c03f00000000";
    let code = "000000000000000000";
    let floats = "08000000000000000000803f000000c00000000000000000";
    let body = format!("020102000000d2040000000000008813000000000000{errors}{code}{floats}");
    assert_eq!(&text[..16], header);
    assert_eq!(&text[32..], body);
    assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
}

#[test]
fn no_changed_or_missing_byte_goes_unnoticed() {
    for model in models() {
        let bytes = model.to_bytes().unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(TrainedModel::from_bytes(&flipped).is_err(), "byte {at}");
            assert!(TrainedModel::from_bytes(&bytes[..at]).is_err(), "{at} bytes");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(TrainedModel::from_bytes(&longer).is_err());
        let error = TrainedModel::from_bytes(&signed(longer)).unwrap_err();
        assert_eq!(error, BlobError::Damaged("it has bytes left over"));
    }
}

/// Whoever can write the table can also compute a checksum.
#[test]
fn bytes_with_a_right_checksum_make_sense_or_an_error() {
    let mut rng = Rng::new(11);
    for model in models() {
        let bytes = model.to_bytes().unwrap();
        for _ in 0..4000 {
            let mut changed = bytes.clone();
            for _ in 0..=rng.below(3) {
                let at = HEADER + rng.below((changed.len().min(100) - HEADER) as u32) as usize;
                changed[at] = rng.below(256) as u8;
            }
            if rng.below(4) == 0 {
                changed.truncate(rng.below(changed.len() as u32) as usize);
            }
            let changed = signed(changed);
            drop(ask(&changed));
            if let Ok(model) = TrainedModel::from_bytes(&changed) {
                let nlist = model.nlist();
                assert!(nlist > 0 && nlist * model.dims == model.centroids.len());
                let len = model.code.map_or(0, |code| code.model_len(model.dims));
                assert_eq!(model.params.len(), len);
                assert!(model.centroids.iter().chain(&model.params).all(|x| x.is_finite()));
            }
        }
    }
    for len in 0..300 {
        let noise: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
        assert!(TrainedModel::from_bytes(&noise).is_err());
        let begun = [&models()[0].to_bytes().unwrap()[..HEADER], &noise].concat();
        assert!(TrainedModel::from_bytes(&signed(begun)).is_err());
    }
}

#[test]
fn other_versions_and_too_many_bytes_are_refused() {
    let mut bytes = models()[0].to_bytes().unwrap();
    bytes[4] = 2;
    assert_eq!(TrainedModel::from_bytes(&bytes), Err(BlobError::Version { found: 2 }));
    // A length that no memory has room for is refused before any is asked for.
    let mut bytes = models()[0].to_bytes().unwrap();
    let at = bytes.len() - 8 - 3 * 12 * 4 - 8;
    bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(TrainedModel::from_bytes(&signed(bytes)).is_err());
}
