//! The index in the middle of all: its centroids, its code and what that was trained to.

use ann::Metric;
use ann::codec::{CodeKind, PQ_NBITS, RABITQ_NBITS};

use super::{finite, refused};
use crate::chain::Chain;
use crate::error::Error;
use crate::index::{Body, INNER_PRODUCT, Index, Ivf, IvfCode, Pq, RaBitQ, Sq};
use crate::source::Source;

/// How much the norms of centroids may differ, as a share, for inner product and distance to choose the same one.
const EQUAL_NORMS: f64 = 1e-3;

/// What was trained.
pub(super) struct Core {
    pub has_lists: bool,
    pub code: Option<CodeKind>,
    pub centroids: Vec<f32>,
    pub params: Vec<f32>,
}

impl Core {
    pub(super) fn read(
        source: &mut dyn Source,
        index: &Index,
        metric: Metric,
    ) -> Result<Self, Error> {
        let dims = index.header.dims;
        let without_lists = |code, params| {
            let centroids = vec![0.0; dims];
            Self { has_lists: false, code: Some(code), centroids, params }
        };
        Ok(match &index.body {
            Body::Ivf(ivf) => Self::lists(source, index, ivf, metric)?,
            Body::Flat { vectors } => {
                // Nothing is trained in it: it is what a k-means of one's own has left, the centroids.
                let centroids = finite(source, index, *vectors, "a centroid")?;
                if centroids.is_empty() {
                    let hint = "Of an IndexFlat the vectors are taken for centroids.";
                    return Err(refused(index, "it has no vectors", hint));
                }
                Self { has_lists: true, code: None, centroids, params: Vec::new() }
            }
            Body::Sq { sq, .. } => {
                let code = sq_kind(index, sq)?;
                without_lists(code, sq_params(source, index, sq)?)
            }
            Body::Pq { pq, .. } => {
                let code = pq_kind(index, pq)?;
                without_lists(code, finite(source, index, pq.centroids, "a codebook")?)
            }
            Body::PqFs { pq } => {
                let code = pqfs_kind(index, pq, false)?;
                without_lists(code, finite(source, index, pq.centroids, "a codebook")?)
            }
            Body::RaBitQ { rabitq, centre, .. } => {
                let code = Some(rabitq_kind(index, rabitq)?);
                let centroids = finite(source, index, *centre, "the centre")?;
                Self { has_lists: false, code, centroids, params: Vec::new() }
            }
            _ => {
                let hint =
                    "Its vectors can be read by faiss.read_file, and an index built on them.";
                return Err(refused(index, "a graph has nothing that is trained", hint));
            }
        })
    }

    fn lists(
        source: &mut dyn Source,
        index: &Index,
        ivf: &Ivf,
        metric: Metric,
    ) -> Result<Self, Error> {
        let centroids = centroids(source, index, ivf, metric)?;
        let (code, params) = match &ivf.code {
            IvfCode::Flat => (None, Vec::new()),
            IvfCode::Sq(sq) => {
                let kind = sq_kind(index, sq)?;
                if !ivf.by_residual {
                    let hint = "Set by_residual = true before training, as FAISS does unless told otherwise.";
                    return Err(refused(index, "its scalar codes are not of residuals", hint));
                }
                (Some(kind), sq_params(source, index, sq)?)
            }
            IvfCode::Pq(pq) => {
                let kind = if ivf.by_residual || pq.nbits != 4 {
                    pq_kind(index, pq)?
                } else {
                    pqfs_kind(index, pq, false)?
                };
                if !ivf.by_residual && pq.nbits != 4 {
                    let hint = "Set by_residual = true before training, as FAISS does unless told otherwise.";
                    return Err(refused(index, "its product codes are not of residuals", hint));
                }
                (Some(kind), finite(source, index, pq.centroids, "a codebook")?)
            }
            IvfCode::PqFs(pq) => {
                let kind = pqfs_kind(index, pq, ivf.by_residual)?;
                (Some(kind), finite(source, index, pq.centroids, "a codebook")?)
            }
            IvfCode::RaBitQ(rabitq) => (Some(rabitq_kind(index, rabitq)?), Vec::new()),
        };
        Ok(Self { has_lists: true, code, centroids, params })
    }

    /// Brings what was trained on shifted vectors back to vectors that are only turned, and without a code, which has no
    /// rotation, to vectors as they are.
    pub(super) fn turn_back(&mut self, chain: &Chain) {
        let Some(rotation) = &chain.rotation else { return };
        let dims = rotation.matrix.len().isqrt().max(1);
        let is_absolute = !self.has_lists || self.code.is_some_and(|code| !code.by_residual());
        // A row without lists is coded as it is, unless by RaBitQ: its one centroid is no centroid.
        let is_centred = self.has_lists || matches!(self.code, Some(CodeKind::RaBitQ { .. }));
        for centroid in self.centroids.chunks_exact_mut(dims).filter(|_| is_centred) {
            match self.code {
                Some(_) => rotation.unshift(centroid),
                None => rotation.undo(centroid),
            }
        }
        if rotation.bias.is_empty() || !is_absolute {
            return;
        }
        match self.code {
            Some(CodeKind::Sq8 | CodeKind::Sq4) => {
                if let Some(least) = self.params.get_mut(..dims) {
                    rotation.unshift(least);
                }
            }
            Some(CodeKind::Pq { m, .. } | CodeKind::PqFs { m }) => {
                let part = dims / usize::from(m).max(1);
                let book = self.params.len() / usize::from(m).max(1);
                let books = self.params.chunks_exact_mut(book.max(1));
                for (book, bias) in books.zip(rotation.bias.chunks(part.max(1))) {
                    for centroid in book.chunks_exact_mut(part.max(1)) {
                        centroid.iter_mut().zip(bias).for_each(|(x, b)| *x -= b);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The vectors of the coarse quantizer: as many as there are lists.
fn centroids(
    source: &mut dyn Source,
    index: &Index,
    ivf: &Ivf,
    metric: Metric,
) -> Result<Vec<f32>, Error> {
    let quantizer = &ivf.quantizer;
    let held = match &quantizer.body {
        Body::Hnsw { storage, .. } => &**storage,
        _ => quantizer,
    };
    let Body::Flat { vectors } = &held.body else {
        let hint = "Coarse quantizers that are read are IndexFlat and IndexHNSWFlat.";
        return Err(refused(
            quantizer,
            "there is no counterpart of this coarse quantizer here",
            hint,
        ));
    };
    if held.header.ntotal != ivf.nlist {
        return Err(Error::Damaged {
            code: quantizer.code,
            at: quantizer.at,
            what: format!("{} centroids for {} lists", held.header.ntotal, ivf.nlist),
        });
    }
    let centroids = finite(source, held, *vectors, "a centroid")?;
    let by_product = metric != Metric::L2;
    if by_product != (quantizer.header.metric == INNER_PRODUCT)
        && !have_equal_norms(&centroids, index.header.dims)
    {
        let hint = "Let the coarse quantizer have the metric of the index.";
        return Err(refused(
            quantizer,
            "the coarse quantizer has another metric than the index",
            hint,
        ));
    }
    Ok(centroids)
}

fn have_equal_norms(centroids: &[f32], dims: usize) -> bool {
    let norm = |row: &[f32]| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let norms = centroids.chunks_exact(dims).map(norm);
    let (least, most) = norms.fold((f64::MAX, 0.0f64), |(a, b), x| (a.min(x), b.max(x)));
    most - least <= most * EQUAL_NORMS
}

fn sq_kind(index: &Index, sq: &Sq) -> Result<CodeKind, Error> {
    match sq.kind {
        0 => Ok(CodeKind::Sq8),
        1 => Ok(CodeKind::Sq4),
        4 => Ok(CodeKind::SqFp16),
        other => {
            let what = format!("its scalar quantizer has kind {other}");
            Err(refused(index, &what, "Kinds that are read are SQ8, SQ4 and SQfp16."))
        }
    }
}

/// Of 16-bit floats nothing is trained, whatever a file has.
fn sq_params(source: &mut dyn Source, index: &Index, sq: &Sq) -> Result<Vec<f32>, Error> {
    match sq.kind {
        4 => Ok(Vec::new()),
        _ => finite(source, index, sq.trained, "a range"),
    }
}

fn pq_kind(index: &Index, pq: &Pq) -> Result<CodeKind, Error> {
    let nbits = u8::try_from(pq.nbits).ok().filter(|nbits| PQ_NBITS.contains(nbits));
    match (u16::try_from(pq.m), nbits) {
        (Ok(m), Some(nbits)) => Ok(CodeKind::Pq { m, nbits }),
        _ => {
            let what = format!("its product quantizer has {} parts of {} bits", pq.m, pq.nbits);
            Err(refused(
                index,
                &what,
                "Product quantizers here have at most 4096 parts of 4 to 12 bits.",
            ))
        }
    }
}

fn pqfs_kind(index: &Index, pq: &Pq, by_residual: bool) -> Result<CodeKind, Error> {
    if pq.nbits != 4 {
        let what = format!("codes for fast-scan of {} bits", pq.nbits);
        return Err(refused(index, &what, "Codes for fast-scan have 4 bits."));
    }
    match pq_kind(index, pq)? {
        CodeKind::Pq { m, .. } if !by_residual => Ok(CodeKind::PqFs { m }),
        other => Ok(other),
    }
}

fn rabitq_kind(index: &Index, rabitq: &RaBitQ) -> Result<CodeKind, Error> {
    match u8::try_from(rabitq.nbits) {
        Ok(nbits) if RABITQ_NBITS.contains(&nbits) => Ok(CodeKind::RaBitQ { nbits }),
        _ => {
            let what = format!("RaBitQ of {} bits", rabitq.nbits);
            Err(refused(index, &what, "RaBitQ has 1 to 8 bits here."))
        }
    }
}
