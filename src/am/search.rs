//! The search behind a scan, by what the index stores.

use ann::element::Bits;
use ann::topk::Hit;
use half::f16;
use pages::Error;
use pages::lists::flat::FlatScanner;
use pages::lists::scan::Scan;
use pages::lists::scanner::ListScanner;
use pages::search::filter::Filter;
use pages::search::params::{Found, SearchParams};

use super::graph::GraphSearch;
use super::last_scan::Work;
use super::opclass::ElementType;
use super::pages::PgPages;
use super::relation::Index;
use super::rerank::CodedSearch;

/// A search, by what the index stores.
pub enum Search {
    F32(Scan<FlatScanner<f32>>),
    F16(Scan<FlatScanner<f16>>),
    Bit(Scan<FlatScanner<Bits>>),
    Coded(Box<CodedSearch>),
    Graph(Box<GraphSearch>),
}

impl Search {
    /// Lets go of what must not be held while the scan waits to be started over.
    pub fn rest(&mut self) {
        match self {
            Self::F32(_) | Self::F16(_) | Self::Bit(_) => {}
            Self::Coded(search) => search.rest(),
            Self::Graph(search) => search.rest(),
        }
    }

    /// Starts over with a query of vectors as they are.
    pub fn begin(&mut self, element: ElementType, query: &[f32], params: SearchParams) {
        match (element, &*self) {
            // Only graphs are over sparse vectors.
            (ElementType::Sparse, _) => return,
            (ElementType::F32, Self::F32(_))
            | (ElementType::F16, Self::F16(_))
            | (ElementType::Bit, Self::Bit(_)) => {}
            (ElementType::F32, _) => *self = Self::F32(Scan::new()),
            (ElementType::F16, _) => *self = Self::F16(Scan::new()),
            (ElementType::Bit, _) => *self = Self::Bit(Scan::new()),
        }
        match self {
            Self::F32(search) => search.begin(query, params),
            Self::F16(search) => search.begin(query, params),
            Self::Bit(search) => search.begin(query, params),
            Self::Coded(_) | Self::Graph(_) => {}
        }
    }

    /// The next row that passes the filter, in the order of our distances; marks of dead rows count if they are trusted.
    pub fn next(
        &mut self,
        pages: &PgPages,
        index: &Index,
        filter: Option<&Filter>,
        trusts_marks: bool,
    ) -> Result<Option<Found>, Error> {
        match (index, self) {
            (Index::Lists(ivf), Self::F32(search)) => {
                search.next(pages, &ivf.view().trusting(trusts_marks).filtered(filter))
            }
            (Index::Lists(ivf), Self::F16(search)) => {
                search.next(pages, &ivf.view().trusting(trusts_marks).filtered(filter))
            }
            (Index::Lists(ivf), Self::Bit(search)) => {
                search.next(pages, &ivf.view().trusting(trusts_marks).filtered(filter))
            }
            (Index::Lists(ivf), Self::Coded(search)) => search.next(pages, ivf, filter),
            (Index::Graph(graph), Self::Graph(search)) => search.next(pages, graph, filter),
            _ => Ok(None),
        }
    }

    /// Makes sure that at least so many lists are searched before the next row comes; false if they are.
    pub fn search_lists(&mut self, n: usize) -> bool {
        match self {
            Self::F32(search) => search.search_lists(n),
            Self::F16(search) => search.search_lists(n),
            Self::Bit(search) => search.search_lists(n),
            Self::Coded(search) => search.search_lists(n),
            Self::Graph(_) => false,
        }
    }

    /// Ends the search as if it had returned all rows: only those follow that came too late for a strict order.
    pub fn finish(&mut self) {
        match self {
            Self::F32(search) => search.finish(),
            Self::F16(search) => search.finish(),
            Self::Bit(search) => search.finish(),
            Self::Coded(search) => search.finish(),
            Self::Graph(search) => search.finish(),
        }
    }

    /// How many vectors it visited before it ended at the user's bound, if it did.
    pub fn visited_in_vain(&self) -> Option<u64> {
        let work = self.work();
        work.is_cut_short.then_some(work.scored)
    }

    /// What it has done so far.
    pub fn work(&self) -> Work {
        match self {
            Self::F32(search) => work_of(search),
            Self::F16(search) => work_of(search),
            Self::Bit(search) => work_of(search),
            Self::Coded(search) => search.work(),
            Self::Graph(search) => search.work(),
        }
    }

    /// Where the row is that it returned last, if the executor has to say whether it is dead to all.
    pub fn last_given(&self) -> Option<Hit> {
        match self {
            Self::F32(search) => search.last_given(),
            Self::F16(search) => search.last_given(),
            Self::Bit(search) => search.last_given(),
            Self::Coded(_) | Self::Graph(_) => None,
        }
    }

    /// Frees what the server knows of.
    pub fn end(&mut self) {
        match self {
            Self::F32(_) | Self::F16(_) | Self::Bit(_) => {}
            Self::Coded(search) => search.end(),
            Self::Graph(search) => search.end(),
        }
    }
}

/// What a scan of vectors as they are has done so far: each distance is the real one.
fn work_of<L: ListScanner>(search: &Scan<L>) -> Work {
    Work {
        lists_probed: Some(search.lists_probed()),
        scored: search.visited(),
        skipped: search.skipped(),
        reranked: 0,
        is_cut_short: search.is_cut_short(),
    }
}
