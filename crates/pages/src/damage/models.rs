//! Trained models as bytes, damaged: what is taken back makes sense, or is refused.

use ann::coarse::Coarse;
use ann::codec::{Coding, Space};

use crate::blob::{BlobError, TrainedModel, sealed};
use crate::lists::trained::parts;

/// Takes a model back from bytes that claim to be one and codes a vector by it. Panics if it was taken and makes no sense.
pub fn ask(bytes: &[u8]) -> Result<(), BlobError> {
    let model = TrainedModel::from_bytes(bytes)?;
    let again = model.to_bytes().and_then(|bytes| TrainedModel::from_bytes(&bytes));
    assert_eq!(again.as_ref(), Ok(&model), "a model survives the way into bytes and back");
    let TrainedModel { metric, dims, .. } = model;
    let mut x: Vec<f32> = (0..dims).map(|i| (i % 7) as f32 - 3.0).collect();
    let coarse = Coarse { metric, dims, centroids: &model.centroids };
    if let Some(code) = &model.code
        && let Some((rotation, codec, _)) =
            parts(Space { dims, metric }, code, model.params.clone())
    {
        if let Some(rotation) = rotation {
            let plain = std::mem::take(&mut x);
            rotation.apply(&plain, &mut x);
        }
        let (list_no, _) = coarse.assign(&x);
        let (mut code, mut factors) = (vec![0; codec.bare_size()], vec![0.0; codec.n_factors()]);
        codec.encode(&x, coarse.centroid(list_no), &mut code, &mut factors);
    } else {
        assert!((coarse.assign(&x).0 as usize) < model.nlist(), "a row must have a list");
    }
    drop(model.factory().to_string());
    Ok(())
}

/// The bytes of a model with this body: magic, version and checksum are right.
pub fn with_body(body: &[u8]) -> Vec<u8> {
    sealed(body)
}
