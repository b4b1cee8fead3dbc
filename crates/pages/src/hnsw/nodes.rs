//! NODES: codes, their factors, tids, levels and states of the nodes of a chunk.

use std::ops::Range;

use ann::hnsw::Factors;

use crate::bytes::{f32_at, put, put_u16, u16_at};
use crate::error::Error;
use crate::hnsw::shape::Shape;
use crate::page::{Blkno, Page, PageKind};
use crate::tid::{MARK_BYTE, TID_SIZE, Tid, settle};

const N_USED: usize = 0;
const N_FREE: usize = 2;
const PART: usize = 4;

/// What a lane holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing; an insert may take it.
    Free,
    /// A node. If its tid is free it is a ghost: searches go through it, and do not return it.
    Node,
    /// A row equal to that of a node, in the chain of its duplicates: no code, no links, no vector of its own.
    Duplicate,
}

impl State {
    fn to_u8(self) -> u8 {
        match self {
            Self::Free => 0,
            Self::Node => 1,
            Self::Duplicate => 2,
        }
    }

    fn from_u8(number: u8) -> Option<Self> {
        [Self::Free, Self::Node, Self::Duplicate].into_iter().find(|state| state.to_u8() == number)
    }
}

/// What a lane holds but for the code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lane {
    /// What it is.
    pub state: State,
    /// Its row; free: none.
    pub tid: Tid,
    /// The node's highest level; 0 for others.
    pub level: u8,
    /// What belongs to its code; with an infinite bias for others, so that nothing is farther than they are.
    pub factors: Factors,
}

impl Lane {
    /// A lane without anything.
    pub const FREE: Self =
        Self { state: State::Free, tid: Tid::FREE, level: 0, factors: Factors::NONE };

    /// Whether it is a node without a row.
    pub fn is_ghost(&self) -> bool {
        self.state == State::Node && self.tid.is_free()
    }
}

/// An empty NODES page, the `part`-th of its chunk, inside an edit.
pub fn init(page: &mut Page, shape: &Shape, chunk: u32, part: usize) {
    page.init(PageKind::Nodes, chunk);
    put_u16(page.body_mut(), PART, part as u16);
    for place in 0..shape.node_lanes {
        put_factors(page.body_mut(), shape, place, Factors::NONE);
    }
    page.set_used(shape.nodes_used());
}

/// A locked NODES page whose head was looked at.
#[derive(Clone, Copy)]
pub struct Nodes<'p> {
    page: &'p Page,
    shape: &'p Shape,
    /// Lanes used so far, counted from the first.
    pub n_used: usize,
    /// Of these, those that are free again.
    pub n_free: usize,
}

impl<'p> Nodes<'p> {
    /// The page at `blkno`, NODES page `part` of a chunk.
    pub fn new(
        page: &'p Page,
        blkno: Blkno,
        shape: &'p Shape,
        chunk: u32,
        part: usize,
    ) -> Result<Self, Error> {
        page.check(blkno, PageKind::Nodes, chunk)?;
        let number = |at: usize| usize::from(u16_at(page.body(), at));
        let (n_used, n_free) = (number(N_USED), number(N_FREE));
        let lanes = shape.lanes_of_nodes(part).len();
        if number(PART) != part || n_used > lanes || n_free > n_used {
            let what = format!("NODES page {} has {n_used} lanes, {n_free} free", number(PART));
            return Err(Error::corrupted(blkno, what));
        }
        Ok(Self { page, shape, n_used, n_free })
    }

    /// What is at a place. [`Error::Corrupted`] for a state that there is not.
    pub fn lane(&self, blkno: Blkno, place: usize) -> Result<Lane, Error> {
        let byte = |at: usize| self.page.body().get(at).copied().unwrap_or(u8::MAX);
        let Some(state) = State::from_u8(byte(self.shape.state_at(place))) else {
            return Err(Error::corrupted(blkno, format!("lane {place} is in no known state")));
        };
        Ok(Lane {
            state,
            tid: tid_of(self.page, self.shape, place),
            level: byte(self.shape.level_at(place)),
            factors: factors_of(self.page, self.shape, place),
        })
    }

    /// The row at a place that a scan has to look at: none where it is marked and marks are trusted.
    pub fn row(&self, place: usize, trusts_marks: bool) -> Tid {
        let bytes = stored_tid(self.page, self.shape, place);
        if trusts_marks && Tid::is_marked(bytes) { Tid::FREE } else { Tid::from_bytes(bytes) }
    }

    /// Whether the row at a place is marked as dead to all.
    pub fn is_marked(&self, place: usize) -> bool {
        Tid::is_marked(stored_tid(self.page, self.shape, place))
    }

    /// The code at a place.
    pub fn code(&self, place: usize) -> &'p [u8] {
        code_of(self.page, self.shape, place)
    }

    /// Whether an insert finds a lane on it, the `part`-th of its chunk.
    pub fn has_room(&self, part: usize) -> bool {
        self.n_free > 0 || self.n_used < self.shape.lanes_of_nodes(part).len()
    }

    /// The lowest place that is free. None if there is none.
    pub fn free_place(&self, part: usize) -> Option<usize> {
        let is_free = |place: &usize| {
            self.page.body().get(self.shape.state_at(*place)).is_some_and(|s| *s == 0)
        };
        (0..self.shape.lanes_of_nodes(part).len()).find(|p| *p >= self.n_used || is_free(p))
    }
}

/// The code at a place of a page known to be a NODES page.
#[inline]
pub fn code_of<'p>(page: &'p Page, shape: &Shape, place: usize) -> &'p [u8] {
    let start = shape.code_at(place);
    page.body().get(start..start + shape.code_bytes).unwrap_or_default()
}

/// The factors of the code at a place of a page known to be a NODES page.
#[inline]
fn factors_of(page: &Page, shape: &Shape, place: usize) -> Factors {
    let at = shape.factors_at(place);
    Factors { bias: f32_at(page.body(), at), step: f32_at(page.body(), at + size_of::<f32>()) }
}

/// The code and its factors at a place of a page known to be a NODES page; None if there is no node there.
#[inline]
pub fn coded<'p>(page: &'p Page, shape: &Shape, place: usize) -> Option<(&'p [u8], Factors)> {
    let start = shape.code_at(place);
    let factors = factors_of(page, shape, place);
    let code = page.body().get(start..start + shape.code_bytes)?;
    factors.bias.is_finite().then_some((code, factors))
}

/// The tid at a place of a page known to be a NODES page.
#[inline]
pub fn tid_of(page: &Page, shape: &Shape, place: usize) -> Tid {
    Tid::from_bytes(stored_tid(page, shape, place))
}

/// As `tid_of`, with its mark, as it is stored.
#[inline]
fn stored_tid(page: &Page, shape: &Shape, place: usize) -> [u8; TID_SIZE] {
    let bytes = page.body().get(shape.tid_at(place)..).and_then(|b| b.first_chunk());
    bytes.copied().unwrap_or_default()
}

/// Where the mark of a place is in the body.
pub fn mark_at(shape: &Shape, place: usize) -> usize {
    shape.tid_at(place) + MARK_BYTE
}

/// Settles the hints of a NODES page, inside an edit: every edit of one does.
pub fn settle_hints(page: &mut Page, shape: &Shape) {
    let n_used = usize::from(u16_at(page.body(), N_USED)).min(shape.node_lanes);
    for place in 0..n_used {
        page.body_mut().get_mut(mark_at(shape, place)).into_iter().for_each(settle);
    }
}

/// Fills a free place (one that [`Nodes::free_place`] gave) inside an edit. `code`: that of a node, else empty.
pub fn fill(page: &mut Page, shape: &Shape, place: usize, lane: &Lane, code: &[u8]) {
    let n_used = usize::from(u16_at(page.body(), N_USED));
    let n_free = u16_at(page.body(), N_FREE);
    let body = page.body_mut();
    if place >= n_used {
        // Lanes passed over stay free.
        put_u16(body, N_USED, place as u16 + 1);
        put_u16(body, N_FREE, n_free + (place - n_used) as u16);
    } else {
        put_u16(body, N_FREE, n_free.saturating_sub(1));
    }
    put(body, shape.code_at(place), code);
    put_lane(page, shape, place, lane);
}

/// Frees a place in use, inside an edit.
pub fn free(page: &mut Page, shape: &Shape, place: usize) {
    let n_free = u16_at(page.body(), N_FREE);
    put_u16(page.body_mut(), N_FREE, n_free.saturating_add(1));
    put_lane(page, shape, place, &Lane::FREE);
}

/// Takes the row from a place: a node becomes a ghost. Inside an edit.
pub fn clear_tid(page: &mut Page, shape: &Shape, place: usize) {
    put(page.body_mut(), shape.tid_at(place), &Tid::FREE.to_bytes());
}

/// Sets the row at a place, inside an edit.
pub fn set_tid(page: &mut Page, shape: &Shape, place: usize, tid: Tid) {
    put(page.body_mut(), shape.tid_at(place), &tid.to_bytes());
}

fn put_lane(page: &mut Page, shape: &Shape, place: usize, lane: &Lane) {
    let body = page.body_mut();
    put_factors(body, shape, place, lane.factors);
    put(body, shape.tid_at(place), &lane.tid.to_bytes());
    put(body, shape.level_at(place), &[lane.level]);
    put(body, shape.state_at(place), &[lane.state.to_u8()]);
}

fn put_factors(body: &mut [u8], shape: &Shape, place: usize, Factors { bias, step }: Factors) {
    let at = shape.factors_at(place);
    put(body, at, &bias.to_le_bytes());
    put(body, at + size_of::<f32>(), &step.to_le_bytes());
}

/// The bytes of a NODES page that a key of the node at `place` is made of, for the CPU's prefetch: its code, its factors.
#[inline]
pub fn read_for_key(shape: &Shape, place: usize) -> [Range<usize>; 2] {
    let (code, factors) = (shape.code_at(place), shape.factors_at(place));
    [code..code + shape.code_bytes, factors..factors + size_of::<Factors>()]
}
