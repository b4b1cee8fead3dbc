//! Models to files and back, and files that are not what they say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is what a test is for")]

use ann::Metric;
use ann::codec::CodeKind;
use ann::factory::{Refine, RotationKind};
use ann::parallel::Job;
use ann::rng::Rng;
use ann::rotation::RotationMatrix;
use pages::blob::TrainedModel;
use pages::lists::CodeParams;

use crate::write::{Head, Writer};
use crate::{Decode, Error, Plan, each_row, import, model_file, read};

const DIMS: usize = 24;
const NLIST: usize = 5;

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..n).map(|_| rng.normal()).collect()
}

fn model(
    metric: Metric,
    has_lists: bool,
    kind: Option<CodeKind>,
    refine: Refine,
    rotation: RotationKind,
) -> TrainedModel {
    let code = kind.map(|kind| CodeParams { kind, refine, rotation, normalize: false });
    let is_rabitq = matches!(kind, Some(CodeKind::RaBitQ { .. }));
    let centroids = match has_lists {
        true => noise(NLIST * DIMS, 1),
        false if is_rabitq => noise(DIMS, 2),
        false => vec![0.0; DIMS],
    };
    let mut params = noise(code.map_or(0, |code| code.model_len(DIMS)), 3);
    if code.is_some_and(|code| code.rotation != RotationKind::None) {
        let turned = RotationMatrix::random(DIMS, 4, &Job::default()).unwrap();
        params[..DIMS * DIMS].copy_from_slice(turned.matrix());
    }
    let trained_rows = if has_lists { 39 * NLIST as u64 } else { 39 };
    let (coarse_error, code_error, seed) = (0.0, 0.0, 1234);
    TrainedModel {
        metric,
        dims: DIMS,
        has_lists,
        seed,
        trained_rows,
        coarse_error,
        code_error,
        code,
        centroids,
        params,
    }
}

const KINDS: [CodeKind; 9] = [
    CodeKind::SqFp16,
    CodeKind::Sq8,
    CodeKind::Sq4,
    CodeKind::Pq { m: 6, nbits: 8 },
    CodeKind::Pq { m: 8, nbits: 5 },
    CodeKind::PqFs { m: 3 },
    CodeKind::PqFs { m: 12 },
    CodeKind::RaBitQ { nbits: 1 },
    CodeKind::RaBitQ { nbits: 4 },
];

/// A model of every kind.
fn models() -> Vec<TrainedModel> {
    let mut all = vec![
        model(Metric::L2, true, None, Refine::Heap, RotationKind::None),
        model(Metric::Cosine, true, None, Refine::Heap, RotationKind::None),
    ];
    let metrics = [Metric::L2, Metric::InnerProduct, Metric::Cosine];
    for (i, kind) in KINDS.into_iter().enumerate() {
        for has_lists in [true, false] {
            for (j, metric) in metrics.into_iter().enumerate() {
                let rotation = match (i + j) % 3 {
                    0 => RotationKind::None,
                    1 => RotationKind::Random,
                    _ => kind.m().map_or(RotationKind::Random, |m| RotationKind::Opq { m }),
                };
                for refine in Refine::ALL {
                    if metric != Metric::Cosine || refine != Refine::Sq8 {
                        all.push(model(metric, has_lists, Some(kind), refine, rotation));
                    }
                }
            }
        }
    }
    all
}

#[test]
fn a_model_comes_back_from_its_file() {
    for model in models() {
        let (bytes, is_lost) = model_file(&model);
        assert!(!is_lost);
        let index = read(&mut &bytes[..]).unwrap();
        let again = import(&mut &bytes[..], &index, None).unwrap();
        assert_eq!(again.model, model, "{}", model.factory());
        assert_eq!(again.ntotal, 0);
        TrainedModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
    }
}

#[test]
fn a_refinement_that_faiss_cannot_have_is_left_out() {
    let kind = Some(CodeKind::Sq4);
    let model = model(Metric::Cosine, true, kind, Refine::Sq8, RotationKind::None);
    let (bytes, is_lost) = model_file(&model);
    let index = read(&mut &bytes[..]).unwrap();
    let again = import(&mut &bytes[..], &index, None).unwrap().model;
    assert!(is_lost && again.code.unwrap().refine == Refine::Heap);
}

#[test]
fn a_file_cut_anywhere_is_an_error_that_says_where() {
    for model in models().into_iter().step_by(7) {
        let (bytes, _) = model_file(&model);
        for len in (0..bytes.len()).filter(|len| len % 13 == 0 || *len < 300) {
            match read(&mut &bytes[..len]) {
                Err(Error::Damaged { at, .. }) => assert!(at <= len as u64, "{at} of {len}"),
                other => panic!("{len} of {} bytes: {other:?}", bytes.len()),
            }
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(read(&mut &longer[..]), Err(Error::Damaged { .. })));
    }
}

#[test]
fn no_single_byte_makes_a_file_dangerous() {
    for model in models().into_iter().step_by(11) {
        let (bytes, _) = model_file(&model);
        for at in 0..bytes.len().min(600) {
            for byte in [0, 1, 0x7F, 0xFF] {
                let mut changed = bytes.clone();
                changed[at] = byte;
                let Ok(index) = read(&mut &changed[..]) else { continue };
                if let Ok(found) = import(&mut &changed[..], &index, None) {
                    TrainedModel::from_bytes(&found.model.to_bytes().unwrap()).unwrap();
                }
                let _ = each_row(&mut &changed[..], &index, Decode::Lossy, &mut |_, _| Ok(()));
            }
        }
    }
}

#[test]
fn a_claim_of_a_terabyte_takes_nothing() {
    let mut out = Writer::new();
    out.flat(&Head { dims: 1 << 10, ntotal: 1 << 28, metric: 1 });
    let bytes = out.into_bytes();
    let error = read(&mut &bytes[..]).unwrap_err();
    let text = "\"IxF2\", byte 37: the array of vectors would take 1099511627776 bytes, and the file has 0 more";
    assert_eq!(error.to_string(), text);
}

#[test]
fn strangers_are_told_apart() {
    for (bytes, is_faiss) in
        [(&b"IxLa............"[..], true), (b"\x7FELF", false), (b"IwFx", true)]
    {
        match read(&mut &bytes[..]) {
            Err(Error::Unsupported { at: 0, .. }) => assert!(is_faiss, "{bytes:?}"),
            Err(Error::Damaged { at: 0, .. }) => assert!(!is_faiss, "{bytes:?}"),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
}

#[test]
fn rows_of_lists_come_with_their_ids() {
    let model = model(Metric::L2, true, None, Refine::Heap, RotationKind::None);
    let plan = Plan {
        metric: Metric::L2,
        dims: DIMS,
        has_lists: true,
        code: None,
        normalizes: false,
        rotation: None,
        nprobe: 1,
        centroids: &model.centroids,
        params: &[],
    };
    let sizes = [2, 0, 0, 1, 3];
    let mut bytes = plan.before_codes(6, &sizes);
    let vectors = noise(6 * DIMS, 7);
    let (mut next, mut expected) = (0, Vec::new());
    for n in sizes {
        let rows = &vectors[next * DIMS..][..n as usize * DIMS];
        bytes.extend(rows.iter().flat_map(|x| x.to_le_bytes()));
        for row in rows.chunks(DIMS) {
            let id = 1000 - next as i64;
            bytes.extend(id.to_le_bytes());
            expected.push((id, row.to_vec()));
            next += 1;
        }
    }
    let index = read(&mut &bytes[..]).unwrap();
    let mut found = Vec::new();
    each_row(&mut &bytes[..], &index, Decode::Never, &mut |id, row| {
        found.push((id, row.to_vec()));
        Ok(())
    })
    .unwrap();
    assert_eq!(found, expected);
    assert_eq!(import(&mut &bytes[..], &index, None).unwrap().ntotal, 6);
}
