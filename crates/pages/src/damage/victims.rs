//! Small indexes, one of every kind: with and without lists, of every code, of short vectors and of such as go over
//! several pages. Each was built, grown and vacuumed, and kept as it was in between.

use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::factory::{Refine, RotationKind};
use ann::hnsw::{Factors, Grid};
use ann::metric::Metric;
use half::f16;

use super::coding::{Trained, unit};
use super::opened::Opened;
use super::rows::{fill, tid_no, vector_of};
use super::verbs;
use crate::error::Error;
use crate::hnsw::build::{Source, build};
use crate::hnsw::{Code as GraphCode, MetaParams as GraphParams};
use crate::lists::{CodeParams, Fit, ListsParams, MetaParams};
use crate::mem::MemPages;
use crate::page::META_BLKNO;
use crate::search::attributes::Attributes;
use crate::tid::Tid;

/// An index to be damaged.
pub struct Victim {
    /// What it is, in a word.
    pub name: &'static str,
    /// Its pages.
    pub pages: MemPages,
    /// Its pages as they were before, oldest first.
    pub earlier: Vec<MemPages>,
    /// Its rows.
    pub n_rows: usize,
}

/// What an index is made of.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    element: u8,
    metric: Metric,
    dims: usize,
    /// 0: untrained. A graph has none.
    nlist: usize,
    n_rows: u32,
    structure: Structure,
    /// Widths of the attributes.
    attributes: &'static [u8],
}

#[derive(Clone, Copy)]
enum Structure {
    Flat,
    Coded(CodeKind, Refine, RotationKind),
    /// Links and code.
    Graph(usize, GraphCode),
    /// One whose searches go by vectors.
    ByVectors(usize, GraphCode),
}

const F32: u8 = f32::TAG;
const F16: u8 = f16::TAG;
const BITS: u8 = Bits::TAG;
const SPARSE: u8 = ann::kernels::sparse::TAG;

const fn kind(
    name: &'static str,
    (element, metric, dims): (u8, Metric, usize),
    (nlist, n_rows): (usize, u32),
    structure: Structure,
) -> Kind {
    Kind { name, element, metric, dims, nlist, n_rows, structure, attributes: &[] }
}

const fn with_attributes(kind: Kind, attributes: &'static [u8]) -> Kind {
    Kind { attributes, ..kind }
}

const fn coded(kind: CodeKind, refine: Refine) -> Structure {
    Structure::Coded(kind, refine, RotationKind::None)
}

const KINDS: [Kind; 29] = [
    kind("flat", (F32, Metric::L2, 16), (3, 300), Structure::Flat),
    kind("flat, long", (F32, Metric::Cosine, 3000), (2, 16), Structure::Flat),
    kind("flat, one list", (F16, Metric::L1, 24), (0, 600), Structure::Flat),
    kind("bits", (BITS, Metric::Hamming, 100), (3, 300), Structure::Flat),
    kind("bits, one list", (BITS, Metric::Jaccard, 9), (0, 600), Structure::Flat),
    kind("sqfp16", (F32, Metric::L2, 24), (3, 200), coded(CodeKind::SqFp16, Refine::Heap)),
    kind("sq8, sq8", (F32, Metric::InnerProduct, 100), (3, 150), coded(CodeKind::Sq8, Refine::Sq8)),
    kind("sq4, long", (F32, Metric::L2, 3000), (2, 40), coded(CodeKind::Sq4, Refine::Flat)),
    kind(
        "pq, sqfp16",
        (F32, Metric::L2, 40),
        (3, 200),
        coded(CodeKind::Pq { m: 10, nbits: 5 }, Refine::SqFp16),
    ),
    kind(
        "pq of 9 bits",
        (F16, Metric::Cosine, 6),
        (2, 150),
        coded(CodeKind::Pq { m: 3, nbits: 9 }, Refine::Heap),
    ),
    kind("pqfs", (F16, Metric::L2, 16), (3, 300), coded(CodeKind::PqFs { m: 8 }, Refine::Flat)),
    kind(
        "pqfs, rotated",
        (F32, Metric::InnerProduct, 60),
        (2, 200),
        Structure::Coded(CodeKind::PqFs { m: 20 }, Refine::Heap, RotationKind::Random),
    ),
    kind(
        "rabitq",
        (F32, Metric::Cosine, 300),
        (2, 100),
        coded(CodeKind::RaBitQ { nbits: 1 }, Refine::Flat),
    ),
    kind(
        "rabitq of 4 bits",
        (F32, Metric::L2, 64),
        (3, 200),
        coded(CodeKind::RaBitQ { nbits: 4 }, Refine::Heap),
    ),
    kind(
        "rabitq, long",
        (F16, Metric::L2, 5000),
        (1, 40),
        coded(CodeKind::RaBitQ { nbits: 8 }, Refine::Sq8),
    ),
    with_attributes(
        kind("flat, attributes", (F32, Metric::Cosine, 20), (4, 300), Structure::Flat),
        &[4, 1, 16],
    ),
    with_attributes(
        kind(
            "pqfs, attributes",
            (F32, Metric::L2, 16),
            (2, 200),
            coded(CodeKind::PqFs { m: 8 }, Refine::Flat),
        ),
        &[8, 2],
    ),
    kind("flat, coded centroids", (F32, Metric::L2, 2), (4200, 500), Structure::Flat),
    kind("graph", (F32, Metric::L2, 16), (0, 250), Structure::Graph(4, GraphCode::Flat)),
    kind(
        "graph, sqfp16",
        (F32, Metric::Cosine, 30),
        (0, 150),
        Structure::Graph(3, GraphCode::SqFp16),
    ),
    with_attributes(
        kind(
            "graph, attributes",
            (F32, Metric::L2, 12),
            (0, 200),
            Structure::Graph(3, GraphCode::Flat),
        ),
        &[4, 8, 1],
    ),
    kind("graph, sq8", (F16, Metric::L2, 16), (0, 250), Structure::Graph(2, GraphCode::Sq8)),
    kind(
        "graph, by vectors",
        (F32, Metric::Cosine, 40),
        (0, 150),
        Structure::ByVectors(4, GraphCode::Flat),
    ),
    kind(
        "graph, bits",
        (BITS, Metric::Hamming, 70),
        (0, 250),
        Structure::Graph(4, GraphCode::Flat),
    ),
    kind(
        "graph, long bits",
        (BITS, Metric::Jaccard, 40_000),
        (0, 60),
        Structure::Graph(3, GraphCode::Flat),
    ),
    kind(
        "graph, sparse",
        (SPARSE, Metric::L2, 1000),
        (0, 250),
        Structure::Graph(4, GraphCode::Flat),
    ),
    kind(
        "graph, sparse, cosine",
        (SPARSE, Metric::Cosine, 1_000_000_000),
        (0, 100),
        Structure::Graph(3, GraphCode::Flat),
    ),
    kind("graph, l1", (F16, Metric::L1, 600), (0, 80), Structure::Graph(3, GraphCode::Flat)),
    kind(
        "graph, long",
        (F32, Metric::InnerProduct, 3000),
        (0, 50),
        Structure::Graph(2, GraphCode::Flat),
    ),
];

/// One index of every kind.
pub fn victims() -> Result<Vec<Victim>, Error> {
    KINDS.iter().map(Victim::new).collect()
}

/// The name of every kind, in the order of [`victims`].
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// The index of one kind.
pub fn victim(no: usize) -> Result<Victim, Error> {
    let kind = KINDS.get(no % KINDS.len());
    Victim::new(kind.ok_or_else(|| Error::corrupted(META_BLKNO, "there is no such kind"))?)
}

impl Victim {
    fn new(kind: &Kind) -> Result<Self, Error> {
        let pages = kind.built()?;
        let index = Opened::read(&pages)?;
        let mut earlier = vec![pages.fork()];
        let n = kind.n_rows;
        verbs::insert(&index, &pages, n, n / 2)?;
        earlier.push(pages.fork());
        verbs::vacuum(&index, &pages, |tid| tid.to_u64().is_multiple_of(3))?;
        earlier.push(pages.fork());
        verbs::insert(&index, &pages, 2 * n, n / 8)?;
        let kept = (0..n + n / 2).filter(|i| !tid_no(*i).to_u64().is_multiple_of(3)).count();
        Ok(Self { name: kind.name, pages, earlier, n_rows: kept + n as usize / 8 })
    }
}

impl Kind {
    fn built(&self) -> Result<MemPages, Error> {
        match (self.structure, self.element) {
            (Structure::Graph(m, code), _) => self.graph(m, code, false),
            (Structure::ByVectors(m, code), _) => self.graph(m, code, true),
            (_, F16) => self.lists::<f16>(),
            (_, BITS) => self.lists::<Bits>(),
            _ => self.lists::<f32>(),
        }
    }

    fn params(&self) -> Result<MetaParams, Error> {
        Ok(MetaParams {
            lists: ListsParams {
                element: self.element,
                metric: self.metric,
                dims: self.dims,
                code: match self.structure {
                    Structure::Coded(kind, refine, rotation) => {
                        let normalize = self.metric == Metric::Cosine;
                        Some(CodeParams { kind, refine, rotation, normalize })
                    }
                    _ => None,
                },
                attributes: self.attributes()?,
            },
            nlist_option: self.nlist as u32,
            is_code_chosen: false,
            seed: 1,
            trained_rows: 0,
            fit: Fit::default(),
            model: None,
            built_xid: 0,
        })
    }

    /// Numbers that no row has, as the coarse quantizer and the codes see vectors.
    fn points(&self, n: usize) -> Vec<f32> {
        let mut points = vec![0.0; n * self.dims];
        for (i, point) in points.chunks_exact_mut(self.dims).enumerate() {
            fill(1 << 40 | i as u64, point);
            if self.element == BITS {
                point.iter_mut().for_each(|x| *x = f32::from(u8::from(*x > 0.0)));
            }
            point.copy_from_slice(&unit(self.metric == Metric::Cosine, point, self.dims));
        }
        points
    }

    fn attributes(&self) -> Result<Attributes, Error> {
        let unfit = || Error::corrupted(META_BLKNO, "has no such attributes");
        Attributes::new(self.attributes).ok_or_else(unfit)
    }

    fn lists<E: Element>(&self) -> Result<MemPages, Error> {
        let params = self.params()?;
        let sample = self.points(Trained::n_sample(&params.lists));
        let trained = Trained::new(params, self.points(self.nlist), &sample)?;
        let row = |i| (tid_no(i), vector_of::<E>(tid_no(i), self.dims));
        let rows: Vec<_> = (0..self.n_rows).map(row).collect();
        Ok(trained.build(rows.iter().map(|(tid, vector)| (*tid, &vector[..])))?.0)
    }

    /// A graph that grew from nothing.
    fn graph(&self, m: usize, code: GraphCode, by_vectors: bool) -> Result<MemPages, Error> {
        let attributes = self.attributes()?;
        let params = GraphParams {
            element: self.element,
            metric: self.metric,
            dims: self.dims,
            m,
            ef_construction: 16,
            code,
            seed: 1,
            trained_rows: 100,
            attributes,
        };
        let sample = if params.is_sparse() { Vec::new() } else { self.points(100) };
        let grid = Grid::train(self.metric, params.grid_dims(), &sample);
        let (pages, _) = build(MemPages::default(), &params, &grid, &[], &mut Nothing(by_vectors))?;
        let index = Opened::read(&pages)?;
        verbs::insert(&index, &pages, 0, self.n_rows)?;
        Ok(pages)
    }
}

/// A graph without nodes; whether searches go by vectors.
struct Nothing(bool);

impl Source for Nothing {
    fn entry(&self) -> Option<u32> {
        None
    }

    fn level(&self, _node: u32) -> u8 {
        0
    }

    fn links(&self, _node: u32, _level: usize, _out: &mut Vec<u32>) {}

    fn by_vectors(&self) -> bool {
        self.0
    }

    fn code(&self, _node: u32) -> (&[u8], Factors) {
        (&[], Factors::NONE)
    }

    fn n_rows(&self, _node: u32) -> usize {
        0
    }

    fn tids(&self, _node: u32, _out: &mut Vec<Tid>) {}

    fn vector(&mut self, _node: u32) -> Result<&[u8], Error> {
        Ok(&[])
    }
}
