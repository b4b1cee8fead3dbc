//! What recall costs in inverted lists. A neighbour is found if its list is searched and its code puts it among the candidates:
//! where both are, for the neighbours of some rows, gives the recall of every nprobe and k_factor.

use std::collections::{HashMap, HashSet};

use ann::coarse::Coarse;
use ann::exact::Ranked;
use ann::factory::Refine;
use ann::parallel::{Job, for_each_chunk};
use ann::topk::Hit;
use ann::tuning::Curve;
use ann::tuning::probing::{self, ProbeRule, Profile, squared};
use ann::tuning::reach::{K_FACTOR_MAX, Place, Price, curve_of_lists};
use pages::Error;
use pages::lists::coded::CodedScanner;
use pages::lists::scan::Scan;
use pages::lists::scan::batch::{self, BatchParams};
use pages::lists::{ListsIndex, Meta};
use pages::search::params::{Iterative, SearchParams};
use pages::tid::Tid;
use pgrx::pg_sys;

use super::neighbours::{Neighbours, QUERIES_MAX, on_workers};
use crate::am::build::IndexSpec;
use crate::am::build_log;
use crate::am::guc;
use crate::am::interrupts::check_for_interrupts;
use crate::am::measure::clock;
use crate::am::pages::PgPages;
use crate::am::quantizers::Trained;
use crate::am::report::checked;
use crate::am::transform::Transform;
use crate::am::value::Column;

/// One row asks for each this many lists, so that the measurement takes a few hundredths of the training.
const LISTS_PER_QUERY: usize = 5;
/// The fewest rows that ask.
const QUERIES_MIN: usize = 64;
/// Queries that are in memory together with their candidates.
const TOGETHER: usize = 32;
/// Candidates of a query that are looked at: those for a hundred rows by the largest k_factor.
const CANDIDATES: usize = (100.0 * K_FACTOR_MAX) as usize;
/// Of a hundred of the ten nearest neighbours, those in whose lists codes are looked at.
const SEARCHED: (usize, usize) = (199, 200);
/// All queries together look at the codes of at most this multiple of the rows.
const CODES_LOOKED_AT: usize = 64;
/// Bytes of copies of lists in memory.
const COPIES: usize = 4 << 20;

/// The neighbours of some rows, on their way through the rows of a build.
pub struct ListNeighbours<E: Column>(Neighbours<E>);

impl<E: Column> ListNeighbours<E> {
    /// None where there is nothing to choose: one list of vectors as they are.
    pub fn new(spec: &IndexSpec, trained: &Trained) -> Option<Self> {
        let nlist = trained.centroids.len() / spec.dims.max(1);
        if nlist <= 1 && trained.codec.is_none() {
            return None;
        }
        let n = (nlist / LISTS_PER_QUERY).clamp(QUERIES_MIN, QUERIES_MAX);
        Some(Self(Neighbours::new(spec.metric, spec.dims, n, &trained.queries)))
    }

    /// Looks at rows that were assigned to lists.
    pub fn see(&mut self, tids: &[Tid], list_nos: &[u32], elements: &[E]) {
        self.0.see(tids, list_nos, elements);
    }

    /// Measures by the pages of `index`, which are all written, and puts the curve into its metapage.
    pub fn measure(self, index: pg_sys::Relation, spec: &IndexSpec, trained: &Trained) {
        // SAFETY: the index stays open as long as the build runs.
        let pages = unsafe { PgPages::new(index) };
        let lists = checked(index, ListsIndex::open(&pages));
        let measured = self.measured(index, (&pages, &lists), spec, trained);
        checked(index, Meta::put_curve(&pages, &measured.curve, measured.rule.as_ref()));
    }

    /// Measures by the pages of lists, which are all written.
    pub fn measured(
        self,
        index: pg_sys::Relation,
        (pages, lists): (&PgPages, &ListsIndex),
        spec: &IndexSpec,
        trained: &Trained,
    ) -> Measured {
        let (compared, before) = (self.0.took, clock::of_process());
        let measured = checked(index, measure((pages, lists), spec, trained, self.0.finish()));
        build_log::measured(index, compared, clock::of_process() - before);
        measured
    }
}

/// What recall costs on an index, and how a search chooses its lists.
pub struct Measured {
    pub curve: Curve,
    pub rule: Option<ProbeRule>,
}

/// What recall costs, by the neighbours of some rows.
fn measure(
    (pages, index): (&PgPages, &ListsIndex),
    spec: &IndexSpec,
    trained: &Trained,
    asked: Vec<Ranked>,
) -> Result<Measured, Error> {
    let (coarse, transform) = (trained.coarse(spec), trained.transform(spec));
    let nlist = coarse.nlist().max(1);
    let mut seen = vec![(None, Vec::new()); asked.len()];
    let find = |job: &Job| {
        for_each_chunk(&mut seen, 1, |i, seen| {
            if let (Some(ranked), Some(seen), false) =
                (asked.get(i), seen.first_mut(), job.cancelled())
            {
                *seen = lists_of(&coarse, &transform, ranked);
            }
        });
    };
    on_workers(find);
    let (profiles, mut places): (Vec<Option<Profile>>, Vec<Vec<Place>>) = seen.into_iter().unzip();
    if trained.codec.is_some() {
        let nprobe = searched(&places, nlist, asked.len());
        put_candidates(pages, index, &transform, nprobe, (&asked, &mut places))?;
    }
    let ranks: Vec<Vec<u32>> =
        places.iter().map(|places| places.iter().map(|place| place.list).collect()).collect();
    let widths = probing::fit(&profiles, &ranks, nlist);
    for (query, places) in places.iter_mut().enumerate() {
        places.iter_mut().for_each(|place| place.list = widths.before(query, place.list));
    }
    let curve = curve_of_lists(&places, nlist as u32, price(&index.meta));
    Ok(Measured { curve, rule: widths.rule })
}

/// What a query sees of the lists, and in which of them, counted from the nearest to the query, each neighbour lies.
fn lists_of(
    coarse: &Coarse<'_>,
    transform: &Transform<'_>,
    ranked: &Ranked,
) -> (Option<Profile>, Vec<Place>) {
    let (mut distances, mut profile) = (Vec::new(), None);
    if coarse.nlist() > 1 {
        let mut point = Vec::new();
        transform.apply(&ranked.point, &mut point);
        coarse.distances(&point, &mut distances);
        squared(coarse.metric, &point, &mut distances);
    }
    let mut order: Vec<u32> = (0..distances.len() as u32).collect();
    let distance = |list: &u32| distances.get(*list as usize).copied().unwrap_or(f32::NAN);
    order.sort_unstable_by(|a, b| distance(a).total_cmp(&distance(b)).then(a.cmp(b)));
    if !order.is_empty() {
        profile = Profile::new(&order.iter().map(distance).collect::<Vec<f32>>());
    }
    let mut rank = vec![0; distances.len()];
    for (at, list) in (0..).zip(order) {
        if let Some(rank) = rank.get_mut(list as usize) {
            *rank = at;
        }
    }
    let list = |hit: &Hit| rank.get(hit.at as usize).copied().unwrap_or(0);
    let places = ranked.nearest.iter().map(|hit| Place { list: list(hit), candidate: 0 }).collect();
    (profile, places)
}

/// How many lists are searched to see where codes put the neighbours.
fn searched(places: &[Vec<Place>], nlist: usize, queries: usize) -> usize {
    let mut lists: Vec<u32> =
        places.iter().flat_map(|places| places.iter().take(10)).map(|place| place.list).collect();
    lists.sort_unstable();
    let at = lists.len() * SEARCHED.0 / SEARCHED.1;
    let enough = lists.get(at).or(lists.last()).map_or(1, |list| *list as usize + 1);
    enough.min((CODES_LOOKED_AT * nlist / queries.max(1)).max(1)).min(nlist)
}

/// Finds behind how many candidates each neighbour comes, by real scans of the codes.
fn put_candidates(
    pages: &PgPages,
    index: &ListsIndex,
    transform: &Transform<'_>,
    nprobe: usize,
    (asked, places): (&[Ranked], &mut [Vec<Place>]),
) -> Result<(), Error> {
    let params = SearchParams {
        nprobe,
        rule: None,
        iterative: Iterative::Off,
        max_scan_tuples: u64::MAX,
        max_probes: usize::MAX,
        rows_wanted: None,
        memory: 0,
    };
    for (asked, places) in asked.chunks(TOGETHER).zip(places.chunks_mut(TOGETHER)) {
        check_for_interrupts();
        let mut scans: Vec<Scan<CodedScanner>> = asked
            .iter()
            .map(|ranked| {
                let (mut scan, mut point) = (Scan::new(), Vec::new());
                transform.apply(&ranked.point, &mut point);
                scan.begin_candidates(&point, params, CANDIDATES, 1);
                scan
            })
            .collect();
        let together = BatchParams { threads: guc::build_threads(), memory: COPIES };
        let mut begun: Vec<_> = scans.iter_mut().collect();
        batch::first_tranches(pages, &index.view(), &mut begun, together)?;
        for ((scan, ranked), places) in scans.iter().zip(asked).zip(places) {
            put_ranks(scan.first_tranche(), ranked, places, nprobe as u32);
        }
    }
    put_unseen(places, nprobe as u32);
    Ok(())
}

/// The ranks of a query's neighbours among its candidates. Rows equal to the query are not among them: they are the query.
fn put_ranks(found: &[Hit], ranked: &Ranked, places: &mut [Place], nprobe: u32) {
    let equals: HashSet<u64> = ranked.equals.iter().copied().collect();
    let mut found: Vec<Hit> =
        found.iter().filter(|hit| !equals.contains(&hit.id)).copied().collect();
    found.sort_unstable_by(Hit::order);
    let rank: HashMap<u64, u32> = found.iter().zip(0..).map(|(hit, at)| (hit.id, at)).collect();
    for (place, hit) in places.iter_mut().zip(&ranked.nearest) {
        place.candidate = match rank.get(&hit.id) {
            Some(rank) => *rank,
            None if place.list < nprobe => u32::MAX,
            None => UNSEEN,
        };
    }
}

/// The mark of a neighbour whose list was not searched.
const UNSEEN: u32 = u32::MAX - 1;

/// Codes judge neighbours in far lists as they judge others at the same place among the neighbours: those of other queries.
fn put_unseen(places: &mut [Vec<Place>], nprobe: u32) {
    let longest = places.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..longest {
        let of = |places: &Vec<Place>| places.get(at).copied();
        let mut seen: Vec<u32> = places
            .iter()
            .filter_map(of)
            .filter(|place| place.list < nprobe)
            .map(|place| place.candidate)
            .collect();
        seen.sort_unstable();
        let mut next = 0;
        for place in places.iter_mut().filter_map(|places| places.get_mut(at)) {
            if place.candidate == UNSEEN {
                // A spread of them, as the seen ones have.
                next = (next + seen.len() / 3 + 1) % seen.len().max(1);
                place.candidate = seen.get(next).copied().unwrap_or(0);
            }
        }
    }
}

/// What a list and a candidate cost, in nanoseconds, about.
fn price(meta: &Meta) -> Price {
    let (dims, rows) = (meta.dims() as f64, meta.build_rows.max(1) as f64);
    let per_list = rows / meta.nlist() as f64;
    let Some(code) = meta.code() else { return Price { list: per_list, candidate: None } };
    let scored = 2.0 + code.kind.code_size(meta.dims()) as f64 / 16.0;
    let vector = dims * 4.0;
    let from_table = 900.0 + vector / 8.0 + if vector > 2000.0 { 3000.0 } else { 0.0 };
    let candidate = match code.refine {
        Refine::Heap => from_table,
        Refine::Flat => 200.0 + vector / 8.0,
        Refine::SqFp16 | Refine::Sq8 => 150.0 + vector / 32.0 + from_table / 4.0,
    };
    Price { list: 400.0 + per_list * scored, candidate: Some(candidate) }
}
