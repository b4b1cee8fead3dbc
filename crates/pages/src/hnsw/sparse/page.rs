//! SPARSE: rows of any length, each by its slot.
//!
//! Slots stand at the head of the body, rows at its end; what is between them is free. A row that leaves frees its slot, and
//! the rows left move together.

use ann::kernels::sparse::Sparse;

use super::STORED_MAX;
use crate::bytes::{put, put_u16, put_u32, u16_at, u32_at};
use crate::error::Error;
use crate::hnsw::INVALID_NODE;
use crate::page::{BODY_SIZE, Blkno, NO_OWNER, Page, PageKind};

const PREV: usize = 0;
const N_SLOTS: usize = 4;
const START: usize = 6;
const SLOTS: usize = 8;

/// Bytes of a slot: where its row starts, 0 where it is free, and the number of elements.
const SLOT_SIZE: usize = 4;
/// Bytes of a row before its positions: the node.
const ROW_HEAD: usize = 4;

const _: () = assert!(SLOTS + SLOT_SIZE + row_size(STORED_MAX) <= BODY_SIZE);

/// Bytes of a row of `n` elements.
pub const fn row_size(n: usize) -> usize {
    ROW_HEAD + n * (size_of::<i32>() + size_of::<f32>())
}

/// Bytes that a row of `n` elements takes of an empty page.
pub const fn size_with_slot(n: usize) -> usize {
    SLOT_SIZE + row_size(n)
}

/// Bytes of an empty page for rows and their slots.
pub const ROOM: usize = BODY_SIZE - SLOTS;

/// An empty SPARSE page, inside an edit. `prev`: the newest one so far.
pub fn init(page: &mut Page, prev: Blkno) {
    page.init(PageKind::Sparse, NO_OWNER);
    put_u32(page.body_mut(), PREV, prev);
    put_u16(page.body_mut(), START, BODY_SIZE as u16);
    page.set_used(BODY_SIZE);
}

/// A row as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Row<'p> {
    /// Whose it is.
    pub node: u32,
    /// The vector.
    pub vector: Sparse<'p>,
}

/// A locked SPARSE page whose head was looked at.
#[derive(Clone, Copy)]
pub struct SparsePage<'p> {
    body: &'p [u8],
    blkno: Blkno,
    /// Slots, free ones among them.
    pub n_slots: usize,
    /// Where the lowest row starts.
    start: usize,
    /// The SPARSE page made before this one.
    pub prev: Blkno,
}

impl<'p> SparsePage<'p> {
    /// The page at `blkno`.
    #[inline]
    pub fn new(page: &'p Page, blkno: Blkno) -> Result<Self, Error> {
        page.check(blkno, PageKind::Sparse, NO_OWNER)?;
        let body = page.body();
        let (n_slots, start) =
            (usize::from(u16_at(body, N_SLOTS)), usize::from(u16_at(body, START)));
        if start > BODY_SIZE || SLOTS + SLOT_SIZE * n_slots > start {
            let what = format!("SPARSE page has {n_slots} slots and rows from {start} on");
            return Err(Error::corrupted(blkno, what));
        }
        Ok(Self { body, blkno, n_slots, start, prev: u32_at(body, PREV) })
    }

    /// The row in a slot; None where the slot is free. [`Error::Corrupted`] if there is no such slot, or if it names what is
    /// no row.
    #[inline]
    pub fn row(&self, slot: usize) -> Result<Option<Row<'p>>, Error> {
        if slot >= self.n_slots {
            let what = format!("SPARSE page has {} slots, and none of number {slot}", self.n_slots);
            return Err(Error::corrupted(self.blkno, what));
        }
        let (start, n) = slot_of(self.body, slot);
        if start == 0 {
            return Ok(None);
        }
        let found = (start >= self.start && n <= STORED_MAX)
            .then(|| self.body.get(start..start + row_size(n)))
            .flatten()
            .and_then(|bytes| row_of(bytes, n));
        found.map(Some).ok_or_else(|| {
            let what = format!("slot {slot} has {n} elements at {start}, which are no row");
            Error::corrupted(self.blkno, what)
        })
    }

    /// A slot whose row begins where another one's is; None where rows lie apart from each other.
    pub fn overlap(&self) -> Result<Option<usize>, Error> {
        let mut rows = Vec::with_capacity(self.n_slots);
        for slot in 0..self.n_slots {
            if self.row(slot)?.is_some() {
                let (start, n) = slot_of(self.body, slot);
                rows.push((start, start + row_size(n), slot));
            }
        }
        rows.sort_unstable();
        let touching = rows.array_windows().find(|[(_, end, _), (start, ..)]| start < end);
        Ok(touching.map(|[_, (.., slot)]| *slot))
    }

    /// The slot for a new row of `n` elements; None where there is no room.
    pub fn free_slot(&self, n: usize) -> Option<usize> {
        let free = (0..self.n_slots).find(|slot| slot_of(self.body, *slot).0 == 0);
        let slot = free.unwrap_or(self.n_slots);
        let slots_end = SLOTS + SLOT_SIZE * self.n_slots.max(slot + 1);
        (slots_end + row_size(n) <= self.start).then_some(slot)
    }
}

#[inline]
fn slot_of(body: &[u8], slot: usize) -> (usize, usize) {
    let at = SLOTS + SLOT_SIZE * slot;
    (usize::from(u16_at(body, at)), usize::from(u16_at(body, at + 2)))
}

#[inline]
fn row_of(bytes: &[u8], n: usize) -> Option<Row<'_>> {
    let (indices, values) = bytes.get(ROW_HEAD..)?.split_at_checked(n * size_of::<i32>())?;
    let indices = bytemuck::try_cast_slice(indices).ok()?;
    let values = bytemuck::try_cast_slice(values).ok()?;
    Some(Row { node: u32_at(bytes, 0), vector: Sparse { indices, values } })
}

/// Puts a row into a slot that [`SparsePage::free_slot`] gave, inside an edit. `stored`: as [`super::bytes_of`] makes it.
pub fn fill(page: &mut Page, slot: usize, node: u32, stored: &[u8]) {
    let body = page.body_mut();
    let n_slots = usize::from(u16_at(body, N_SLOTS));
    let size = ROW_HEAD + stored.len();
    let start = usize::from(u16_at(body, START)).saturating_sub(size);
    put_u32(body, start, node);
    put(body, start + ROW_HEAD, stored);
    put_slot(body, slot, start, stored.len() / (row_size(1) - ROW_HEAD));
    put_u16(body, START, start as u16);
    put_u16(body, N_SLOTS, n_slots.max(slot + 1) as u16);
}

fn put_slot(body: &mut [u8], slot: usize, start: usize, n: usize) {
    let at = SLOTS + SLOT_SIZE * slot;
    put_u16(body, at, start as u16);
    put_u16(body, at + 2, n as u16);
}

/// Frees slots in use of a page that was looked at, and moves the rows left together, inside an edit.
pub fn free(page: &mut Page, slots: &[u16]) {
    let body = page.body_mut();
    for slot in slots {
        put_slot(body, usize::from(*slot), 0, 0);
    }
    let n_slots = usize::from(u16_at(body, N_SLOTS));
    let rows = (0..n_slots).filter_map(|slot| {
        let (start, n) = slot_of(body, slot);
        let bytes = body.get(start..start + row_size(n)).filter(|_| start > 0)?;
        Some((slot, n, bytes.to_vec()))
    });
    let rows: Vec<_> = rows.collect();
    let mut start = BODY_SIZE;
    for (slot, n, bytes) in &rows {
        start = start.saturating_sub(bytes.len());
        put(body, start, bytes);
        put_slot(body, *slot, start, *n);
    }
    let n_slots = rows.last().map_or(0, |(slot, ..)| slot + 1);
    let slots_end = SLOTS + SLOT_SIZE * n_slots;
    body.get_mut(slots_end..start).into_iter().for_each(|free| free.fill(0));
    put_u16(body, N_SLOTS, n_slots as u16);
    put_u16(body, START, start as u16);
}

/// What is wrong with a vector of `dims` dimensions; None: nothing.
pub fn problem_of(vector: Sparse<'_>, dims: usize) -> Option<&'static str> {
    let inside = |index: &i32| usize::try_from(*index).is_ok_and(|index| index < dims);
    if !vector.indices.is_sorted_by(|a, b| a < b) || !vector.indices.iter().all(inside) {
        return Some("has positions that do not ascend or are beyond the dimensions");
    }
    if !vector.values.iter().all(|x| x.is_finite()) {
        return Some("is not finite");
    }
    vector.values.contains(&0.0).then_some("stores a zero")
}

/// Whether a row is that of `node`: of a free slot, or of one that was taken again, it is not.
#[inline]
pub fn vector_of<'p>(row: Option<Row<'p>>, node: u32) -> Option<Sparse<'p>> {
    row.filter(|row| row.node == node && node != INVALID_NODE).map(|row| row.vector)
}
