//! What a lossy code was trained to: its parameters as they stand in MODEL pages, and what they make.

use ann::codec::{CodeKind, Codec, Space, Stored};
use ann::factory::{Refine, RotationKind};
use ann::rotation::Rotation;

use crate::error::Error;
use crate::lists::InvertedLists;
use crate::model;
use crate::store::Pages;

/// What a lossy code is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeParams {
    /// The code.
    pub kind: CodeKind,
    /// Where exact distances come from.
    pub refine: Refine,
    /// What is done to vectors before everything else.
    pub rotation: RotationKind,
    /// Whether they are divided by their norm first (always under cosine).
    pub normalize: bool,
}

impl CodeParams {
    /// Floats that training gives: the rotation's, the code's parameters, those of 8-bit vectors for `refine`.
    pub fn model_len(&self, dims: usize) -> usize {
        let refine = match self.refine {
            Refine::Sq8 => CodeKind::Sq8.params_len(dims),
            _ => 0,
        };
        self.rotation.params_len(dims) + self.kind.params_len(dims) + refine
    }
}

/// A trained code.
#[derive(Debug)]
pub struct TrainedCode {
    /// What it is made of.
    pub params: CodeParams,
    /// The code.
    pub codec: Codec,
    /// How vectors are stored beside their codes.
    pub stored: Stored,
    /// What is done to vectors before they are coded.
    pub rotation: Option<Rotation>,
}

impl TrainedCode {
    /// Reads the MODEL pages of lists; None where vectors are stored as they are.
    pub fn read<P: Pages>(pages: &P, lists: &InvertedLists) -> Result<Option<Self>, Error> {
        let Some(params) = lists.params.code else { return Ok(None) };
        let floats = model::read(pages, lists.model_first, lists.model_len())?;
        let made = parts(lists.params.space(), &params, floats).ok_or_else(|| {
            Error::corrupted(lists.model_first, "trained parameters make no code")
        })?;
        let (rotation, codec, stored) = made;
        Ok(Some(Self { params, codec, stored, rotation }))
    }
}

/// The rotation, the code and how vectors are stored, as [`CodeParams::model_len`] floats have them; None if they make none.
pub fn parts(
    space: Space,
    params: &CodeParams,
    mut floats: Vec<f32>,
) -> Option<(Option<Rotation>, Codec, Stored)> {
    let dims = space.dims;
    if floats.len() != params.model_len(dims) {
        return None;
    }
    let rotation = match params.rotation {
        RotationKind::None => None,
        _ => {
            let rest = floats.split_off(params.rotation.params_len(dims));
            let rotation = std::mem::replace(&mut floats, rest);
            Some(Rotation::from_params(params.rotation, dims, rotation)?)
        }
    };
    let stored = floats.split_off(params.kind.params_len(dims).min(floats.len()));
    let stored = Stored::from_params(params.refine, dims, stored)?;
    Some((rotation, Codec::from_params(params.kind, space, floats)?, stored))
}
