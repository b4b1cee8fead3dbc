//! Which index suits a column: candidates in the order of their speed, each with the bytes of our formats, and the first
//! that memory has room for. The bench's figures behind the order are in the manual, under Codes.

use ann::Metric;
use ann::codec::CodeKind;
use ann::factory::{Factory, LINKS_DEFAULT, Refine, RotationKind};
use ann::tuning::pilot::SHORTEST;
use pages::hnsw;
use pages::lists::size::built_bytes;
use pages::lists::{CodeParams, ListsParams};
use pages::search::attributes::Attributes;

use super::column::element_bytes;
use crate::am::build::CODED_DIMS_MIN;
use crate::am::method::{FAISSFLAT, FAISSHNSW, FAISSIVF, Method};
use crate::am::opclass::ElementType;
use crate::am::options::EF_CONSTRUCTION_DEFAULT;

/// Below this many rows every row is compared.
pub const FLAT_ROWS: u64 = 100_000;
/// Bytes of vectors that are compared one by one in some 5 ms. Beyond, their codes are compared.
const FLAT_BYTES: u64 = 64 << 20;
/// From this many rows on, a graph is tried first: its cost grows like their logarithm, that of lists like their square
/// root.
pub const GRAPH_ROWS: u64 = 1_000_000;
/// Above this many rows the build of a graph takes too long.
const GRAPH_ROWS_MAX: u64 = 10_000_000;
/// Above this many rows a table should be partitioned.
pub const PARTITION_ROWS: u64 = 100_000_000;
/// Above this recall the guesses of a code of half a byte and less a component cost more candidates than they save.
const EXACT_RECALL: f64 = 0.99;
/// Vectors of at most this many bytes gain little by a code.
const SHORT_BYTES: usize = 256;
/// From this many dimensions on, one bit a component says enough.
const RABITQ_DIMS: usize = 256;

/// Vectors as they are, in no lists.
const PLAIN: Factory = Factory {
    normalize: false,
    rotation: RotationKind::None,
    nlist: None,
    graph: None,
    code: None,
    refine: Refine::Heap,
};

/// What there is to be indexed, and what is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Rows of each partition.
    pub rows: u64,
    /// Indexes it takes: one for each partition.
    pub partitions: u64,
    pub dims: usize,
    pub element: ElementType,
    pub metric: Metric,
    /// Whether the table keeps its vectors in TOAST.
    pub out_of_line: bool,
    pub target_recall: f64,
    /// Bytes that the index may take.
    pub memory: u64,
    /// Inverted lists, as many as there are by rule and room to train them.
    pub nlist: u32,
    /// Whether a rotation can be built.
    pub can_rotate: bool,
}

/// Why a candidate is worth its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merit {
    /// Exact, nothing to set.
    Exact,
    /// Vectors as they are, in lists.
    Plain,
    /// A walk over a graph, whose cost hardly grows with the rows.
    Graph,
    /// Codes alone, real distances by the table's rows.
    Codes,
    /// One byte a component: hardly any loss.
    Bytes,
    /// About one bit a component.
    Bits,
    /// The smallest there is.
    Smallest,
}

/// An index that might be built.
#[derive(Clone, Copy)]
pub struct Candidate {
    pub method: &'static Method,
    pub factory: Factory,
    pub merit: Merit,
}

/// The recommendation.
pub struct Choice {
    pub candidate: Candidate,
    pub bytes: u64,
    /// Whether memory has room for it.
    pub fits: bool,
    /// The next one that is smaller.
    pub smaller: Option<(Candidate, u64)>,
}

impl Candidate {
    /// Bytes of the index, or of all partitions' indexes.
    pub fn bytes(&self, wish: &Wish) -> u64 {
        let Factory { normalize, rotation, code, refine, nlist, graph } = self.factory;
        if graph.is_some() {
            let bytes = graph_params(wish).and_then(|p| hnsw::size::built_bytes(&p, wish.rows));
            return bytes.map_or(u64::MAX, |bytes| bytes.saturating_mul(wish.partitions));
        }
        let params = ListsParams {
            element: wish.element.tag(),
            metric: wish.metric,
            dims: wish.dims,
            code: code.map(|kind| CodeParams { kind, refine, rotation, normalize }),
            attributes: Attributes::NONE,
        };
        let trained = nlist.map_or(u32::from(code.is_some()), |nlist| nlist) as usize;
        built_bytes(&params, trained, wish.rows).unwrap_or(u64::MAX) * wish.partitions
    }
}

/// What a graph with the default options is.
pub fn graph_params(wish: &Wish) -> Option<hnsw::MetaParams> {
    Some(hnsw::MetaParams {
        element: wish.element.tag(),
        metric: wish.metric,
        dims: wish.dims,
        m: usize::from(LINKS_DEFAULT),
        ef_construction: EF_CONSTRUCTION_DEFAULT as usize,
        code: hnsw::Code::Flat,
        seed: 0,
        trained_rows: 0,
        attributes: Attributes::NONE,
    })
}

/// The first candidate that memory has room for, else the smallest.
pub fn choose(wish: &Wish) -> Choice {
    let sized = candidates(wish).into_iter().map(|c| (c, c.bytes(wish)));
    let sized: Vec<(Candidate, u64)> = sized.collect();
    let first = sized.iter().position(|(_, bytes)| *bytes <= wish.memory);
    let smallest = (0..sized.len()).min_by_key(|i| sized.get(*i).map(|(_, bytes)| *bytes));
    let at = first.or(smallest).unwrap_or_default();
    let flat = || (exact(), exact().bytes(wish));
    let (candidate, bytes) = sized.get(at).copied().unwrap_or_else(flat);
    let smaller = sized.into_iter().skip(at + 1).find(|(_, other)| *other < bytes * 9 / 10);
    Choice { candidate, bytes, fits: first.is_some(), smaller }
}

/// What may be built, the best first.
fn candidates(wish: &Wish) -> Vec<Candidate> {
    let vector_bytes = wish.dims * element_bytes(wish.element);
    let needs_exact = wish.target_recall > EXACT_RECALL;
    let flat = exact();
    if wish.target_recall >= 1.0 {
        return vec![flat];
    }
    if wish.metric == Metric::L1 {
        let has_graph = (FLAT_ROWS..=GRAPH_ROWS_MAX).contains(&wish.rows);
        return if has_graph { vec![graph(), flat] } else { vec![flat] };
    }
    let is_small = wish.rows < FLAT_ROWS && wish.rows * vector_bytes as u64 <= FLAT_BYTES;
    let has_lists = wish.rows >= FLAT_ROWS || !is_small && !needs_exact;
    let is_short = vector_bytes <= SHORT_BYTES;
    let mut all = Vec::new();
    if !has_lists {
        all.push(flat);
    }
    let new = |merit, rotation, code, refine| {
        let (method, nlist) =
            if has_lists { (&FAISSIVF, Some(wish.nlist)) } else { (&FAISSFLAT, None) };
        let factory = Factory { rotation, nlist, code, refine, ..PLAIN };
        Candidate { method, factory, merit }
    };
    let graph_rows = if needs_exact { FLAT_ROWS } else { GRAPH_ROWS };
    if (graph_rows..=GRAPH_ROWS_MAX).contains(&wish.rows) {
        all.push(graph());
    }
    let plain = RotationKind::None;
    if has_lists && (needs_exact || is_short && wish.rows < 10 * FLAT_ROWS) {
        all.push(new(Merit::Plain, plain, None, Refine::Heap));
    }
    if needs_exact {
        all.push(new(Merit::Bytes, plain, Some(CodeKind::Sq8), Refine::Heap));
    }
    if let Some((rotation, code)) = usual_code(wish) {
        all.push(new(Merit::Codes, rotation, Some(code), Refine::Heap));
    }
    if let Some((rotation, bits)) = bit_code(wish) {
        all.push(new(Merit::Bits, rotation, Some(bits), Refine::Heap));
    }
    if let Some(m) = divisor(wish.dims, wish.dims / 16) {
        let rotation = if wish.can_rotate { RotationKind::Opq { m } } else { plain };
        let code = CodeKind::Pq { m, nbits: 8 };
        all.push(new(Merit::Smallest, rotation, Some(code), Refine::Heap));
    }
    if all.is_empty() {
        all.push(flat);
    }
    all
}

/// Every row compared.
fn exact() -> Candidate {
    Candidate { method: &FAISSFLAT, factory: PLAIN, merit: Merit::Exact }
}

/// A graph with the default options.
fn graph() -> Candidate {
    let factory = Factory { graph: Some(LINKS_DEFAULT), ..PLAIN };
    Candidate { method: &FAISSHNSW, factory, merit: Merit::Graph }
}

/// What a build tries first where no code is asked for; of short vectors 4-bit product codes of two components each, if the
/// dimension allows.
fn usual_code(wish: &Wish) -> Option<(RotationKind, CodeKind)> {
    if wish.dims >= CODED_DIMS_MIN {
        return Some((RotationKind::Hadamard, SHORTEST));
    }
    let m = divisor(wish.dims, wish.dims / 2).filter(|m| usize::from(*m) * 4 >= wish.dims)?;
    Some((RotationKind::None, CodeKind::PqFs { m }))
}

/// About one bit a component.
fn bit_code(wish: &Wish) -> Option<(RotationKind, CodeKind)> {
    if wish.dims >= RABITQ_DIMS {
        return Some((RotationKind::Hadamard, CodeKind::RaBitQ { nbits: 1 }));
    }
    let m = divisor(wish.dims, wish.dims / 8)?;
    Some((RotationKind::None, CodeKind::Pq { m, nbits: 8 }))
}

/// The largest divisor of `dims` up to `most`, from half of `most` on.
fn divisor(dims: usize, most: usize) -> Option<u16> {
    let most = most.min(usize::from(*ann::codec::M_RANGE.end()));
    let found = (most.div_ceil(2).max(1)..=most).rev().find(|m| dims.is_multiple_of(*m))?;
    u16::try_from(found).ok()
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use ann::Metric;
    use pgrx::pg_test;

    use super::{Wish, choose};
    use crate::am::opclass::ElementType;

    const MB: u64 = 1 << 20;

    fn wish(rows: u64, dims: usize, memory: u64) -> Wish {
        Wish {
            rows,
            partitions: 1,
            dims,
            element: ElementType::F32,
            metric: Metric::L2,
            out_of_line: false,
            target_recall: 0.95,
            memory,
            nlist: ann::optimal_nlist(rows),
            can_rotate: true,
        }
    }

    fn chosen(wish: &Wish) -> String {
        let choice = choose(wish);
        let dot = if choice.fits { "" } else { " (too large)" };
        format!("{} {}{dot}", choice.candidate.method.name, choice.candidate.factory)
    }

    #[pg_test]
    fn pgtest_rows_and_memory_choose_the_index() {
        let million = 1_000_000;
        for (rows, dims, memory, expected) in [
            (0, 3, MB, "faissflat Flat"),
            (99_999, 128, 64 * MB, "faissflat Flat"),
            (99_999, 768, 64 * MB, "faissivf HR,IVF1024,RaBitQ2"),
            (200_000, 128, 64 * MB, "faissivf HR,IVF2048,RaBitQ2"),
            (200_000, 32, 64 * MB, "faissivf IVF2048,Flat"),
            (200_000, 1009, 8192 * MB, "faissivf HR,IVF2048,RaBitQ2"),
            (million, 768, 8192 * MB, "faisshnsw HNSW32,Flat"),
            (million, 768, 4000 * MB, "faissivf HR,IVF4096,RaBitQ2"),
            (million, 768, 160 * MB, "faissivf HR,IVF4096,RaBitQ"),
            (10 * million, 64, 512 * MB, "faissivf IVF16384,PQ32x4fs"),
            (million, 768, 80 * MB, "faissivf OPQ48,IVF4096,PQ48"),
            (million, 768, MB, "faissivf OPQ48,IVF4096,PQ48 (too large)"),
            (10 * million, 128, 512 * MB, "faissivf HR,IVF16384,RaBitQ2"),
            (10 * million, 128, 300 * MB, "faissivf IVF16384,PQ16"),
            (200 * million, 96, 8192 * MB, "faissivf HR,IVF65536,RaBitQ2"),
        ] {
            let wish = wish(rows, dims, memory);
            assert_eq!(chosen(&wish), expected, "{rows} rows, {dims} dimensions, {memory} bytes");
        }
    }

    #[pg_test]
    fn pgtest_recall_metric_and_storage_count_too() {
        let usual = wish(1_000_000, 384, 1024 * MB);
        let with = |change: fn(&mut Wish)| {
            let mut wish = usual;
            change(&mut wish);
            chosen(&wish)
        };
        for same in [|_: &mut Wish| (), |w: &mut Wish| w.memory *= 2] {
            assert_eq!(with(same), "faissivf HR,IVF4096,RaBitQ2");
        }
        assert_eq!(with(|w| w.target_recall = 0.999), "faissivf IVF4096,SQ8");
        assert_eq!(with(|w| w.target_recall = 1.0), "faissflat Flat (too large)");
        assert_eq!(with(|w| w.metric = Metric::L1), "faissflat Flat (too large)");
        let four = |w: &mut Wish| (w.partitions, w.memory) = (4, 300 * MB);
        assert_eq!(with(four), "faissivf HR,IVF4096,RaBitQ");
        let small = |w: &mut Wish| (w.can_rotate, w.memory) = (false, MB);
        assert_eq!(with(small), "faissivf IVF4096,PQ24 (too large)");
    }

    #[pg_test]
    fn pgtest_what_needs_less_memory_is_smaller() {
        for dims in [2, 7, 24, 100, 128, 384, 768, 1536, 3072] {
            for rows in [1000, 150_000, 5_000_000] {
                let choice = choose(&wish(rows, dims, u64::MAX));
                let smaller = choice.smaller.map_or(0, |(_, bytes)| bytes);
                assert!(choice.fits && smaller < choice.bytes, "{dims} {rows}");
                let again = choose(&wish(rows, dims, choice.bytes - 1));
                assert!(again.bytes < choice.bytes || !again.fits, "{dims} {rows}");
            }
        }
    }
}
