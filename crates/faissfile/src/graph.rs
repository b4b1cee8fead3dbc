//! The links of a graph in a file, read into memory once it is known that they make sense.

use ann::hnsw::MAX_LEVEL;

use crate::chain::Chain;
use crate::error::Error;
use crate::import::refused;
use crate::index::{Body, Graph, Index};
use crate::source::{Source, Span};

/// No link.
pub const NO_LINK: u32 = u32::MAX;
/// Elements read at once.
const AT_ONCE: usize = 64 << 10;
/// The most slots of a vector on all levels.
const SLOTS_MAX: u32 = 1 << 16;

/// A graph of a file, with what lies around it.
#[derive(Debug)]
pub struct FileGraph<'i> {
    index: &'i Index,
    graph: Graph,
    /// The index of its vectors.
    pub storage: &'i Index,
    /// Whether the vectors are divided by their norm.
    pub normalizes: bool,
    /// The ids of its vectors; None: their numbers.
    pub ids: Option<Span>,
}

/// Links in memory.
#[derive(Debug, PartialEq)]
pub struct Links {
    /// Where the slots of each level begin in those of a vector.
    cumulative: Vec<u32>,
    /// The level of each vector, counted from 0.
    levels: Vec<u8>,
    /// Where the slots of each vector begin.
    starts: Vec<u64>,
    slots: Vec<u32>,
}

impl<'i> FileGraph<'i> {
    /// The graph of an index. [`Error::Unsupported`] for an index that is none, or of vectors that are turned.
    pub fn of(source: &mut dyn Source, index: &'i Index) -> Result<Self, Error> {
        let (mut inner, mut ids, mut normalizes) = (index, None, false);
        loop {
            inner = match &inner.body {
                Body::IdMap { inner: next, ids: found } if ids.is_none() => {
                    ids = Some(*found);
                    next
                }
                Body::PreTransform { chain, inner: next } => {
                    let room = pages::blob::SIZE_MAX as u64;
                    let chain = Chain::read(source, chain, next.header.dims, room)?;
                    if chain.rotation.is_some() {
                        let hint =
                            "Distances would be those of the turned vectors; build a graph here.";
                        return Err(refused(inner, "its vectors are turned", hint));
                    }
                    normalizes |= chain.normalizes;
                    next
                }
                Body::Hnsw { graph, storage } => {
                    return Ok(Self { index: inner, graph: *graph, storage, normalizes, ids });
                }
                _ => {
                    let hint = "Graphs are IndexHNSWFlat and IndexHNSWSQ, also within IndexIDMap.";
                    return Err(refused(inner, "it is no graph", hint));
                }
            }
        }
    }

    /// Its number of vectors.
    pub fn len(&self) -> u64 {
        self.index.header.ntotal
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that [`FileGraph::links`] takes.
    pub fn bytes(&self) -> u64 {
        self.graph.neighbours.len.saturating_mul(4).saturating_add(self.len().saturating_mul(9))
    }

    /// FAISS's M: the links of a vector above level 0.
    pub fn m(&self, source: &mut dyn Source) -> Result<u32, Error> {
        let cumulative = self.cumulative(source)?;
        match cumulative.as_slice() {
            [_, first, second, ..] => Ok(second - first),
            [_, first] => Ok(first / 2),
            _ => Ok(0),
        }
    }

    fn damaged(&self, at: u64, what: String) -> Error {
        Error::Damaged { code: self.index.code, at, what }
    }

    fn cumulative(&self, source: &mut dyn Source) -> Result<Vec<u32>, Error> {
        let span = self.graph.cumulative;
        if !(2..=256).contains(&span.len) {
            return Err(self.damaged(span.at, format!("a table of {} levels", span.len)));
        }
        let mut numbers = Vec::new();
        for x in integers(source, span, 0, span.len as usize)? {
            let before = numbers.last().copied();
            match u32::try_from(x) {
                Ok(x) if before.map_or(x == 0, |before| x > before) && x <= SLOTS_MAX => {
                    numbers.push(x);
                }
                _ => {
                    let at = span.place(numbers.len() as u64);
                    return Err(self.damaged(at, format!("the slots of levels go to {x}")));
                }
            }
        }
        Ok(numbers)
    }

    /// The links, all of them held against the number of vectors.
    pub fn links(&self, source: &mut dyn Source) -> Result<Links, Error> {
        let cumulative = self.cumulative(source)?;
        let n = self.len();
        let mut links =
            Links { cumulative, levels: Vec::new(), starts: vec![0], slots: Vec::new() };
        let mut end = 0u64;
        for first in (0..n).step_by(AT_ONCE) {
            let some = AT_ONCE.min((n - first) as usize);
            let levels = integers(source, self.graph.levels, first, some)?;
            let ends = self.graph.offsets.longs(source, first + 1, some)?;
            for (i, (level, found)) in (first..).zip(levels.into_iter().zip(ends)) {
                let most = links.cumulative.len().min(usize::from(MAX_LEVEL) + 2);
                let own = usize::try_from(level).ok().filter(|level| (1..most).contains(level));
                let Some(own) = own else {
                    let at = self.graph.levels.place(i);
                    return Err(self.damaged(at, format!("a vector of {level} levels")));
                };
                end += u64::from(links.cumulative.get(own).copied().unwrap_or(0));
                if found != end as i64 {
                    let at = self.graph.offsets.place(i + 1);
                    return Err(self.damaged(at, format!("links end at {found}, not at {end}")));
                }
                links.levels.push(own as u8 - 1);
                links.starts.push(end);
            }
        }
        let span = self.graph.neighbours;
        if end != span.len {
            return Err(self.damaged(span.at, format!("{} slots where {end} belong", span.len)));
        }
        for first in (0..span.len).step_by(AT_ONCE) {
            let some = AT_ONCE.min((span.len - first) as usize);
            for (i, link) in (first..).zip(integers(source, span, first, some)?) {
                match u32::try_from(link) {
                    Ok(link) if u64::from(link) < n => links.slots.push(link),
                    _ if link == -1 => links.slots.push(NO_LINK),
                    _ => return Err(self.damaged(span.place(i), format!("a link to {link}"))),
                }
            }
        }
        Ok(links)
    }
}

impl Links {
    /// The level of a vector.
    pub fn level(&self, number: u32) -> u8 {
        self.levels.get(number as usize).copied().unwrap_or(0)
    }

    /// The links of a vector on a level.
    pub fn of(&self, number: u32, level: u8) -> &[u32] {
        let (number, level) = (number as usize, usize::from(level));
        let parts =
            (self.starts.get(number), self.cumulative.get(level), self.cumulative.get(level + 1));
        let (Some(start), Some(from), Some(to)) = parts else { return &[] };
        if level > usize::from(self.levels.get(number).copied().unwrap_or(0)) {
            return &[];
        }
        let range = *start as usize + *from as usize..*start as usize + *to as usize;
        let slots = self.slots.get(range).unwrap_or_default();
        slots.split(|link| *link == NO_LINK).next().unwrap_or_default()
    }
}

fn integers(source: &mut dyn Source, span: Span, first: u64, n: usize) -> Result<Vec<i32>, Error> {
    let bytes =
        Span { at: span.place(first), len: n as u64 * 4, width: 1 }.bytes(source, 0, n * 4)?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
}
