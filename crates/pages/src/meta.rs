//! META, block 0: what the index is. Written last by the build and never changed afterwards, so
//! that everybody may keep a copy for as long as the relation's file lives.

use ann::codec::{CodeKind, FLAT};
use ann::element::{Bits, Element};
use ann::factory::{Refine, RotationKind};
use ann::metric::Metric;

use crate::bytes::{f32_at, put, put_u16, put_u32, u16_at, u32_at, u64_at};
use crate::coded::directory as coded_directory;
use crate::coded::layout::CodeLayout;
use crate::coded::model;
use crate::error::Error;
use crate::geometry::Geometry;
use crate::ivf::directory;
use crate::ivf::list::ListLayout;
use crate::model_name::ModelName;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;

/// Where META is.
pub const META_BLKNO: Blkno = 0;
/// The format this build writes and reads.
pub const FORMAT_VERSION: u16 = 2;

const MAGIC_VALUE: u32 = u32::from_le_bytes(*b"PFIV");

const MAGIC: usize = 0;
const VERSION: usize = 4;
const ELEMENT: usize = 6;
const METRIC: usize = 7;
const DIMS: usize = 8;
const NLIST: usize = 12;
const CODE: usize = 16;
const IS_TRAINED: usize = 17;
const BLOCK_PAGES: usize = 18;
const NBITS: usize = 19;
const BLOCK_VECTORS: usize = 20;
const M: usize = 22;
const SEED: usize = 24;
const TRAINED_ROWS: usize = 32;
const BUILD_ROWS: usize = 40;
const CENTROIDS_FIRST: usize = 48;
const DIRECTORY_FIRST: usize = 52;
const NLIST_OPTION: usize = 56;
const REFINE: usize = 60;
const ROTATION: usize = 61;
const NORMALIZE: usize = 62;
const OPQ_M: usize = 64;
const MODEL_FIRST: usize = 68;
const VECTORS_FIRST: usize = 72;
const CODES_FIRST: usize = 76;
const N_CODE_BLOCKS: usize = 80;
const COARSE_ERROR: usize = 84;
const CODE_ERROR: usize = 88;
const TABLE_BLOCKS: usize = 92;
const IMBALANCE: usize = 96;
const MODEL_NAME: usize = 112;
const USED: usize = MODEL_NAME + ModelName::SIZE;

/// What CREATE INDEX decides before the first page is written.
#[derive(Debug, Clone, Copy)]
pub struct MetaParams {
    /// `Element::TAG` of the stored vectors: 0 f32, 1 f16, 2 bits.
    pub element: u8,
    /// How nearness is measured.
    pub metric: Metric,
    /// Components of a vector: 1..=16,000, or 1..=128,000 bits. `Geometry::dims` has the elements that they make.
    pub dims: usize,
    /// `nlist` as the user wrote it, 0 = automatic.
    pub nlist_option: u32,
    /// Seed of the training.
    pub seed: u64,
    /// Rows the centroids were trained on.
    pub trained_rows: u64,
    /// How vectors are coded; None: stored as the column has them.
    pub code: Option<CodeParams>,
    /// How well what was trained fits the rows of the build.
    pub fit: Fit,
    /// The model whose centroids and parameters these are; None: trained by the build.
    pub model: Option<ModelName>,
}

/// How well the rows of the build (errors with a model: the rows that it was trained on) fitted what was trained, to be
/// compared with later rows. Zero = not known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Fit {
    /// Mean error of a row against its centroid: squared L2; under inner product and cosine what the norm of the
    /// (under cosine unit) vector exceeds its product with the centroid by.
    pub coarse_error: f32,
    /// Mean squared L2 error of what a trained code stands for against what was coded.
    pub code_error: f32,
    /// Blocks of the table when it was read: rows beyond are younger than the index.
    pub table_blocks: u32,
    /// How uneven the lists were, as `ivf::info::Totals` says it.
    pub imbalance_factor: f32,
}

impl Fit {
    /// A number that no build writes counts as not known: what depends on it is advice, not answers.
    fn decode(body: &[u8]) -> Self {
        let known = |at: usize| Some(f32_at(body, at)).filter(|x| x.is_finite() && *x > 0.0);
        Self {
            coarse_error: known(COARSE_ERROR).unwrap_or_default(),
            code_error: known(CODE_ERROR).unwrap_or_default(),
            table_blocks: u32_at(body, TABLE_BLOCKS),
            imbalance_factor: known(IMBALANCE).unwrap_or_default(),
        }
    }

    fn encode(&self, body: &mut [u8]) {
        put(body, COARSE_ERROR, &self.coarse_error.to_le_bytes());
        put(body, CODE_ERROR, &self.code_error.to_le_bytes());
        put_u32(body, TABLE_BLOCKS, self.table_blocks);
        put(body, IMBALANCE, &self.imbalance_factor.to_le_bytes());
    }
}

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
    /// Floats that training gives: the rotation's matrix, the code's parameters, those of 8-bit vectors for `refine`.
    pub fn model_len(&self, dims: usize) -> usize {
        let rotation = if self.rotation == RotationKind::None { 0 } else { dims * dims };
        let refine = match self.refine {
            Refine::Sq8 => CodeKind::Sq8.params_len(dims),
            _ => 0,
        };
        rotation + self.kind.params_len(dims) + refine
    }
}

/// The parts of the metapage of a coded index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coded {
    /// The code.
    pub params: CodeParams,
    /// Shape of blocks and shelves.
    pub layout: CodeLayout,
    /// First MODEL page, INVALID if the code has no parameters.
    pub model_first: Blkno,
    /// First DATA page of the packed vectors, INVALID without.
    pub vectors_first: Blkno,
    /// First page of the packed area, INVALID if it is empty.
    pub codes_first: Blkno,
    /// Blocks of the packed area.
    pub n_code_blocks: u32,
}

impl Coded {
    fn new(params: CodeParams, dims: usize, element: u8) -> Option<Self> {
        let vectors = match params.refine {
            Refine::Heap => None,
            Refine::Flat => Some(Geometry::of_column(dims, element)?),
            Refine::SqFp16 => Some(Geometry::new(dims, 2)?),
            Refine::Sq8 => Some(Geometry::new(dims, 1)?),
        };
        Some(Self {
            params,
            layout: CodeLayout::new(params.kind, dims, vectors),
            model_first: INVALID_BLKNO,
            vectors_first: INVALID_BLKNO,
            codes_first: INVALID_BLKNO,
            n_code_blocks: 0,
        })
    }

    /// Floats in the MODEL pages.
    pub fn model_len(&self, dims: usize) -> usize {
        self.params.model_len(dims)
    }
}

/// The metapage, decoded and validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// `Element::TAG`: 0 f32, 1 f16, 2 bits.
    pub element: u8,
    /// How nearness is measured.
    pub metric: Metric,
    /// Components of a vector.
    pub dims: usize,
    /// Number of inverted lists; 1 when untrained.
    pub nlist: usize,
    /// Whether there are centroids.
    pub is_trained: bool,
    /// Seed of the training.
    pub seed: u64,
    /// Rows the centroids were trained on.
    pub trained_rows: u64,
    /// Rows the build wrote.
    pub build_rows: u64,
    /// First CENTROIDS page, INVALID when untrained.
    pub centroids_first: Blkno,
    /// First DIRECTORY page.
    pub directory_first: Blkno,
    /// `nlist` as the user wrote it, 0 = automatic.
    pub nlist_option: u32,
    /// Shape of DATA blocks.
    pub geometry: Geometry,
    /// Shape of LIST pages.
    pub layout: ListLayout,
    /// How vectors are coded; None: as the column has them, in LIST and DATA pages.
    pub coded: Option<Coded>,
    /// How well what was trained fits the rows of the build.
    pub fit: Fit,
    /// The model that the build took its centroids and parameters from; None: it trained its own.
    pub model: Option<ModelName>,
}

/// Whether the metric is one of vectors of these elements.
pub fn measures(metric: Metric, element: u8) -> bool {
    metric.is_of_bits() == (element == Bits::TAG)
}

impl Meta {
    /// The metapage of an index about to be built with `nlist` lists (0 = untrained). None if the
    /// dimension or the element is out of range.
    pub fn new(params: &MetaParams, nlist: usize) -> Option<Self> {
        let geometry = Geometry::of_column(params.dims, params.element)?;
        if !measures(params.metric, params.element) {
            return None;
        }
        let coded = match params.code {
            Some(_) if !params.metric.has_codes() => return None,
            Some(code) => Some(Coded::new(code, params.dims, params.element)?),
            None => None,
        };
        Some(Self {
            element: params.element,
            metric: params.metric,
            dims: params.dims,
            nlist: nlist.max(1),
            is_trained: nlist > 0,
            seed: params.seed,
            trained_rows: params.trained_rows,
            build_rows: 0,
            centroids_first: INVALID_BLKNO,
            directory_first: INVALID_BLKNO,
            nlist_option: params.nlist_option,
            geometry,
            layout: ListLayout::new(&geometry, params.metric.has_norms()),
            coded,
            fit: params.fit,
            model: params.model,
        })
    }

    /// Reads and validates block 0. [`Error::Version`] for a format of another release.
    pub fn read<P: Pages>(pages: &P) -> Result<Self, Error> {
        let n_blocks = pages.n_blocks()?;
        let page = pages.read(META_BLKNO)?;
        page.check(META_BLKNO, PageKind::Meta, NO_OWNER)?;
        Self::decode(page.body(), n_blocks)
    }

    fn decode(body: &[u8], n_blocks: Blkno) -> Result<Self, Error> {
        let bad = |what: &str| Error::corrupted(META_BLKNO, format!("metapage has a bad {what}"));
        let byte = |at: usize| u16_at(body, at) as u8;
        if u32_at(body, MAGIC) != MAGIC_VALUE {
            return Err(bad("magic number"));
        }
        let version = u16_at(body, VERSION);
        if version != FORMAT_VERSION {
            return Err(Error::Version { found: version, expected: FORMAT_VERSION });
        }
        let params = MetaParams {
            element: byte(ELEMENT),
            metric: Metric::from_u8(byte(METRIC)).ok_or_else(|| bad("metric"))?,
            dims: u32_at(body, DIMS) as usize,
            nlist_option: u32_at(body, NLIST_OPTION),
            seed: u64_at(body, SEED),
            trained_rows: u64_at(body, TRAINED_ROWS),
            code: decode_code(body).ok_or_else(|| bad("code"))?,
            fit: Fit::decode(body),
            model: decode_model(body).ok_or_else(|| bad("name of a model"))?,
        };
        let nlist = u32_at(body, NLIST) as usize;
        let is_trained = byte(IS_TRAINED) == 1;
        let needs_training = params.code.is_some() || params.model.is_some();
        if byte(IS_TRAINED) > 1 || (needs_training && !is_trained) {
            return Err(bad("state of training"));
        }
        if !params.metric.has_centroids() && is_trained {
            return Err(bad("metric: there are no centroids under it"));
        }
        if nlist == 0 || (!is_trained && nlist != 1) {
            return Err(bad("number of lists"));
        }
        let mut meta = Self::new(&params, if is_trained { nlist } else { 0 })
            .ok_or_else(|| bad("dimension or element type"))?;
        let shape = (usize::from(byte(BLOCK_PAGES)), usize::from(u16_at(body, BLOCK_VECTORS)));
        if shape != (meta.geometry.block_pages, meta.geometry.block_vectors) {
            return Err(bad("block shape"));
        }
        meta.build_rows = u64_at(body, BUILD_ROWS);
        meta.centroids_first = u32_at(body, CENTROIDS_FIRST);
        meta.directory_first = u32_at(body, DIRECTORY_FIRST);
        let fits = |first: Blkno, n: u64| first != 0 && u64::from(first) + n <= u64::from(n_blocks);
        if !fits(meta.directory_first, meta.directory_pages()) {
            return Err(bad("directory position"));
        }
        if let Some(coded) = &mut meta.coded {
            coded.model_first = u32_at(body, MODEL_FIRST);
            coded.vectors_first = u32_at(body, VECTORS_FIRST);
            coded.codes_first = u32_at(body, CODES_FIRST);
            coded.n_code_blocks = u32_at(body, N_CODE_BLOCKS);
            let n = u64::from(coded.n_code_blocks);
            let lies = |first: Blkno, n: u64| n == 0 || fits(first, n);
            if !lies(coded.model_first, model::n_pages(coded.model_len(params.dims)))
                || !lies(coded.codes_first, coded.layout.packed_pages(n))
                || !lies(coded.vectors_first, coded.layout.packed_vector_pages(n))
            {
                return Err(bad("position of codes"));
            }
        }
        if is_trained && !fits(meta.centroids_first, meta.centroid_pages()) {
            return Err(bad("centroids position"));
        }
        Ok(meta)
    }

    /// The metapage.
    pub fn to_page(&self) -> Page {
        let mut page = Page::new(PageKind::Meta, NO_OWNER);
        let body = page.body_mut();
        put_u32(body, MAGIC, MAGIC_VALUE);
        put_u16(body, VERSION, FORMAT_VERSION);
        put(body, ELEMENT, &[self.element, self.metric.to_u8()]);
        put_u32(body, DIMS, self.dims as u32);
        put_u32(body, NLIST, self.nlist as u32);
        put(body, IS_TRAINED, &[u8::from(self.is_trained)]);
        put(body, BLOCK_PAGES, &[self.geometry.block_pages as u8]);
        put_u16(body, BLOCK_VECTORS, self.geometry.block_vectors as u16);
        put(body, SEED, &self.seed.to_le_bytes());
        put(body, TRAINED_ROWS, &self.trained_rows.to_le_bytes());
        put(body, BUILD_ROWS, &self.build_rows.to_le_bytes());
        put_u32(body, CENTROIDS_FIRST, self.centroids_first);
        put_u32(body, DIRECTORY_FIRST, self.directory_first);
        put_u32(body, NLIST_OPTION, self.nlist_option);
        self.fit.encode(body);
        match &self.coded {
            Some(coded) => encode_code(body, coded),
            None => put(body, CODE, &[FLAT]),
        }
        if let Some(name) = &self.model {
            put(body, MODEL_NAME, name.as_bytes());
        }
        page.set_used(USED);
        page
    }

    /// Shape of the blocks of CENTROIDS pages: f32 elements, whatever floats the column has; bits are theirs, too.
    pub fn centroid_geometry(&self) -> Option<Geometry> {
        let element = if self.element == Bits::TAG { Bits::TAG } else { f32::TAG };
        Geometry::of_column(self.dims, element)
    }

    /// Number of CENTROIDS pages.
    pub fn centroid_pages(&self) -> u64 {
        match self.centroid_geometry() {
            Some(g) if self.is_trained => {
                (self.nlist.div_ceil(g.block_vectors) * g.block_pages) as u64
            }
            _ => 0,
        }
    }

    /// Number of DIRECTORY pages.
    pub fn directory_pages(&self) -> u64 {
        match self.coded {
            Some(_) => coded_directory::n_pages(self.nlist),
            None => directory::n_pages(self.nlist),
        }
    }

    /// Blocks of the packed area; 0 without a code.
    pub fn n_code_blocks(&self) -> u32 {
        self.coded.map_or(0, |coded| coded.n_code_blocks)
    }

    /// Whether rows carry their squared norm.
    pub fn has_norms(&self) -> bool {
        self.metric.has_norms()
    }
}

fn encode_code(body: &mut [u8], coded: &Coded) {
    let params = &coded.params;
    let (number, m, nbits) = params.kind.to_numbers();
    let (rotation, opq_m) = params.rotation.to_numbers();
    put(body, CODE, &[number]);
    put(body, NBITS, &[nbits]);
    put_u16(body, M, m);
    put(body, REFINE, &[params.refine.to_u8(), rotation, u8::from(params.normalize)]);
    put_u16(body, OPQ_M, opq_m);
    put_u32(body, MODEL_FIRST, coded.model_first);
    put_u32(body, VECTORS_FIRST, coded.vectors_first);
    put_u32(body, CODES_FIRST, coded.codes_first);
    put_u32(body, N_CODE_BLOCKS, coded.n_code_blocks);
}

/// None if there is no such code; Some(None) for vectors as the column has them.
fn decode_code(body: &[u8]) -> Option<Option<CodeParams>> {
    let byte = |at: usize| u16_at(body, at) as u8;
    if byte(CODE) == FLAT {
        return Some(None);
    }
    Some(Some(CodeParams {
        kind: CodeKind::from_numbers(byte(CODE), u16_at(body, M), byte(NBITS))?,
        refine: Refine::from_u8(byte(REFINE))?,
        rotation: RotationKind::from_numbers(byte(ROTATION), u16_at(body, OPQ_M))?,
        normalize: byte(NORMALIZE) == 1,
    }))
}

/// None if the bytes are no name; Some(None) where there is none.
fn decode_model(body: &[u8]) -> Option<Option<ModelName>> {
    let bytes = body.get(MODEL_NAME..MODEL_NAME + ModelName::SIZE)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (name, rest) = bytes.split_at(end);
    if rest.iter().any(|byte| *byte != 0) {
        return None;
    }
    if name.is_empty() {
        return Some(None);
    }
    std::str::from_utf8(name).ok().and_then(ModelName::new).map(Some)
}
