//! META, block 0: what the index is. It is written last by the build. Another build in place replaces it (`rebuild`): so a copy
//! is good for as long as META has the same generation.

use ann::codec::{CodeKind, FLAT};
use ann::factory::{Refine, RotationKind};
use ann::metric::Metric;
use ann::tuning::Curve;
use ann::tuning::probing::ProbeRule;

use crate::bytes::{checksum, f32_at, put, put_u16, put_u32, u16_at, u32_at, u64_at};
use crate::error::Error;
use crate::lists::{CodeParams, InvertedLists, ListsParams, directory, quantizer};
use crate::model;
use crate::model_name::ModelName;
use crate::page::{Blkno, META_BLKNO, NO_OWNER, Page, PageKind};
use crate::search::attributes::{ATTRIBUTES_MAX, Attributes};
use crate::store::Pages;
use crate::{probe_rule, recall_curve};

/// The format this build writes and reads.
pub const FORMAT_VERSION: u16 = 3;

const MAGIC_VALUE: u32 = u32::from_le_bytes(*b"PFIV");

const MAGIC: usize = 0;
const VERSION: usize = 4;
const IS_TRAINED: usize = 6;
const SEED: usize = 8;
const TRAINED_ROWS: usize = 16;
const BUILD_ROWS: usize = 24;
const NLIST_OPTION: usize = 32;
const COARSE_ERROR: usize = 36;
const CODE_ERROR: usize = 40;
const TABLE_BLOCKS: usize = 44;
const IMBALANCE: usize = 48;
const IS_CODE_CHOSEN: usize = 52;
const CHECKSUM: usize = 56;
const ROWS: usize = 64;
const QUANTIZER: usize = ROWS + LISTS_SIZE;
const MODEL_NAME: usize = QUANTIZER + LISTS_SIZE;
const GENERATION: usize = MODEL_NAME + ModelName::SIZE;
const LAST_BEGUN: usize = GENERATION + 4;
const RETIRED_XID: usize = GENERATION + 8;
const BUILT_XID: usize = GENERATION + 16;
const CURVE: usize = 288;
const PROBE_RULE: usize = CURVE + recall_curve::SIZE;
const USED: usize = 640;

const _: () = assert!(GENERATION + 32 <= CURVE && PROBE_RULE + probe_rule::SIZE <= USED);

/// Bytes that describe inverted lists, and where among them.
const LISTS_SIZE: usize = 64;
const ELEMENT: usize = 0;
const METRIC: usize = 1;
const CODE: usize = 2;
const NBITS: usize = 3;
const M: usize = 4;
const REFINE: usize = 6;
const ROTATION: usize = 7;
const NORMALIZE: usize = 8;
const OPQ_M: usize = 10;
const DIMS: usize = 12;
const NLIST: usize = 16;
const MODEL_FIRST: usize = 20;
const DIRECTORY_FIRST: usize = 24;
const CODES_FIRST: usize = 28;
const VECTORS_FIRST: usize = 32;
const N_SLOTS: usize = 40;
const ATTRIBUTES: usize = 48;

/// What CREATE INDEX decides before the first page is written.
#[derive(Debug, Clone, Copy)]
pub struct MetaParams {
    /// What the rows' lists are made of.
    pub lists: ListsParams,
    /// `nlist` as the user wrote it, 0 = automatic.
    pub nlist_option: u32,
    /// Seed of the training.
    pub seed: u64,
    /// Rows the centroids were trained on.
    pub trained_rows: u64,
    /// How well what was trained fits the rows of the build.
    pub fit: Fit,
    /// The model whose centroids and parameters these are; None: trained by the build.
    pub model: Option<ModelName>,
    /// The next transaction id when the rows are read; 0 = not known.
    pub built_xid: u64,
    /// Whether the build chose the code by the rows.
    pub is_code_chosen: bool,
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
    /// How uneven the lists were, as `lists::info::Totals` says it.
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

/// The metapage, decoded and validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// The lists of rows: one when untrained.
    pub lists: InvertedLists,
    /// The list of centroids; None when untrained.
    pub quantizer: Option<InvertedLists>,
    /// Seed of the training.
    pub seed: u64,
    /// Rows the centroids were trained on.
    pub trained_rows: u64,
    /// Rows the build wrote.
    pub build_rows: u64,
    /// `nlist` as the user wrote it, 0 = automatic.
    pub nlist_option: u32,
    /// Whether the build chose the code by the rows, so that another may choose another one.
    pub is_code_chosen: bool,
    /// How well what was trained fits the rows of the build.
    pub fit: Fit,
    /// The model that the build took its centroids and parameters from; None: it trained its own.
    pub model: Option<ModelName>,
    /// What recall costs, measured when the rows were assigned to their lists; see [`Meta::put_curve`].
    pub curve: Curve,
    /// How searches for a target of recall choose their lists; None: by their number alone.
    pub probe_rule: Option<ProbeRule>,
    /// The builds that the index has had.
    pub builds: Builds,
}

/// The builds of an index: that of CREATE INDEX or REINDEX, and those that have replaced it in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Builds {
    /// The build whose lists these are.
    pub generation: u32,
    /// The last one that was begun. If it is another, it has not ended yet or has failed.
    pub last_begun: u32,
    /// The next transaction id when these lists replaced others, whose pages no later transaction can stand on; 0 once all
    /// such pages are free.
    pub retired_xid: u64,
    /// The next transaction id when these lists were built: rows of later transactions are younger. 0 = not known.
    pub built_xid: u64,
}

impl Builds {
    /// A `retired_xid` that is not known yet: the lists have just been replaced, or a crash came then.
    pub const UNSETTLED: u64 = u64::MAX;

    /// Whether pages of other builds may be in the file.
    pub fn has_others(&self) -> bool {
        self.retired_xid != 0 || self.last_begun != self.generation
    }
}

impl Meta {
    /// The metapage of an index about to be built with `nlist` lists (0 = untrained). None if there is no such index.
    pub fn new(params: &MetaParams, nlist: usize) -> Option<Self> {
        let of_centroids = quantizer::params(&params.lists, nlist);
        Some(Self {
            lists: InvertedLists::new(&params.lists, nlist.max(1))?,
            quantizer: match nlist {
                0 => None,
                _ => Some(InvertedLists::new(&of_centroids, 1)?),
            },
            seed: params.seed,
            trained_rows: params.trained_rows,
            build_rows: 0,
            nlist_option: params.nlist_option,
            is_code_chosen: params.is_code_chosen,
            fit: params.fit,
            model: params.model,
            builds: Builds { built_xid: params.built_xid, ..Builds::default() },
            curve: Curve::default(),
            probe_rule: None,
        })
    }

    /// The same as another build of the index.
    pub fn of_build(mut self, generation: u32) -> Self {
        self.builds = Builds { generation, last_begun: generation, ..self.builds };
        self.lists.generation = generation;
        self.quantizer.iter_mut().for_each(|lists| lists.generation = generation);
        self
    }

    /// How nearness is measured.
    pub fn metric(&self) -> Metric {
        self.lists.params.metric
    }

    /// Components of a vector.
    pub fn dims(&self) -> usize {
        self.lists.params.dims
    }

    /// Number of inverted lists; 1 when untrained.
    pub fn nlist(&self) -> usize {
        self.lists.nlist
    }

    /// How vectors are coded; None: as the column has them.
    pub fn code(&self) -> Option<CodeParams> {
        self.lists.params.code
    }

    /// Whether there are centroids.
    pub fn is_trained(&self) -> bool {
        self.quantizer.is_some()
    }

    /// Pages that hold no rows: META, what was trained, and the directory.
    pub fn fixed_pages(&self) -> u64 {
        let centroids = self.quantizer.map_or(0, |lists| lists.built_pages(lists.n_slots));
        1 + centroids + self.lists.fixed_pages()
    }

    /// Pages that a build writes beside META for lists of these sizes.
    pub fn built_pages(&self, sizes: impl Iterator<Item = u64>) -> u64 {
        let slots_of = |lists: &InvertedLists, n: u64| lists.layout.next_start(n);
        let n_slots = sizes.map(|n| slots_of(&self.lists, n)).sum();
        let centroids = self
            .quantizer
            .map_or(0, |lists| lists.built_pages(slots_of(&lists, self.lists.nlist as u64)));
        centroids + self.lists.built_pages(n_slots)
    }

    /// Reads and validates block 0. [`Error::Version`] for a format of another release.
    pub fn read<P: Pages>(pages: &P) -> Result<Self, Error> {
        let n_blocks = pages.n_blocks()?;
        let page = pages.read(META_BLKNO)?;
        page.check(META_BLKNO, PageKind::Meta, NO_OWNER)?;
        Self::decode(page.body(), n_blocks)
    }

    fn decode(body: &[u8], n_blocks: Blkno) -> Result<Self, Error> {
        if u32_at(body, MAGIC) != MAGIC_VALUE {
            return Err(bad("magic number"));
        }
        let version = u16_at(body, VERSION);
        if version != FORMAT_VERSION {
            return Err(Error::Version { found: version, expected: FORMAT_VERSION });
        }
        if u64_at(body, CHECKSUM) != sum_of(body) {
            return Err(bad("checksum"));
        }
        let is_trained = u16_at(body, IS_TRAINED);
        if is_trained > 1 {
            return Err(bad("state of training"));
        }
        let is_code_chosen = u32_at(body, IS_CODE_CHOSEN);
        if is_code_chosen > 1 {
            return Err(bad("choice of the code"));
        }
        let lists = decode_lists(body, ROWS, n_blocks)?;
        let quantizer = match is_trained {
            0 => None,
            _ => Some(decode_lists(body, QUANTIZER, n_blocks)?),
        };
        let builds = Builds {
            generation: u32_at(body, GENERATION),
            last_begun: u32_at(body, LAST_BEGUN),
            retired_xid: u64_at(body, RETIRED_XID),
            built_xid: u64_at(body, BUILT_XID),
        };
        let generation = builds.generation;
        let quantizer = quantizer.map(|lists| InvertedLists { generation, ..lists });
        let meta = Self {
            lists: InvertedLists { generation, ..lists },
            quantizer,
            builds,
            seed: u64_at(body, SEED),
            trained_rows: u64_at(body, TRAINED_ROWS),
            build_rows: u64_at(body, BUILD_ROWS),
            nlist_option: u32_at(body, NLIST_OPTION),
            is_code_chosen: is_code_chosen == 1,
            fit: Fit::decode(body),
            model: decode_model(body).ok_or_else(|| bad("name of a model"))?,
            curve: recall_curve::decode(body, CURVE),
            probe_rule: probe_rule::decode(body, PROBE_RULE),
        };
        meta.require_sense()?;
        Ok(meta)
    }

    /// Refuses parts that do not belong together.
    fn require_sense(&self) -> Result<(), Error> {
        let params = &self.lists.params;
        let Some(quantizer) = &self.quantizer else {
            if self.lists.nlist != 1 {
                return Err(bad("number of lists"));
            }
            let needs_training = params.code.is_some() || self.model.is_some();
            return if needs_training { Err(bad("state of training")) } else { Ok(()) };
        };
        if !params.metric.has_centroids() {
            return Err(bad("metric: there are no centroids under it"));
        }
        let fits = quantizer.params == quantizer::params(params, self.lists.nlist)
            && quantizer.nlist == 1
            && quantizer.n_slots >= self.lists.nlist as u64;
        if fits { Ok(()) } else { Err(bad("coarse quantizer")) }
    }

    /// The build whose lists the metapage describes, without a look at anything else: None if it is no metapage of lists.
    pub fn generation<P: Pages>(pages: &P) -> Result<Option<u32>, Error> {
        let page = pages.read(META_BLKNO)?;
        let body = page.body();
        let is_meta = page.is(PageKind::Meta, NO_OWNER) && u32_at(body, MAGIC) == MAGIC_VALUE;
        Ok(is_meta.then(|| u32_at(body, GENERATION)))
    }

    /// The metapage.
    pub fn to_page(&self) -> Page {
        let mut page = Page::new(PageKind::Meta, NO_OWNER);
        let body = page.body_mut();
        put_u32(body, MAGIC, MAGIC_VALUE);
        put_u16(body, VERSION, FORMAT_VERSION);
        put_u16(body, IS_TRAINED, u16::from(self.is_trained()));
        put(body, SEED, &self.seed.to_le_bytes());
        put(body, TRAINED_ROWS, &self.trained_rows.to_le_bytes());
        put(body, BUILD_ROWS, &self.build_rows.to_le_bytes());
        put_u32(body, NLIST_OPTION, self.nlist_option);
        put_u32(body, IS_CODE_CHOSEN, u32::from(self.is_code_chosen));
        self.fit.encode(body);
        encode_lists(body, ROWS, &self.lists);
        if let Some(quantizer) = &self.quantizer {
            encode_lists(body, QUANTIZER, quantizer);
        }
        if let Some(name) = &self.model {
            put(body, MODEL_NAME, name.as_bytes());
        }
        put_u32(body, GENERATION, self.builds.generation);
        put_u32(body, LAST_BEGUN, self.builds.last_begun);
        put(body, RETIRED_XID, &self.builds.retired_xid.to_le_bytes());
        put(body, BUILT_XID, &self.builds.built_xid.to_le_bytes());
        recall_curve::encode(body, CURVE, &self.curve);
        probe_rule::encode(body, PROBE_RULE, self.probe_rule.as_ref());
        page.set_used(USED);
        seal(&mut page);
        page
    }

    /// Puts what was measured into the metapage, at the end of a build: it is measured on the pages that were written.
    pub fn put_curve<P: Pages>(
        pages: &P,
        curve: &Curve,
        rule: Option<&ProbeRule>,
    ) -> Result<(), Error> {
        let mut page = pages.lock(META_BLKNO)?;
        page.check(META_BLKNO, PageKind::Meta, NO_OWNER)?;
        pages.edit(&mut [&mut page], |images| {
            let Some(page) = images.first_mut() else { return Ok(()) };
            recall_curve::encode(page.body_mut(), CURVE, curve);
            probe_rule::encode(page.body_mut(), PROBE_RULE, rule);
            seal(page);
            Ok(())
        })
    }
}

/// The checksum of a metapage: of all that is used but the place of the checksum itself. Where the index is a single list of
/// vectors, no other page could tell that a number here has changed.
fn sum_of(body: &[u8]) -> u64 {
    let (before, after) = (body.get(..CHECKSUM), body.get(CHECKSUM + size_of::<u64>()..USED));
    checksum(before.unwrap_or_default()) ^ checksum(after.unwrap_or_default()).rotate_left(1)
}

/// Writes the checksum of a metapage whose other fields are written.
pub(crate) fn seal(page: &mut Page) {
    let sum = sum_of(page.body());
    put(page.body_mut(), CHECKSUM, &sum.to_le_bytes());
}

fn bad(what: &str) -> Error {
    Error::corrupted(META_BLKNO, format!("metapage has a bad {what}"))
}

fn encode_lists(body: &mut [u8], start: usize, lists: &InvertedLists) {
    let params = &lists.params;
    put(body, start + ELEMENT, &[params.element, params.metric.to_u8(), FLAT]);
    if let Some(code) = &params.code {
        let (number, m, nbits) = code.kind.to_numbers();
        let (rotation, opq_m) = code.rotation.to_numbers();
        put(body, start + CODE, &[number, nbits]);
        put_u16(body, start + M, m);
        let normalize = u8::from(code.normalize);
        put(body, start + REFINE, &[code.refine.to_u8(), rotation, normalize]);
        put_u16(body, start + OPQ_M, opq_m);
    }
    put_u32(body, start + DIMS, params.dims as u32);
    put_u32(body, start + NLIST, lists.nlist as u32);
    put_u32(body, start + MODEL_FIRST, lists.model_first);
    put_u32(body, start + DIRECTORY_FIRST, lists.directory_first);
    put_u32(body, start + CODES_FIRST, lists.codes_first);
    put_u32(body, start + VECTORS_FIRST, lists.vectors_first);
    put(body, start + N_SLOTS, &lists.n_slots.to_le_bytes());
    put(body, start + ATTRIBUTES, &params.attributes.to_bytes());
}

/// The lists described at `start`, all of whose pages must lie within the file.
fn decode_lists(body: &[u8], start: usize, n_blocks: Blkno) -> Result<InvertedLists, Error> {
    let params = decode_params(body, start)?;
    let nlist = u32_at(body, start + NLIST) as usize;
    let lists = InvertedLists::new(&params, nlist).ok_or_else(|| bad("shape of lists"))?;
    let lists = InvertedLists {
        model_first: u32_at(body, start + MODEL_FIRST),
        directory_first: u32_at(body, start + DIRECTORY_FIRST),
        codes_first: u32_at(body, start + CODES_FIRST),
        vectors_first: u32_at(body, start + VECTORS_FIRST),
        n_slots: u64_at(body, start + N_SLOTS),
        ..lists
    };
    let lies = |first: Blkno, n: u64| {
        let end = u64::from(first).checked_add(n);
        n == 0 || first != META_BLKNO && end.is_some_and(|end| end <= u64::from(n_blocks))
    };
    let layout = &lists.layout;
    // Each page has a few thousand slots at most: so the products below do not overflow.
    let is_possible = lists.n_slots <= u64::from(n_blocks) << 16;
    if is_possible
        && lies(lists.model_first, model::n_pages(lists.model_len()))
        && lies(lists.directory_first, directory::n_pages(nlist))
        && lies(lists.codes_first, layout.packed_pages(lists.n_slots))
        && lies(lists.vectors_first, layout.packed_vector_pages(lists.n_slots))
    {
        return Ok(lists);
    }
    Err(bad("position of lists"))
}

fn decode_params(body: &[u8], start: usize) -> Result<ListsParams, Error> {
    let byte = |at: usize| u16_at(body, start + at) as u8;
    let code = match byte(CODE) {
        FLAT => None,
        number => {
            let kind = CodeKind::from_numbers(number, u16_at(body, start + M), byte(NBITS));
            let rotation = RotationKind::from_numbers(byte(ROTATION), u16_at(body, start + OPQ_M));
            let (Some(kind), Some(rotation), Some(refine)) =
                (kind, rotation, Refine::from_u8(byte(REFINE)))
            else {
                return Err(bad("code"));
            };
            Some(CodeParams { kind, refine, rotation, normalize: byte(NORMALIZE) == 1 })
        }
    };
    let widths: [u8; ATTRIBUTES_MAX] = std::array::from_fn(|i| byte(ATTRIBUTES + i));
    Ok(ListsParams {
        element: byte(ELEMENT),
        metric: Metric::from_u8(byte(METRIC)).ok_or_else(|| bad("metric"))?,
        dims: u32_at(body, start + DIMS) as usize,
        code,
        attributes: Attributes::from_bytes(widths).ok_or_else(|| bad("width of attributes"))?,
    })
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
