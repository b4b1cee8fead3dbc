//! What can be in a file: FAISS's indexes, with places instead of what is large.

use crate::error::FourCc;
use crate::source::Span;

/// FAISS's number for the inner product.
pub const INNER_PRODUCT: i32 = 0;
/// FAISS's number for the (squared) Euclidean distance.
pub const L2: i32 = 1;
/// FAISS's number for the taxicab distance.
pub const L1: i32 = 2;

/// What every index begins with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Header {
    /// Components of a vector, before anything is done to it.
    pub dims: usize,
    /// Vectors it counts.
    pub ntotal: u64,
    /// Whether it is trained.
    pub is_trained: bool,
    /// FAISS's number of its metric.
    pub metric: i32,
}

/// One index of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Index {
    /// Its type.
    pub code: FourCc,
    /// Where it begins.
    pub at: u64,
    /// What every index begins with.
    pub header: Header,
    /// What it holds.
    pub body: Body,
}

/// What an index holds beside its header.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// Vectors as they are.
    Flat {
        /// ntotal × dims floats.
        vectors: Span,
    },
    /// Scalar codes.
    Sq {
        /// Their quantizer.
        sq: Sq,
        /// The codes.
        codes: Span,
    },
    /// Product codes.
    Pq {
        /// Their quantizer.
        pq: Pq,
        /// The codes.
        codes: Span,
    },
    /// Product codes in blocks for fast-scan.
    PqFs {
        /// Their quantizer.
        pq: Pq,
    },
    /// RaBitQ codes, in blocks or one after the other.
    RaBitQ {
        /// Their quantizer.
        rabitq: RaBitQ,
        /// The codes, unless in blocks.
        codes: Option<Span>,
        /// What residuals are taken against.
        centre: Span,
    },
    /// Inverted lists.
    Ivf(Box<Ivf>),
    /// A graph over the vectors of another index.
    Hnsw {
        /// Its links.
        graph: Graph,
        /// Its vectors.
        storage: Box<Index>,
    },
    /// Vectors are changed before they come to the inner index.
    PreTransform {
        /// By these, one after the other.
        chain: Vec<Transform>,
        /// The index.
        inner: Box<Index>,
    },
    /// Candidates of one index are put in order by another.
    Refine {
        /// The first.
        base: Box<Index>,
        /// The other.
        refine: Box<Index>,
    },
    /// Vectors have numbers of the user's own.
    IdMap {
        /// What they have numbers in.
        inner: Box<Index>,
        /// The numbers.
        ids: Span,
    },
}

/// A product quantizer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pq {
    /// Sub-quantizers, which divide the dimension.
    pub m: usize,
    /// Bits of each, 1..=24.
    pub nbits: u32,
    /// dims × 2^nbits floats.
    pub centroids: Span,
}

/// A scalar quantizer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sq {
    /// FAISS's number of the kind.
    pub kind: i32,
    /// Bytes of a code.
    pub code_size: usize,
    /// The least values, then the ranges; empty where nothing is trained.
    pub trained: Span,
}

/// RaBitQ's parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RaBitQ {
    /// Bits of a component, 1..=9.
    pub nbits: u32,
    /// Bytes of a code with its factors.
    pub code_size: usize,
}

/// Inverted lists with their coarse quantizer.
#[derive(Clone, PartialEq, Debug)]
pub struct Ivf {
    /// How many lists.
    pub nlist: u64,
    /// The index of their centroids.
    pub quantizer: Index,
    /// Whether codes are of residuals.
    pub by_residual: bool,
    /// The code.
    pub code: IvfCode,
    /// What is in the lists.
    pub lists: Lists,
}

/// The code of inverted lists.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum IvfCode {
    /// Vectors as they are.
    Flat,
    /// A scalar quantizer.
    Sq(Sq),
    /// A product quantizer.
    Pq(Pq),
    /// One for fast-scan.
    PqFs(Pq),
    /// RaBitQ.
    RaBitQ(RaBitQ),
}

/// The entries of inverted lists.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Lists {
    /// None are stored.
    None,
    /// Of each list its codes, then its numbers.
    Array {
        /// Bytes of a code.
        code_size: u64,
        /// The length of every list, or of a few lists their numbers and lengths.
        sizes: Span,
        /// Whether only a few lists are named.
        is_sparse: bool,
        /// Where the first list begins.
        first: u64,
    },
    /// Codes in blocks for fast-scan.
    Blocks,
}

/// The links of a graph.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Graph {
    /// Where the slots of each level begin in those of a node, one more than there are levels.
    pub cumulative: Span,
    /// The levels of each node, counted from 1.
    pub levels: Span,
    /// Where the slots of each node begin, one more than there are nodes.
    pub offsets: Span,
    /// All slots; −1 is empty.
    pub neighbours: Span,
    /// Where searches start; −1 in an empty graph.
    pub entry: i32,
    /// efConstruction.
    pub ef_construction: i32,
}

/// What is done to a vector.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Transform {
    /// Its type.
    pub code: FourCc,
    /// Where it begins.
    pub at: u64,
    /// Components before and after.
    pub dims: (usize, usize),
    /// Whether it is trained.
    pub is_trained: bool,
    /// What it does.
    pub step: Step,
}

/// What a transform does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    /// A·x + b.
    Linear {
        /// Whether it was drawn at random.
        is_random: bool,
        /// A, a row for each component after.
        matrix: Span,
        /// b; empty: none.
        bias: Span,
    },
    /// Division by the norm.
    Normalize,
    /// Anything else, which is passed over.
    Other,
}
