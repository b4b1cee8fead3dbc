//! Links that a build takes over instead of searching for them: those of a FAISS graph, by the tids of its rows. They are given to
//! the next build of one index, that of the REINDEX which `faiss.import_graph` runs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ann::hnsw;
use faissfile::Links;
use pages::tid::Tid;
use pgrx::pg_sys;

use super::rows::{Nodes, Rows};

/// No node, or no vector of the file.
const NONE: u32 = u32::MAX;

/// The links of a file.
pub struct Adopted {
    index: pg_sys::Oid,
    links: Links,
    /// Rows of the table and their numbers in the file, by tid.
    numbers: Vec<(u64, u32)>,
    n_file: usize,
    /// Nodes whose links are from the file, and nodes in all.
    counts: Cell<(u64, u64)>,
}

thread_local! {
    static GIVEN: RefCell<Option<Rc<Adopted>>> = const { RefCell::new(None) };
}

/// While it lives, a build of the index takes the links over.
pub struct Guard(Rc<Adopted>);

impl Guard {
    /// `numbers`: rows of the table, as [`Tid::to_u64`], with their numbers in a file of `n_file` vectors.
    pub fn new(
        index: pg_sys::Oid,
        links: Links,
        mut numbers: Vec<(u64, u32)>,
        n_file: usize,
    ) -> Self {
        numbers.sort_unstable();
        let counts = Cell::new((0, 0));
        let given = Rc::new(Adopted { index, links, numbers, n_file, counts });
        GIVEN.set(Some(Rc::clone(&given)));
        Self(given)
    }

    /// Nodes whose links were taken over, and nodes in all.
    pub fn counts(&self) -> (u64, u64) {
        self.0.counts.get()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        GIVEN.set(None);
    }
}

/// What the build of the open index `index` is to take over.
pub fn given_to(index: pg_sys::Relation) -> Option<Rc<Adopted>> {
    // SAFETY: an open relation.
    let relid = unsafe { (*index).rd_id };
    GIVEN.with_borrow(|given| given.as_ref().filter(|given| given.index == relid).cloned())
}

/// Links in terms of the nodes of a build.
pub struct Given<'a> {
    links: &'a Links,
    /// Of each node the vector in the file, and of each of these the node.
    numbers: Vec<u32>,
    nodes: Vec<u32>,
}

impl Adopted {
    /// For the nodes of a build.
    pub fn of<'a>(&'a self, rows: &Rows, nodes: &Nodes) -> Given<'a> {
        let n = nodes.rows.len();
        let mut given =
            Given { links: &self.links, numbers: vec![NONE; n], nodes: vec![NONE; self.n_file] };
        for (node, row) in (0u32..).zip(&nodes.rows) {
            self.note(&mut given, rows, node, *row);
        }
        for (node, row) in &nodes.duplicates {
            self.note(&mut given, rows, *node, *row);
        }
        let adopted = given.numbers.iter().filter(|number| **number != NONE).count();
        self.counts.set((adopted as u64, n as u64));
        given
    }

    /// Of rows with one vector that which stands highest in the file has the links.
    fn note(&self, given: &mut Given<'_>, rows: &Rows, node: u32, row: u32) {
        let tid = rows.tids.get(row as usize).copied().unwrap_or(Tid::FREE).to_u64();
        let at = self.numbers.binary_search_by_key(&tid, |(tid, _)| *tid);
        let Some((_, number)) = at.ok().and_then(|at| self.numbers.get(at)) else { return };
        if let Some(to) = given.nodes.get_mut(*number as usize) {
            *to = node;
        }
        if let Some(to) = given.numbers.get_mut(node as usize) {
            let is_higher = *to == NONE || self.links.level(*number) > self.links.level(*to);
            if is_higher {
                *to = *number;
            }
        }
    }
}

impl Given<'_> {
    fn number(&self, node: u32) -> Option<u32> {
        self.numbers.get(node as usize).copied().filter(|number| *number != NONE)
    }
}

impl hnsw::Given for Given<'_> {
    fn level(&self, node: u32) -> Option<u8> {
        self.number(node).map(|number| self.links.level(number))
    }

    fn links(&self, node: u32, level: u8, out: &mut Vec<u32>) {
        let Some(number) = self.number(node) else { return };
        let linked = self.links.of(number, level).iter();
        out.extend(
            linked.filter_map(|link| self.nodes.get(*link as usize)).filter(|n| **n != NONE),
        );
    }
}
