//! What the index of a file was trained to, as a model of ours: rotation, centroids, codebooks. Whether it holds vectors does not
//! matter.

mod core;

use ann::Metric;
use ann::codec::CodeKind;
use ann::factory::{Refine, RotationKind};
use ann::rules::MAX_NLIST;
use pages::blob::{SIZE_MAX, TrainedModel};
use pages::geometry::DIMS_MAX;
use pages::lists::CodeParams;

use crate::chain::Chain;
use crate::error::Error;
use crate::index::{Body, INNER_PRODUCT, Index, L2, Transform};
use crate::source::{Source, Span};

use core::Core;

/// Rows for each list from which on a training counts as one on rows enough. FAISS does not say how many it was.
const ROWS_PER_LIST: u64 = 39;
const SEED: u64 = 1234;

/// What a file gives.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The model.
    pub model: TrainedModel,
    /// Vectors that the index holds, which are left where they are.
    pub ntotal: u64,
}

/// The model of a file. `metric`: what it is wanted for, if not for what the file says; FAISS has no cosine distance, so that an
/// index of unit vectors under inner product may be either.
pub fn import(
    source: &mut dyn Source,
    index: &Index,
    metric: Option<Metric>,
) -> Result<Imported, Error> {
    let layers = Layers::of(index)?;
    let found = layers.core;
    let dims = found.header.dims;
    if index.header.dims != dims {
        let hint =
            "Transforms here keep the dimension: reduce it before the vectors go into the table.";
        return Err(refused(index, "its transforms change the dimension", hint));
    }
    if dims > DIMS_MAX {
        return Err(Error::TooLarge { what: format!("an index of {dims} dimensions") });
    }
    if !found.header.is_trained {
        return Err(refused(found, "it is not trained", "Train the index in FAISS first."));
    }
    let chain = Chain::read(source, &layers.chain, dims, SIZE_MAX as u64)?;
    let metric = metric_of(found, &chain, metric)?;
    if metric != Metric::L2 && chain.rotation.as_ref().is_some_and(|r| !r.bias.is_empty()) {
        let hint = "Under inner product only rotations without a shift have a counterpart here.";
        return Err(refused(index, "its transform shifts vectors under inner product", hint));
    }
    let mut core = Core::read(source, found, metric)?;
    let normalizes = chain.normalizes && metric == Metric::L2;
    if normalizes && core.code.is_none() {
        let hint =
            "Let the index be of METRIC_INNER_PRODUCT, which makes a model for cosine distance.";
        return Err(refused(index, "it normalises vectors for lists under L2", hint));
    }
    core.turn_back(&chain);
    let (refine, ranges) = layers.refine(source, core.code)?;
    let code = core.code.map(|kind| CodeParams {
        kind,
        refine,
        rotation: rotation_of(&chain, kind),
        normalize: normalizes,
    });
    let matrix = chain.rotation.map(|rotation| rotation.matrix).filter(|_| code.is_some());
    let params = [matrix.unwrap_or_default(), core.params, ranges].concat();
    let rows = ROWS_PER_LIST.saturating_mul((core.centroids.len() / dims) as u64);
    let model = TrainedModel {
        metric,
        dims,
        has_lists: core.has_lists,
        seed: SEED,
        trained_rows: rows.max(found.header.ntotal),
        coarse_error: 0.0,
        code_error: 0.0,
        code,
        centroids: core.centroids,
        params,
    };
    require_sound(index, &model)?;
    Ok(Imported { model, ntotal: found.header.ntotal })
}

/// What lies around the index that was trained.
struct Layers<'i> {
    core: &'i Index,
    chain: Vec<Transform>,
    /// What candidates are put in order by, and how many transforms come before.
    refine: Option<(&'i Index, usize)>,
}

impl<'i> Layers<'i> {
    fn of(mut index: &'i Index) -> Result<Self, Error> {
        let (mut chain, mut refine) = (Vec::new(), None);
        loop {
            index = match &index.body {
                Body::IdMap { inner, .. } => inner,
                Body::PreTransform { chain: steps, inner } => {
                    chain.extend_from_slice(steps);
                    inner
                }
                Body::Refine { base, refine: second } if refine.is_none() => {
                    refine = Some((&**second, chain.len()));
                    base
                }
                Body::Refine { .. } => {
                    let hint = "One refinement has a counterpart here.";
                    return Err(refused(index, "it refines what is refined", hint));
                }
                _ => return Ok(Self { core: index, chain, refine }),
            }
        }
    }

    /// The refinement of a code, and the ranges of its 8-bit vectors.
    fn refine(
        &self,
        source: &mut dyn Source,
        code: Option<CodeKind>,
    ) -> Result<(Refine, Vec<f32>), Error> {
        let Some((index, steps_before)) = self.refine.filter(|_| code.is_some()) else {
            return Ok((Refine::Heap, Vec::new()));
        };
        match &index.body {
            Body::Flat { .. } => Ok((Refine::Flat, Vec::new())),
            Body::Sq { sq, .. } if sq.kind == 4 => Ok((Refine::SqFp16, Vec::new())),
            Body::Sq { sq, .. } if sq.kind == 0 && steps_before == 0 => {
                Ok((Refine::Sq8, finite(source, index, sq.trained, "a range")?))
            }
            _ => {
                let hint = "Refinements here are Flat, SQfp16 and SQ8 of the vectors themselves.";
                Err(refused(index, "there is no counterpart of this refinement here", hint))
            }
        }
    }
}

fn metric_of(index: &Index, chain: &Chain, wanted: Option<Metric>) -> Result<Metric, Error> {
    let found = match index.header.metric {
        INNER_PRODUCT if chain.normalizes => Metric::Cosine,
        INNER_PRODUCT => Metric::InnerProduct,
        L2 => Metric::L2,
        other => {
            let hint = "Models are for METRIC_L2 and METRIC_INNER_PRODUCT.";
            return Err(refused(index, &format!("its metric has number {other}"), hint));
        }
    };
    match wanted {
        None => Ok(found),
        Some(wanted) if wanted == found => Ok(found),
        Some(Metric::Cosine) if found == Metric::InnerProduct => Ok(Metric::Cosine),
        Some(wanted) => {
            let what = format!("it is for metric {}, not {}", found.name(), wanted.name());
            let hint = "An index under inner product can be taken for cosine distance, no other for another.";
            Err(refused(index, &what, hint))
        }
    }
}

/// FAISS's file does not say what a rotation was trained for.
fn rotation_of(chain: &Chain, kind: CodeKind) -> RotationKind {
    match (&chain.rotation, kind.m()) {
        (None, _) => RotationKind::None,
        (Some(rotation), Some(m)) if !rotation.is_random => RotationKind::Opq { m },
        _ => RotationKind::Random,
    }
}

fn require_sound(index: &Index, model: &TrainedModel) -> Result<(), Error> {
    let nlist = model.nlist();
    if nlist > MAX_NLIST as usize {
        return Err(Error::TooLarge { what: format!("a model of {nlist} lists") });
    }
    let fits = model.code.is_none_or(|code| {
        code.kind.fits(model.dims) && model.params.len() == code.model_len(model.dims)
    });
    if nlist == 0 || !fits {
        let what = "its parameters make no code".into();
        return Err(Error::Damaged { code: index.code, at: index.at, what });
    }
    Ok(())
}

pub(crate) fn refused(index: &Index, what: &str, hint: &'static str) -> Error {
    Error::Unsupported { code: index.code, at: index.at, what: what.into(), hint }
}

/// Trained floats, all of them finite and no more than a model may have.
fn finite(
    source: &mut dyn Source,
    index: &Index,
    span: Span,
    what: &str,
) -> Result<Vec<f32>, Error> {
    if span.len.saturating_mul(4) > SIZE_MAX as u64 {
        return Err(Error::TooLarge { what: format!("an array of {} floats", span.len) });
    }
    let floats = span.floats(source, 0, span.len as usize)?;
    match floats.iter().position(|x| !x.is_finite()) {
        None => Ok(floats),
        Some(i) => Err(Error::Damaged {
            code: index.code,
            at: span.place(i as u64),
            what: format!("{what} is not finite"),
        }),
    }
}
