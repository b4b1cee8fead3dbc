//! What every callback needs of an index and must not decode each time: its metapage and its trained code,
//! or its grid, kept once per backend and storage. Centroids are read where they lie.
//!
//! All are written at build, so an entry is right as long as the relation keeps its file and META speaks of the same build:
//! lists may be built anew in place, a list of few rows becomes a graph, and the recall curve of a graph is measured again. The relcache callback drops entries of relations
//! that changed; a running scan keeps its own reference.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use ann::Metric;
use pages::Error;
use pages::META_BLKNO;
use pages::hnsw;
use pages::lists::quantizer::{CentroidQuery, Quantizer};
use pages::lists::{ListsIndex, Meta};
use pages::page::Blkno;
use pages::store::Pages;
use pgrx::{PgSqlErrorCode, pg_guard, pg_sys};

use super::graph::HnswIndex;
use super::pages::PgPages;
use super::recent::RecentBuffers;
use super::rel;
use super::report::{Report, checked};
use super::transform::Transform;

/// How many indexes a backend remembers, and how many bytes of codebooks and rotations.
const ENTRIES_MAX: usize = 32;
const BYTES_MAX: usize = 256 << 20;

/// The part of an index of lists that stays as long as its build, and what this backend has learnt of it.
pub struct IvfIndex {
    index: ListsIndex,
    /// What inserts find their list by; taken while one is on its way.
    centroid_query: Cell<Option<CentroidQuery>>,
    /// Where its blocks were last found in shared buffers, and those of its table.
    pub recent: Rc<RecentBuffers>,
    pub recent_rows: Rc<RecentBuffers>,
    /// From how many blocks on an insert looks whether the lists should be trained.
    pub look_from: Cell<Blkno>,
}

impl Deref for IvfIndex {
    type Target = ListsIndex;

    fn deref(&self) -> &ListsIndex {
        &self.index
    }
}

impl IvfIndex {
    /// What happens to a vector before it is coded.
    pub fn transform(&self) -> Transform<'_> {
        self.code.as_ref().map_or_else(Transform::default, |code| {
            Transform::new(self.meta.metric(), &code.params, code.rotation.as_ref())
        })
    }

    /// The list that a vector belongs to, as it is coded, and its coarse distance; list 0 at distance 0 when untrained.
    pub fn assign(&self, pages: &PgPages, point: &[f32]) -> Result<(u32, f32), Error> {
        let Some(quantizer) = &self.quantizer else { return Ok((0, 0.0)) };
        let mut query = self.centroid_query.take().unwrap_or_else(|| Quantizer::query(quantizer));
        let assigned = quantizer.assign(pages, point, &mut query);
        self.centroid_query.set(Some(query));
        assigned
    }

    fn read(pages: &PgPages) -> Result<Self, Error> {
        Self::of(pages, Meta::read(pages)?)
    }

    /// Lists that META describes, or is about to.
    pub fn of(pages: &PgPages, meta: Meta) -> Result<Self, Error> {
        let (centroid_query, recent, recent_rows) = Default::default();
        let (index, look_from) = (ListsIndex::of(pages, meta)?, Cell::new(0));
        Ok(Self { index, centroid_query, recent, recent_rows, look_from })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.trained_bytes()
    }
}

/// What a build wrote into an index of any kind and nobody changes.
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
            Self::Lists(index) => (index.meta.metric(), index.meta.dims()),
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

/// The same of an index that is no graph. Raises 0A000 for a graph.
pub fn ivf_index(rel: pg_sys::Relation, pages: &PgPages) -> Rc<IvfIndex> {
    match cached_index(rel, pages) {
        Index::Lists(index) => index,
        Index::Graph(_) => Report::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("index \"{}\" is a graph and has no inverted lists", rel::name(rel)),
        )
        .error(),
    }
}

/// What a build wrote into the open index `rel`, from the cache or from its pages.
pub fn cached_index(rel: pg_sys::Relation, pages: &PgPages) -> Index {
    // SAFETY: an open relation.
    let relid = unsafe { (*rel).rd_id };
    let file_number = rel::file_number(rel);
    let hit = CACHE.with_borrow_mut(|cache| {
        let at = cache.iter().rposition(|e| e.relid == relid && e.file_number == file_number)?;
        let last = cache.len() - 1;
        cache.swap(at, last);
        cache.last().map(|e| e.index.clone())
    });
    if let Some(index) = hit.filter(|index| checked(rel, is_current(pages, index))) {
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

/// Whether nobody has built the lists anew that this backend knows, or made a graph of them, or measured the graph again.
fn is_current(pages: &PgPages, known: &Index) -> Result<bool, Error> {
    Ok(match known {
        Index::Graph(graph) => hnsw::Meta::measurements(pages)? == Some(graph.meta.measured.times),
        Index::Lists(lists) => Meta::generation(pages)? == Some(lists.meta.builds.generation),
    })
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
