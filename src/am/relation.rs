//! What every callback needs of an index and must not decode each time: its metapage, its centroids
//! and its trained code, or its grid, kept once per backend and storage.
//!
//! All are written at build and never change afterwards, so an entry is right as long as the
//! relation keeps its file. The relcache callback drops entries of relations that changed; a
//! running scan keeps its own reference. One thing can happen: a list of few rows becomes a graph.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use ann::Metric;
use ann::coarse::Coarse;
use ann::codec::{Codec, Space, Stored};
use ann::coded_coarse::{CODED_NLIST_MIN, CodedCoarse};
use ann::parallel::{self, Job};
use ann::rotation::Rotation;
use pages::Error;
use pages::coded::model::{self, parts};
use pages::hnsw;
use pages::ivf::centroids::read_centroids;
use pages::ivf::lists::View;
use pages::meta::{Coded, META_BLKNO, Meta};
use pages::store::Pages;
use pgrx::{PgSqlErrorCode, pg_guard, pg_sys};

use super::graph::HnswIndex;
use super::interrupts::check_for_interrupts;
use super::method::method_of;
use super::pages::PgPages;
use super::recent::RecentBuffers;
use super::rel;
use super::report::{Report, checked};
use super::transform::Transform;

/// How many indexes a backend remembers, and how many bytes of centroids and codebooks.
const ENTRIES_MAX: usize = 32;
const BYTES_MAX: usize = 256 << 20;

/// The frozen part of one index.
pub struct IvfIndex {
    pub meta: Meta,
    /// nlist × dims; empty when untrained.
    centroids: Vec<f32>,
    coded_coarse: OnceCell<Option<CodedCoarse>>,
    /// None where vectors are stored as the column has them.
    pub code: Option<TrainedCode>,
    /// Where its blocks were last found in shared buffers, and those of its table.
    pub recent: Rc<RecentBuffers>,
    pub recent_rows: Rc<RecentBuffers>,
}

/// What a lossy code was trained to.
pub struct TrainedCode {
    pub coded: Coded,
    pub codec: Codec,
    /// How vectors are stored beside their codes.
    pub stored: Stored,
    rotation: Option<Rotation>,
}

impl TrainedCode {
    /// The MODEL pages: rotation, the code's parameters, those of stored vectors.
    fn read(pages: &PgPages, meta: &Meta, coded: Coded) -> Result<Self, Error> {
        let damaged = || Error::corrupted(coded.model_first, "trained parameters make no code");
        let floats = model::read(pages, coded.model_first, coded.model_len(meta.dims))?;
        let space = Space { dims: meta.dims, metric: meta.metric };
        let (rotation, codec, stored) = parts(space, &coded.params, floats).ok_or_else(damaged)?;
        Ok(Self { coded, codec, stored, rotation })
    }

    /// What vectors are turned by before they are coded.
    pub fn rotation(&self) -> Option<&Rotation> {
        self.rotation.as_ref()
    }

    fn bytes(&self, dims: usize) -> usize {
        self.coded.model_len(dims) * size_of::<f32>()
    }
}

impl IvfIndex {
    /// What a scan reads by; without belief in marks.
    pub fn view(&self) -> View<'_> {
        let codec = self.code.as_ref().map(|code| &code.codec);
        let (coded_coarse, trusts_marks) = (self.coded_coarse(), false);
        View { meta: &self.meta, coarse: self.coarse(), coded_coarse, codec, trusts_marks }
    }

    /// What finds the nearest of very many lists; made when the first scan of this backend needs it, which for 65,536 lists
    /// takes a fraction of a second.
    fn coded_coarse(&self) -> Option<&CodedCoarse> {
        let coarse = self.coarse().filter(|_| self.meta.nlist >= CODED_NLIST_MIN)?;
        let seed = self.meta.seed;
        let train = |job: &Job| CodedCoarse::train(&coarse, seed, job);
        let made = self.coded_coarse.get_or_init(|| {
            // Without it every centroid is compared: slower, and no less right.
            parallel::run(1, |_| check_for_interrupts(), train).ok()?.ok()
        });
        made.as_ref()
    }

    /// What happens to a vector before it is coded.
    pub fn transform(&self) -> Transform<'_> {
        self.code.as_ref().map_or_else(Transform::default, |code| {
            Transform::new(self.meta.metric, &code.coded.params, code.rotation.as_ref())
        })
    }

    /// The coarse quantizer; None when untrained.
    pub fn coarse(&self) -> Option<Coarse<'_>> {
        let (metric, dims) = (self.meta.metric, self.meta.dims);
        self.meta.is_trained.then_some(Coarse { metric, dims, centroids: &self.centroids })
    }

    fn read(pages: &PgPages) -> Result<Self, Error> {
        let meta = Meta::read(pages)?;
        let centroids = read_centroids(pages, &meta)?;
        let code = match meta.coded {
            Some(coded) => Some(TrainedCode::read(pages, &meta, coded)?),
            None => None,
        };
        let coded_coarse = OnceCell::new();
        let (recent, recent_rows) = Default::default();
        Ok(Self { meta, centroids, coded_coarse, code, recent, recent_rows })
    }

    fn bytes(&self) -> usize {
        let code = self.code.as_ref().map_or(0, |code| code.bytes(self.meta.dims));
        size_of::<Self>() + self.centroids.len() * size_of::<f32>() + code
    }
}

/// The frozen part of an index of any kind.
#[derive(Clone)]
pub enum Index {
    /// Inverted lists, or a single one: also a graph that has too few rows yet.
    Lists(Rc<IvfIndex>),
    Graph(Rc<HnswIndex>),
}

impl Index {
    fn read(pages: &PgPages) -> Result<Self, Error> {
        Ok(match is_graph(pages)? {
            true => Self::Graph(Rc::new(HnswIndex::read(pages)?)),
            false => Self::Lists(Rc::new(IvfIndex::read(pages)?)),
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Lists(index) => index.bytes(),
            Self::Graph(index) => index.bytes(),
        }
    }

    /// How nearness is measured, and the elements of a vector.
    pub fn metric_and_dims(&self) -> (Metric, usize) {
        match self {
            Self::Lists(index) => (index.meta.metric, index.meta.dims),
            Self::Graph(index) => (index.meta.params.metric, index.meta.params.dims),
        }
    }

    /// Where its blocks were last found in shared buffers.
    pub fn recent(&self) -> Rc<RecentBuffers> {
        Rc::clone(match self {
            Self::Lists(index) => &index.recent,
            Self::Graph(index) => &index.recent,
        })
    }
}

/// Whether the metapage is that of a graph.
fn is_graph(pages: &PgPages) -> Result<bool, Error> {
    Ok(hnsw::Meta::is_graph(&*pages.read(META_BLKNO)?))
}

struct Entry {
    relid: pg_sys::Oid,
    file_number: u32,
    index: Index,
}

thread_local! {
    /// Most recently used last.
    static CACHE: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// The frozen part of an index that is no graph. Raises 0A000 for a graph.
pub fn ivf_index(rel: pg_sys::Relation, pages: &PgPages) -> Rc<IvfIndex> {
    match frozen_index(rel, pages) {
        Index::Lists(index) => index,
        Index::Graph(_) => Report::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("index \"{}\" is a graph and has no inverted lists", rel::name(rel)),
        )
        .error(),
    }
}

/// The frozen part of the open index `rel`, from the cache or from its pages.
pub fn frozen_index(rel: pg_sys::Relation, pages: &PgPages) -> Index {
    // SAFETY: an open relation.
    let relid = unsafe { (*rel).rd_id };
    let file_number = rel::file_number(rel);
    let hit = CACHE.with_borrow_mut(|cache| {
        let at = cache.iter().rposition(|e| e.relid == relid && e.file_number == file_number)?;
        let last = cache.len() - 1;
        cache.swap(at, last);
        cache.last().map(|e| e.index.clone())
    });
    if let Some(index) = hit.filter(|index| !has_become_graph(rel, pages, index)) {
        return index;
    }
    register();
    let index = checked(rel, Index::read(pages));
    CACHE.with_borrow_mut(|cache| {
        cache.retain(|e| e.relid != relid);
        cache.push(Entry { relid, file_number, index: index.clone() });
        while cache.len() > ENTRIES_MAX
            || cache.len() > 1 && cache.iter().map(|e| e.index.bytes()).sum::<usize>() > BYTES_MAX
        {
            cache.remove(0);
        }
    });
    index
}

/// Whether somebody made a graph of the list that this backend knows.
fn has_become_graph(rel: pg_sys::Relation, pages: &PgPages, known: &Index) -> bool {
    let is_list = matches!(known, Index::Lists(_));
    is_list && method_of(rel).is_some_and(|m| m.is_graph) && checked(rel, is_graph(pages))
}

fn register() {
    if !REGISTERED.replace(true) {
        // SAFETY: registered once per backend; the function lives as long as the library.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(forget), pg_sys::Datum::from(0)) };
    }
}

/// Relcache invalidation of `relid`, or of everything (InvalidOid).
#[pg_guard]
unsafe extern "C-unwind" fn forget(_arg: pg_sys::Datum, relid: pg_sys::Oid) {
    CACHE.with(|cache| {
        // Borrowed only while an entry is looked up, and no lookup runs server code inside.
        if let Ok(mut cache) = cache.try_borrow_mut() {
            cache.retain(|e| relid != pg_sys::InvalidOid && e.relid != relid);
        }
    });
}
