//! META of a graph, block 0: written last by the build. Only what was measured on the graph changes after it.

use ann::element::{Bits, Element};
use ann::hnsw::Grid;
use ann::kernels::sparse;
use ann::metric::Metric;
use ann::tuning::Curve;

use crate::bytes::{put, put_u16, put_u32, u16_at, u32_at, u64_at};
use crate::error::Error;
use crate::geometry::Geometry;
use crate::geometry::measures;
use crate::hnsw::shape::Shape;
use crate::hnsw::sparse::DIMS_MAX;
use crate::model;
use crate::page::META_BLKNO;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::recall_curve;
use crate::search::attributes::{ATTRIBUTES_MAX, Attributes};
use crate::store::Pages;

/// The format of graphs this build writes and reads.
pub const FORMAT_VERSION: u16 = 2;
/// Links of a node above level 0.
pub const M_RANGE: std::ops::RangeInclusive<usize> = 2..=100;

const MAGIC_VALUE: u32 = u32::from_le_bytes(*b"PFHN");

const MAGIC: usize = 0;
const VERSION: usize = 4;
const ELEMENT: usize = 6;
const METRIC: usize = 7;
const DIMS: usize = 8;
const M: usize = 12;
const EF_CONSTRUCTION: usize = 14;
const CODE: usize = 16;
const CHUNK_SHIFT: usize = 17;
const NODE_LANES: usize = 18;
const LINK_LANES: usize = 20;
const CODE_BYTES: usize = 22;
const SEED: usize = 24;
const TRAINED_ROWS: usize = 32;
const BUILD_ROWS: usize = 40;
const MODEL_FIRST: usize = 48;
const MAP_FIRST: usize = 52;
const ENTRY: usize = 56;
const CURVE: usize = 64;
const MEASUREMENTS: usize = CURVE + recall_curve::SIZE;
const MEASURED_ROWS: usize = MEASUREMENTS + 4;
const MEASURED_XID: usize = MEASURED_ROWS + 8;
const ATTRIBUTES: usize = MEASURED_XID + 8;
const USED: usize = ATTRIBUTES + ATTRIBUTES_MAX;

/// How a graph stores the vectors that decide the order of what it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// As the column has them: of bits as their codes.
    Flat,
    /// With 16-bit elements.
    SqFp16,
    /// Not at all: the 8-bit codes are all there is.
    Sq8,
}

impl Code {
    /// The number stored in the metapage.
    pub fn to_u8(self) -> u8 {
        match self {
            Self::Flat => 0,
            Self::SqFp16 => 1,
            Self::Sq8 => 2,
        }
    }

    /// The code with that stored number.
    pub fn from_u8(number: u8) -> Option<Self> {
        [Self::Flat, Self::SqFp16, Self::Sq8].into_iter().find(|code| code.to_u8() == number)
    }
}

/// What CREATE INDEX decides before the first page is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetaParams {
    /// `Element::TAG` of the column: 0 f32, 1 f16, 2 bits; or 3, `sparse::TAG`.
    pub element: u8,
    /// How nearness is measured.
    pub metric: Metric,
    /// Components of a vector: 1..=16,000, or 1..=64,768 bits, which a NODES page has room for; 1..=1,000,000,000 of a sparse
    /// one.
    pub dims: usize,
    /// Links of a node above level 0, twice as many at level 0: 2..=100.
    pub m: usize,
    /// Candidates of an insert, 4..=2000.
    pub ef_construction: usize,
    /// What is stored of vectors.
    pub code: Code,
    /// All randomness.
    pub seed: u64,
    /// Rows the grid was trained on.
    pub trained_rows: u64,
    /// Attributes of a row.
    pub attributes: Attributes,
}

impl MetaParams {
    /// Whether vectors are rows of SPARSE pages, and have no codes.
    pub fn is_sparse(&self) -> bool {
        self.element == sparse::TAG
    }

    /// Dimensions of the grid: sparse vectors have none of their own, and the smallest there is stands for it.
    pub fn grid_dims(&self) -> usize {
        if self.is_sparse() { 1 } else { self.dims }
    }

    /// Bytes of a code, or of what stands in its place.
    pub fn code_bytes(&self) -> usize {
        Grid::code_bytes(self.metric, self.grid_dims())
    }

    /// Parameters of the grid.
    pub fn grid_len(&self) -> usize {
        Grid::params_len(self.metric, self.grid_dims())
    }

    /// How vectors are stored on DATA pages. The outer None: there is no such graph.
    fn vectors(&self) -> Option<Option<Geometry>> {
        if !measures(self.metric, self.element) {
            return None;
        }
        if self.is_sparse() {
            let fits = (1..=DIMS_MAX).contains(&self.dims) && self.code == Code::Flat;
            return fits.then_some(None);
        }
        let column = Geometry::of_column(self.dims, self.element)?;
        let is_of_bits = self.element == Bits::TAG;
        Some(match self.code {
            // The codes of bits are the vectors.
            Code::Flat if is_of_bits => None,
            _ if is_of_bits => return None,
            Code::Flat => Some(column),
            Code::SqFp16 => Some(Geometry::new(self.dims, 2)?),
            Code::Sq8 => None,
        })
    }
}

/// The metapage of a graph, decoded and validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// What CREATE INDEX decided.
    pub params: MetaParams,
    /// How nodes are cut over pages.
    pub shape: Shape,
    /// Rows the build wrote.
    pub build_rows: u64,
    /// First MODEL page: the parameters of the grid.
    pub model_first: Blkno,
    /// First MAP page.
    pub map_first: Blkno,
    /// The ENTRY page.
    pub entry_blkno: Blkno,
    /// What recall costs, and of which rows that was measured last.
    pub measured: Measured,
}

/// What recall costs on a graph, and the rows that say so.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measured {
    /// What recall costs.
    pub curve: Curve,
    /// How many times that was measured so far.
    pub times: u32,
    /// The rows of the graph when it was measured.
    pub rows: u64,
    /// The next transaction id then, with its epoch.
    pub xid: u64,
}

impl Measured {
    fn encode(&self, body: &mut [u8]) {
        recall_curve::encode(body, CURVE, &self.curve);
        put_u32(body, MEASUREMENTS, self.times);
        put(body, MEASURED_ROWS, &self.rows.to_le_bytes());
        put(body, MEASURED_XID, &self.xid.to_le_bytes());
    }

    fn decode(body: &[u8]) -> Self {
        Self {
            curve: recall_curve::decode(body, CURVE),
            times: u32_at(body, MEASUREMENTS),
            rows: u64_at(body, MEASURED_ROWS),
            xid: u64_at(body, MEASURED_XID),
        }
    }
}

impl Meta {
    /// The metapage of a graph about to be built. None if a parameter is out of range.
    pub fn new(params: &MetaParams) -> Option<Self> {
        let vectors = params.vectors()?;
        if !M_RANGE.contains(&params.m) || params.ef_construction > usize::from(u16::MAX) {
            return None;
        }
        Some(Self {
            params: *params,
            shape: Shape::new(params.m, params.code_bytes(), vectors, params.attributes)?,
            build_rows: 0,
            model_first: INVALID_BLKNO,
            map_first: INVALID_BLKNO,
            entry_blkno: INVALID_BLKNO,
            measured: Measured::default(),
        })
    }

    /// Reads and validates block 0. [`Error::Version`] for a format of another release.
    pub fn read<P: Pages>(pages: &P) -> Result<Self, Error> {
        let n_blocks = pages.n_blocks()?;
        let page = pages.read(META_BLKNO)?;
        Self::decode(&page, n_blocks)
    }

    /// Whether a locked metapage is that of a graph.
    pub fn is_graph(page: &Page) -> bool {
        page.is(PageKind::Meta, NO_OWNER) && u32_at(page.body(), MAGIC) == MAGIC_VALUE
    }

    fn decode(page: &Page, n_blocks: Blkno) -> Result<Self, Error> {
        page.check(META_BLKNO, PageKind::Meta, NO_OWNER)?;
        let body = page.body();
        let bad = |what: &str| Error::corrupted(META_BLKNO, format!("metapage has a bad {what}"));
        let byte = |at: usize| u16_at(body, at) as u8;
        let number = |at: usize| usize::from(u16_at(body, at));
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
            m: number(M),
            ef_construction: number(EF_CONSTRUCTION),
            code: Code::from_u8(byte(CODE)).ok_or_else(|| bad("code"))?,
            seed: u64_at(body, SEED),
            trained_rows: u64_at(body, TRAINED_ROWS),
            attributes: Attributes::from_bytes(std::array::from_fn(|i| byte(ATTRIBUTES + i)))
                .ok_or_else(|| bad("width of attributes"))?,
        };
        let mut meta =
            Self::new(&params).ok_or_else(|| bad("dimension, element type or number of links"))?;
        let shape = [u32::from(byte(CHUNK_SHIFT)) as usize, number(NODE_LANES), number(LINK_LANES)];
        if shape != meta.shape_numbers() || number(CODE_BYTES) != meta.shape.code_bytes {
            return Err(bad("shape of chunks"));
        }
        meta.build_rows = u64_at(body, BUILD_ROWS);
        meta.model_first = u32_at(body, MODEL_FIRST);
        meta.map_first = u32_at(body, MAP_FIRST);
        meta.entry_blkno = u32_at(body, ENTRY);
        meta.measured = Measured::decode(body);
        let runs = [
            (meta.model_first, model::n_pages(params.grid_len())),
            (meta.map_first, 1),
            (meta.entry_blkno, 1),
        ];
        let fits = |(first, n): (Blkno, u64)| {
            first > META_BLKNO && u64::from(first) + n <= u64::from(n_blocks)
        };
        if !runs.into_iter().all(fits) {
            return Err(bad("block number"));
        }
        Ok(meta)
    }

    fn shape_numbers(&self) -> [usize; 3] {
        [self.shape.chunk_shift as usize, self.shape.node_lanes, self.shape.link_lanes]
    }

    /// Makes `page` this metapage, inside an edit.
    pub fn put(&self, page: &mut Page) {
        let params = &self.params;
        page.init(PageKind::Meta, NO_OWNER);
        let body = page.body_mut();
        put_u32(body, MAGIC, MAGIC_VALUE);
        put_u16(body, VERSION, FORMAT_VERSION);
        put(body, ELEMENT, &[params.element, params.metric.to_u8()]);
        put_u32(body, DIMS, params.dims as u32);
        put_u16(body, M, params.m as u16);
        put_u16(body, EF_CONSTRUCTION, params.ef_construction as u16);
        put(body, CODE, &[params.code.to_u8(), self.shape.chunk_shift as u8]);
        put_u16(body, NODE_LANES, self.shape.node_lanes as u16);
        put_u16(body, LINK_LANES, self.shape.link_lanes as u16);
        put_u16(body, CODE_BYTES, self.shape.code_bytes as u16);
        put(body, SEED, &params.seed.to_le_bytes());
        put(body, TRAINED_ROWS, &params.trained_rows.to_le_bytes());
        put(body, BUILD_ROWS, &self.build_rows.to_le_bytes());
        put_u32(body, MODEL_FIRST, self.model_first);
        put_u32(body, MAP_FIRST, self.map_first);
        put_u32(body, ENTRY, self.entry_blkno);
        self.measured.encode(body);
        put(body, ATTRIBUTES, &params.attributes.to_bytes());
        page.set_used(USED);
    }

    /// Puts what recall costs into the metapage, as it was measured among `rows` rows before the transaction `xid` began. Only
    /// one session may do so at a time.
    pub fn put_curve<P: Pages>(pages: &P, curve: &Curve, rows: u64, xid: u64) -> Result<(), Error> {
        let mut page = pages.lock(META_BLKNO)?;
        page.check(META_BLKNO, PageKind::Meta, NO_OWNER)?;
        let times = u32_at(page.body(), MEASUREMENTS).wrapping_add(1);
        let measured = Measured { curve: *curve, times, rows, xid };
        pages.edit(&mut [&mut page], |images| {
            images.iter_mut().for_each(|page| measured.encode(page.body_mut()));
            Ok(())
        })
    }

    /// How many times what recall costs has been measured by now; None if block 0 is no metapage of a graph.
    pub fn measurements<P: Pages>(pages: &P) -> Result<Option<u32>, Error> {
        let page = pages.read(META_BLKNO)?;
        Ok(Self::is_graph(&page).then(|| u32_at(page.body(), MEASUREMENTS)))
    }

    /// This metapage.
    pub fn to_page(&self) -> Page {
        let mut page = Page::default();
        self.put(&mut page);
        page
    }

    /// Reads the grid from its MODEL pages.
    pub fn read_grid<P: Pages>(&self, pages: &P) -> Result<Grid, Error> {
        let params = &self.params;
        let floats = model::read(pages, self.model_first, params.grid_len())?;
        Grid::from_params(params.metric, params.grid_dims(), floats)
            .ok_or_else(|| Error::corrupted(self.model_first, "trained parameters make no grid"))
    }
}
