//! A trained model as one string of bytes: what `faiss.model_parameters` stores and pg_dump carries. Nothing else knows bincode.
//!
//! ```text
//! 0  magic u32 "FAIM" · 4 version u16 · 6 reserved u16 · 8 checksum u64 of all that follows · 16 body
//! ```
//! The checksum is FNV-1a (64 bits). The body is [`Body`] as bincode writes it with [`CONFIG`]: numbers little-endian
//! and of fixed width, floats as the bytes of a byte string.

use ann::Metric;
use ann::codec::{CodeKind, FLAT};
use ann::factory::{Factory, Refine, RotationKind};
use ann::rules::MAX_NLIST;
use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bytes::{checksum, u16_at, u32_at, u64_at};
use crate::geometry::DIMS_MAX;
use crate::lists::CodeParams;

#[cfg(test)]
mod tests;

/// The most bytes of a model: the server must be able to write it in hexadecimal, which pg_dump does, within 1 GB.
pub const SIZE_MAX: usize = 480 << 20;
/// The version this build writes and reads.
pub const VERSION: u16 = 1;

const MAGIC: u32 = u32::from_le_bytes(*b"FAIM");
const HEADER: usize = 16;
const CONFIG: Configuration<LittleEndian, Fixint, Limit<SIZE_MAX>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<SIZE_MAX>();

/// Everything that training gives, and what it was trained for.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedModel {
    /// How nearness is measured; never L1.
    pub metric: Metric,
    /// Elements of a vector.
    pub dims: usize,
    /// Whether its indexes have inverted lists. Without, there is one centroid that all rows are coded against.
    pub has_lists: bool,
    /// Seed of the training.
    pub seed: u64,
    /// Rows it was trained on.
    pub trained_rows: u64,
    /// Mean error of rows it was trained on, as `Fit` defines it; 0 = not known.
    pub coarse_error: f32,
    /// As `coarse_error`, against their codes.
    pub code_error: f32,
    /// How vectors are coded; None: stored as the column has them.
    pub code: Option<CodeParams>,
    /// nlist × dims.
    pub centroids: Vec<f32>,
    /// Rotation, the code's parameters, those of stored vectors: what MODEL pages hold.
    pub params: Vec<f32>,
}

/// Why bytes are no model, or a model is not bytes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BlobError {
    /// Written by another release.
    #[error("its format version is {found}; this version of pgfaiss reads {VERSION}")]
    Version {
        /// The version.
        found: u16,
    },
    /// Not what was written.
    #[error("{0}")]
    Damaged(&'static str),
    /// More than [`SIZE_MAX`].
    #[error("it would take {bytes} bytes; a model has at most {SIZE_MAX}")]
    TooLarge {
        /// What it would take.
        bytes: usize,
    },
}

/// The numbers are those of the metapage.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    metric: u8,
    has_lists: bool,
    dims: u32,
    seed: u64,
    trained_rows: u64,
    coarse_error: f32,
    code_error: f32,
    code: u8,
    nbits: u8,
    m: u16,
    refine: u8,
    rotation: u8,
    opq_m: u16,
    normalize: bool,
    #[serde(borrow)]
    centroids: Floats<'a>,
    #[serde(borrow)]
    params: Floats<'a>,
}

/// Little-endian floats in place, wherever they lie.
struct Floats<'a>(&'a [u8]);

impl Serialize for Floats<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Floats<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Floats)
    }
}

impl Floats<'_> {
    /// None if they are not as many as they should be, or not all finite.
    fn read(&self, len: usize) -> Option<Vec<f32>> {
        let (chunks, rest) = self.0.as_chunks();
        if !rest.is_empty() || chunks.len() != len {
            return None;
        }
        let floats: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        floats.iter().all(|x| x.is_finite()).then_some(floats)
    }
}

impl TrainedModel {
    /// How many inverted lists its indexes have; 1 without lists.
    pub fn nlist(&self) -> usize {
        self.centroids.len().checked_div(self.dims).unwrap_or(0)
    }

    /// What it is, in FAISS's words.
    pub fn factory(&self) -> Factory {
        Factory {
            normalize: self.code.is_some_and(|code| code.normalize),
            rotation: self.code.map_or(RotationKind::None, |code| code.rotation),
            graph: None,
            nlist: self.has_lists.then(|| self.nlist() as u32),
            code: self.code.map(|code| code.kind),
            refine: self.code.map_or(Refine::Heap, |code| code.refine),
        }
    }

    /// The model as bytes. [`BlobError::TooLarge`] if these would be too many.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BlobError> {
        let floats = self.centroids.len() + self.params.len();
        let bytes = floats.saturating_mul(size_of::<f32>()).saturating_add(4096);
        if bytes > SIZE_MAX {
            return Err(BlobError::TooLarge { bytes });
        }
        let (code, m, nbits) = self.code.map_or((FLAT, 0, 0), |code| code.kind.to_numbers());
        let (rotation, opq_m) = self.code.map_or((0, 0), |code| code.rotation.to_numbers());
        let body = Body {
            metric: self.metric.to_u8(),
            has_lists: self.has_lists,
            dims: self.dims as u32,
            seed: self.seed,
            trained_rows: self.trained_rows,
            coarse_error: self.coarse_error,
            code_error: self.code_error,
            code,
            nbits,
            m,
            refine: self.code.map_or(0, |code| code.refine.to_u8()),
            rotation,
            opq_m,
            normalize: self.code.is_some_and(|code| code.normalize),
            centroids: Floats(bytemuck::cast_slice(&self.centroids)),
            params: Floats(bytemuck::cast_slice(&self.params)),
        };
        let body = bincode::serde::encode_to_vec(&body, CONFIG)
            .map_err(|_| BlobError::Damaged("it cannot be written"))?;
        Ok(sealed(&body))
    }

    /// The model that `to_bytes` made these bytes of. Whatever they are: a model that makes sense, or an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlobError> {
        let (header, body) = bytes
            .split_at_checked(HEADER)
            .filter(|(header, _)| u32_at(header, 0) == MAGIC)
            .ok_or(BlobError::Damaged("it does not begin like a model"))?;
        let found = u16_at(header, 4);
        if found != VERSION {
            return Err(BlobError::Version { found });
        }
        if u16_at(header, 6) != 0 || u64_at(header, 8) != checksum(body) {
            return Err(BlobError::Damaged("its checksum does not fit"));
        }
        let (decoded, len) = bincode::serde::borrow_decode_from_slice::<Body<'_>, _>(body, CONFIG)
            .map_err(|_| BlobError::Damaged("it cannot be decoded"))?;
        if len != body.len() {
            return Err(BlobError::Damaged("it has bytes left over"));
        }
        decoded.model()
    }
}

impl Body<'_> {
    fn model(&self) -> Result<TrainedModel, BlobError> {
        let bad = BlobError::Damaged;
        let metric = Metric::from_u8(self.metric).filter(|metric| metric.has_codes());
        let metric = metric.ok_or(bad("it has no metric that can be trained for"))?;
        let dims = self.dims as usize;
        if !(1..=DIMS_MAX).contains(&dims) {
            return Err(bad("its dimension is out of range"));
        }
        let code = self.code().filter(|code| code.is_none_or(|code| code.kind.fits(dims)));
        let code = code.ok_or(bad("it has no code that there is"))?;
        let nlist = self.centroids.0.len() / size_of::<f32>() / dims;
        if nlist == 0 || nlist > MAX_NLIST as usize || (!self.has_lists && nlist != 1) {
            return Err(bad("its number of lists is out of range"));
        }
        let centroids =
            self.centroids.read(nlist * dims).ok_or(bad("its centroids are damaged"))?;
        let len = code.map_or(0, |code| code.model_len(dims));
        let params = self.params.read(len).ok_or(bad("its parameters are damaged"))?;
        let (coarse_error, code_error) = (self.coarse_error, self.code_error);
        if [coarse_error, code_error].iter().any(|error| !error.is_finite() || *error < 0.0) {
            return Err(bad("its errors are no errors"));
        }
        Ok(TrainedModel {
            metric,
            dims,
            has_lists: self.has_lists,
            seed: self.seed,
            trained_rows: self.trained_rows,
            coarse_error,
            code_error,
            code,
            centroids,
            params,
        })
    }

    /// None if there is no such code.
    fn code(&self) -> Option<Option<CodeParams>> {
        if self.code == FLAT {
            return Some(None);
        }
        Some(Some(CodeParams {
            kind: CodeKind::from_numbers(self.code, self.m, self.nbits)?,
            refine: Refine::from_u8(self.refine)?,
            rotation: RotationKind::from_numbers(self.rotation, self.opq_m)?,
            normalize: self.normalize,
        }))
    }
}

/// A body behind its header.
pub(crate) fn sealed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + body.len());
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&checksum(body).to_le_bytes());
    out.extend_from_slice(body);
    out
}
