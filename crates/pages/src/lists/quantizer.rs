//! The coarse quantizer: centroids as the entries of one list, whose tids are list numbers, read where they lie.
//!
//! Few centroids are compared one by one. Many of them have a code of 4 bits for every one or two components: a fast-scan of
//! all codes reads a sixteenth of the bytes, and the best candidates are compared as they are. (Groups of centroids would not
//! do: of 65,536 text embeddings in 1,024 groups, those groups that hold 40 % of them have but 97 % of the 256 nearest, where
//! the codes find over 99 %.)

use ann::codec::{self, CodeKind, Codec, Coding};
use ann::element::{Bits, Element};
use ann::extent::shortened;
use ann::factory::{Refine, RotationKind};
use ann::kmeans::TrainError;
use ann::metric::Metric;
use ann::parallel::Job;
use ann::topk::{Hit, TopK};

use crate::error::Error;
use crate::lists::build::{Entry, TrainedParts};
use crate::lists::coded::CodedScanner;
use crate::lists::flat::FlatScanner;
use crate::lists::locate::ListVectors;
use crate::lists::scanner::{ListScanner, Probed, View, Window};
use crate::lists::sort::Runs;
use crate::lists::trained::TrainedCode;
use crate::lists::{CodeParams, InvertedLists, ListsParams};
use crate::page::META_BLKNO;
use crate::search::attributes::Attributes;
use crate::search::exact::{ExactQuery, StoredRows};
use crate::search::rerank::Exact;
use crate::store::{BulkPages, Pages};
use crate::tid::Tid;

use super::build::area::AreaWriter;

/// From this many centroids on, a code of them pays.
pub const CODED_NLIST_MIN: usize = 4096;
/// Components of a sub-quantizer at most, where the dimension has a divisor that makes it so.
const DSUB_MAX: usize = 2;
/// Candidates compared for each list wanted, and beyond.
const WIDTH: usize = 4;
const SPARE: usize = 64;

/// What the centroids of `nlist` lists are stored as.
pub fn params(lists: &ListsParams, nlist: usize) -> ListsParams {
    let is_bits = lists.element == Bits::TAG;
    let metric = match lists.metric {
        metric if metric.is_spherical() => Metric::InnerProduct,
        metric if is_bits => metric,
        _ => Metric::L2,
    };
    let code = (nlist >= CODED_NLIST_MIN && !is_bits).then(|| CodeParams {
        kind: code_kind(lists.dims),
        refine: Refine::Flat,
        rotation: RotationKind::None,
        normalize: false,
    });
    ListsParams {
        element: if is_bits { Bits::TAG } else { f32::TAG },
        metric,
        dims: lists.dims,
        code,
        attributes: Attributes::default(),
    }
}

/// The fewest sub-quantizers that divide a dimension and have few components each.
fn code_kind(dims: usize) -> CodeKind {
    let enough = dims.div_ceil(DSUB_MAX);
    let m = (enough..=dims).find(|m| dims.is_multiple_of(*m)).unwrap_or(dims);
    CodeKind::PqFs { m: u16::try_from(m).unwrap_or(u16::MAX) }
}

/// Trains the code of the centroids (nlist × dims), if there are enough of them to have one: for 65,536 centroids 0.15 s of one
/// core at 128 dimensions, 0.9 s at 768. Runs on the pool it is called in.
pub fn train(
    lists: &ListsParams,
    centroids: &[f32],
    seed: u64,
    job: &Job,
) -> Result<Option<Codec>, TrainError> {
    let params = params(lists, centroids.len().checked_div(lists.dims).unwrap_or(0));
    let Some(code) = params.code else { return Ok(None) };
    codec::train(code.kind, params.space(), centroids, seed, job).map(Some)
}

/// Names a list as an entry of the quantizer does.
fn tid_of_list(list_no: u32) -> Tid {
    Tid::new(list_no, 1)
}

/// Writes the centroids.
pub(super) fn write<W: BulkPages, R: Runs>(
    sink: &mut W,
    spool: &mut R,
    lists: &InvertedLists,
    trained: &TrainedParts<'_>,
) -> Result<InvertedLists, Error> {
    let codec = trained.quantizer;
    let model = codec.map_or(&[][..], Coding::params);
    let mut area = AreaWriter::new(sink, lists, codec, model)?;
    let mut payload = Vec::new();
    for (list_no, centroid) in (0..).zip(trained.centroids.chunks_exact(lists.params.dims)) {
        payload.clear();
        if let Some(codec) = codec {
            payload.resize(codec.bare_size(), 0);
            codec.encode(centroid, &[], &mut payload, &mut []);
        }
        match lists.params.element {
            Bits::TAG => payload.extend_from_slice(bytemuck::cast_slice(&Bits::pack(centroid))),
            _ => payload.extend_from_slice(bytemuck::cast_slice(centroid)),
        }
        let tid = tid_of_list(list_no);
        let entry = Entry { list_no: 0, tid, coarse_distance: 0.0, payload: &payload };
        area.add(sink, spool, &entry)?;
    }
    area.finish(sink, spool)
}

/// The coarse quantizer of an open index. It holds no centroids.
#[derive(Debug)]
pub struct Quantizer {
    /// The list of centroids.
    pub lists: InvertedLists,
    /// Number of centroids.
    pub nlist: usize,
    code: Option<TrainedCode>,
}

/// A query on its way through the centroids, with what it reuses from call to call.
pub struct CentroidQuery {
    scanner: Scanner,
    /// The query as it is compared: not longer than arithmetic bears.
    point: Vec<f32>,
    nearest: TopK,
}

/// What compares centroids, by how they are stored.
enum Scanner {
    Floats(FlatScanner<f32>),
    Bits(FlatScanner<Bits>),
    Coded(Box<CodedScanner>),
}

impl Quantizer {
    /// Reads what the centroids' code was trained to. `nlist`: how many there are.
    pub fn open<P: Pages>(pages: &P, lists: &InvertedLists, nlist: usize) -> Result<Self, Error> {
        Ok(Self { lists: *lists, nlist, code: TrainedCode::read(pages, lists)? })
    }

    /// A query with nothing in it.
    pub fn query(&self) -> CentroidQuery {
        let scanner = match (&self.code, self.lists.params.element) {
            (Some(_), _) => Scanner::Coded(Box::new(CodedScanner::new())),
            (None, Bits::TAG) => Scanner::Bits(FlatScanner::new()),
            (None, _) => Scanner::Floats(FlatScanner::new()),
        };
        CentroidQuery { scanner, point: Vec::new(), nearest: TopK::new(0) }
    }

    fn view(&self) -> View<'_> {
        let codec = self.code.as_ref().map(|code| &code.codec);
        View { lists: &self.lists, quantizer: None, codec, trusts_marks: false, filter: None }
    }

    /// Puts the `n` lists nearest to `q` into `out`, in order, ties by list number: a hit's id is the list's number and its key
    /// the coarse distance, squared L2 (of bits Hamming), or the negative inner product under a spherical metric.
    ///
    /// Where centroids are coded more than 99 in 100 are the very nearest, and a later call for more may bring a list among the
    /// first `n` that was passed over before: a scan that goes on must know which lists it has read.
    pub fn nearest<P: Pages>(
        &self,
        pages: &P,
        q: &[f32],
        n: usize,
        query: &mut CentroidQuery,
        out: &mut Vec<Hit>,
    ) -> Result<(), Error> {
        query.point.clear();
        query.point.extend_from_slice(&shortened(q));
        let n = n.min(self.nlist);
        let CentroidQuery { scanner, point, nearest } = query;
        match scanner {
            Scanner::Floats(scanner) => self.scan(pages, scanner, point, n, nearest)?,
            Scanner::Bits(scanner) => self.scan(pages, scanner, point, n, nearest)?,
            Scanner::Coded(scanner) => {
                let wanted = n.saturating_mul(WIDTH).saturating_add(SPARE).min(self.nlist);
                self.scan(pages, &mut **scanner, point, wanted, nearest)?;
                nearest.sort_into(out);
                self.compare(pages, point, out)?;
            }
        }
        if self.code.is_none() {
            nearest.sort_into(out);
        }
        out.truncate(n);
        for hit in out.iter_mut() {
            hit.id = u64::from(Tid::from_u64(hit.id).blkno);
            if hit.id >= self.nlist as u64 {
                let what = format!("coarse quantizer names list {} of {}", hit.id, self.nlist);
                return Err(Error::corrupted(self.lists.codes_first, what));
            }
        }
        Ok(())
    }

    fn scan<P: Pages, S: ListScanner>(
        &self,
        pages: &P,
        scanner: &mut S,
        point: &[f32],
        n: usize,
        nearest: &mut TopK,
    ) -> Result<(), Error> {
        let view = self.view();
        nearest.reset(n);
        scanner.set_query(point);
        if !scanner.prepare(&view) {
            return Err(Error::corrupted(META_BLKNO, "query does not fit the index"));
        }
        let only = Probed { list_no: 0, distance: 0.0 };
        scanner.scan_list(pages, &view, only, &Window::ALL, nearest).map(drop)
    }

    /// Replaces the candidates' estimates by their distances, and puts them in order.
    fn compare<P: Pages>(&self, pages: &P, q: &[f32], hits: &mut [Hit]) -> Result<(), Error> {
        let exact = ExactQuery::new(self.lists.params.metric, q);
        let key = |row: &[f32]| exact.key(row);
        let mut rows = StoredRows::at(pages, ListVectors::of(&self.lists), key)?;
        // Candidates that lie on the same pages come together.
        hits.sort_unstable_by_key(|hit| hit.at);
        let mut keys = vec![f64::NAN; hits.len()];
        rows.keys(hits, &mut |i, key| {
            if let Some(place) = keys.get_mut(i) {
                *place = key;
            }
        })?;
        hits.iter_mut().zip(keys).for_each(|(hit, key)| hit.key = key);
        hits.sort_unstable_by(Hit::order);
        Ok(())
    }

    /// The list that `x` belongs to and its coarse distance; list 0 at +∞ where every distance is NaN.
    pub fn assign<P: Pages>(
        &self,
        pages: &P,
        x: &[f32],
        query: &mut CentroidQuery,
    ) -> Result<(u32, f32), Error> {
        let mut nearest = Vec::new();
        self.nearest(pages, x, 1, query, &mut nearest)?;
        let first = nearest.first().filter(|hit| !hit.key.is_nan());
        Ok(first.map_or((0, f32::INFINITY), |hit| (hit.id as u32, hit.key as f32)))
    }

    /// Replaces `out` by the centroid of a list.
    pub fn centroid<P: Pages>(
        &self,
        pages: &P,
        list_no: u32,
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        out.clear();
        self.visit(pages, &[list_no], |centroid| out.extend_from_slice(centroid))?;
        if out.len() == self.lists.params.dims && out.iter().all(|x| x.is_finite()) {
            return Ok(());
        }
        Err(Error::corrupted(self.lists.vectors_first, "a centroid is not finite"))
    }

    /// All centroids, nlist × dims row-major: for those who compare every one with many vectors.
    pub fn centroids<P: Pages>(&self, pages: &P) -> Result<Vec<f32>, Error> {
        let list_nos: Vec<u32> = (0..self.nlist as u32).collect();
        // Meta::read has bounded nlist by the pages there are.
        let mut all = Vec::with_capacity(self.nlist * self.lists.params.dims);
        self.visit(pages, &list_nos, |centroid| all.extend_from_slice(centroid))?;
        if all.iter().any(|x| !x.is_finite()) {
            return Err(Error::corrupted(self.lists.vectors_first, "a centroid is not finite"));
        }
        Ok(all)
    }

    /// Shows the centroids of some lists, in their order. List n is the entry in slot n.
    fn visit<P: Pages>(
        &self,
        pages: &P,
        list_nos: &[u32],
        mut look: impl FnMut(&[f32]),
    ) -> Result<(), Error> {
        let places = ListVectors::of(&self.lists);
        let at = |list_no: &u32| u64::from(*list_no);
        if self.lists.params.element != Bits::TAG {
            let rows = StoredRows::at(pages, places, ())?;
            return rows.visit(list_nos, at, |_, row: &[f32]| look(row));
        }
        let dims = self.lists.params.dims;
        let rows = StoredRows::at(pages, places, ())?;
        rows.visit(list_nos, at, |_, row: &[Bits]| look(&Bits::widened(row, dims)))
    }
}
