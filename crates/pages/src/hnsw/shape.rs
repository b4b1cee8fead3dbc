//! How nodes are cut over pages: chunks of C nodes, each with H NODES, L LINKS, D DATA and A ATTRIBUTES pages.

use std::ops::Range;

use ann::codec::{LANES, UNIT};
use ann::hnsw::Factors;

use crate::geometry::{Geometry, ROWS_START};
use crate::hnsw::{links, nodes};
use crate::page::{BODY_SIZE, Page, PageKind};
use crate::search::attributes::Attributes;
use crate::tid::TID_SIZE;

/// Body offset of the first code of a NODES page: page offset 64, a cache line.
pub const CODES_START: usize = ROWS_START;
/// Body offset of the first slot of a LINKS page.
pub const SLOTS_START: usize = 8;
/// Body offset of the first block of an ATTRIBUTES page: page offset 64, a cache line.
const ATTRIBUTES_START: usize = ROWS_START;
/// Bytes of a slot before its links.
pub const SLOT_HEAD: usize = 20;
/// Codes start at multiples of this.
const CODE_ALIGN: usize = 16;
/// Factors, tid, level, state.
const LANE_BYTES: usize = size_of::<Factors>() + TID_SIZE + 2;
/// The most pages of a chunk: a MAP page takes ten such entries.
const CHUNK_PAGES_MAX: usize = 200;
const CHUNK_SHIFTS: std::ops::RangeInclusive<u32> = 4..=8;

/// The shape of chunks, a function of the size of codes, of m, of the stored vectors and of the attributes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Links of a node above level 0; twice as many at level 0.
    pub m: usize,
    /// Bytes of a code.
    pub code_bytes: usize,
    /// Bytes from one code to the next.
    pub stride: usize,
    /// log2 of C.
    pub chunk_shift: u32,
    /// Lanes of a NODES page.
    pub node_lanes: usize,
    /// Slots of a LINKS page.
    pub link_lanes: usize,
    /// H: NODES pages of a chunk.
    pub nodes_pages: usize,
    /// L: LINKS pages of a chunk.
    pub links_pages: usize,
    /// How vectors are stored; None: not at all.
    pub vectors: Option<Geometry>,
    /// D: DATA pages of a chunk.
    pub data_pages: usize,
    /// Attributes of a row.
    pub attributes: Attributes,
    /// Blocks of 32 rows' attributes on an ATTRIBUTES page; 0 where rows have none.
    pub attribute_blocks: usize,
    /// A: ATTRIBUTES pages of a chunk.
    pub attribute_pages: usize,
}

/// Where the attributes of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributesAt {
    /// The ATTRIBUTES page, counted within its chunk's pages.
    pub part: usize,
    /// Where its block starts in the body of that page, and how long it is.
    pub start: usize,
    len: usize,
    /// Its lane in the block.
    pub lane: usize,
}

impl AttributesAt {
    /// The block, on its page.
    pub fn block<'p>(&self, page: &'p Page) -> &'p [u8] {
        page.body().get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl Shape {
    /// The chunk that wastes least. None if a code or the links of a node do not fit a page.
    pub fn new(
        m: usize,
        code_bytes: usize,
        vectors: Option<Geometry>,
        attributes: Attributes,
    ) -> Option<Self> {
        let stride = code_bytes.checked_next_multiple_of(CODE_ALIGN)?;
        let node_lanes = (BODY_SIZE - CODES_START).checked_div(stride.checked_add(LANE_BYTES)?)?;
        let slot_size = m.checked_mul(8)?.checked_add(SLOT_HEAD)?;
        let link_lanes = (BODY_SIZE - SLOTS_START).checked_div(slot_size)?;
        if m == 0 || code_bytes == 0 || node_lanes == 0 || link_lanes == 0 {
            return None;
        }
        let block_size = attributes.units() * UNIT;
        let attribute_blocks = (BODY_SIZE - ATTRIBUTES_START).checked_div(block_size).unwrap_or(0);
        let shapes = CHUNK_SHIFTS.map(|chunk_shift| {
            let c = 1usize << chunk_shift;
            let data_pages = vectors.map_or(0, |g| c.div_ceil(g.block_vectors) * g.block_pages);
            Self {
                m,
                code_bytes,
                stride,
                chunk_shift,
                node_lanes,
                link_lanes,
                nodes_pages: c.div_ceil(node_lanes),
                links_pages: c.div_ceil(link_lanes),
                vectors,
                data_pages,
                attributes,
                attribute_blocks,
                attribute_pages: match attribute_blocks {
                    0 => 0,
                    blocks => c.div_ceil(LANES).div_ceil(blocks),
                },
            }
        });
        let fitting = shapes.filter(|shape| shape.pages() <= CHUNK_PAGES_MAX);
        // Pages of 256 nodes.
        fitting.min_by_key(|shape| shape.pages() << (CHUNK_SHIFTS.end() - shape.chunk_shift))
    }

    /// C: nodes of a chunk.
    #[inline]
    pub fn chunk_nodes(&self) -> u32 {
        1 << self.chunk_shift
    }

    /// W: pages of a chunk.
    #[inline]
    pub fn pages(&self) -> usize {
        self.attributes_part() + self.attribute_pages
    }

    /// The first ATTRIBUTES page of a chunk, counted within its pages.
    #[inline]
    pub fn attributes_part(&self) -> usize {
        self.nodes_pages + self.links_pages + self.data_pages
    }

    /// Where the attributes of a lane's row are. None if rows have none.
    #[inline]
    pub fn attributes_place(&self, lane: usize) -> Option<AttributesAt> {
        let block = lane / LANES;
        let page = block.checked_div(self.attribute_blocks)?;
        let len = self.attributes.units() * UNIT;
        let start = ATTRIBUTES_START + block % self.attribute_blocks * len;
        Some(AttributesAt { part: self.attributes_part() + page, start, len, lane: lane % LANES })
    }

    /// The `i`-th block of attributes on an ATTRIBUTES page.
    pub fn attributes_block<'p>(&self, page: &'p Page, i: usize) -> &'p [u8] {
        let len = self.attributes.units() * UNIT;
        let start = ATTRIBUTES_START + i * len;
        page.body().get(start..start + len).unwrap_or_default()
    }

    /// Chunk and lane of a node.
    #[inline]
    pub fn place(&self, node: u32) -> (u32, usize) {
        (node >> self.chunk_shift, (node & (self.chunk_nodes() - 1)) as usize)
    }

    /// The node at a lane of a chunk.
    #[inline]
    pub fn node(&self, chunk: u32, lane: usize) -> u32 {
        (chunk << self.chunk_shift) | lane as u32
    }

    /// The NODES page of a lane, counted within its chunk's pages, and the lane's place there.
    #[inline]
    pub fn nodes_place(&self, lane: usize) -> (usize, usize) {
        let (lane, lanes) = (lane as u32, self.node_lanes as u32);
        ((lane / lanes) as usize, (lane % lanes) as usize)
    }

    /// The LINKS page of a lane, counted within its chunk's pages, and the slot there.
    #[inline]
    pub fn links_place(&self, lane: usize) -> (usize, usize) {
        let (lane, lanes) = (lane as u32, self.link_lanes as u32);
        (self.nodes_pages + (lane / lanes) as usize, (lane % lanes) as usize)
    }

    /// The first DATA page of a lane, counted within its chunk's pages, and the row there. None if vectors are not stored.
    #[inline]
    pub fn data_place(&self, lane: usize) -> Option<(usize, usize)> {
        let g = self.vectors?;
        let (block, row) = (lane / g.block_vectors, lane % g.block_vectors);
        Some((self.nodes_pages + self.links_pages + block * g.block_pages, row))
    }

    /// The pages of a chunk that its first `n` lanes lie on, in their order.
    pub fn parts_of(&self, n: usize) -> impl Iterator<Item = usize> {
        let shape = *self;
        (0..self.pages()).filter(move |part| shape.lanes_of(*part).start < n)
    }

    /// The lanes on page `part` of a chunk.
    pub fn lanes_of(&self, part: usize) -> Range<usize> {
        let links = part.saturating_sub(self.nodes_pages);
        let data = links.saturating_sub(self.links_pages);
        if part < self.nodes_pages {
            self.lanes_of_nodes(part)
        } else if links < self.links_pages {
            lanes_of(links, self.link_lanes, self.chunk_nodes() as usize)
        } else if data >= self.data_pages {
            let lanes = LANES * self.attribute_blocks;
            lanes_of(data - self.data_pages, lanes, self.chunk_nodes() as usize)
        } else {
            let (v, p) = self.vectors.map_or((0, 1), |g| (g.block_vectors, g.block_pages));
            lanes_of(data / p, v, self.chunk_nodes() as usize)
        }
    }

    /// Makes `page` an empty page `part` of a chunk, inside an edit.
    pub fn init_part(&self, page: &mut Page, chunk: u32, part: usize) {
        if part < self.nodes_pages {
            nodes::init(page, self, chunk, part);
        } else if part < self.nodes_pages + self.links_pages {
            links::init(page, self, chunk, part);
        } else if part < self.attributes_part() {
            page.init(PageKind::Data, chunk);
        } else {
            page.init(PageKind::Attributes, chunk);
            page.set_used(
                ATTRIBUTES_START + self.attribute_blocks * self.attributes.units() * UNIT,
            );
        }
    }

    /// The lanes on NODES page `i` of a chunk.
    pub fn lanes_of_nodes(&self, i: usize) -> Range<usize> {
        lanes_of(i, self.node_lanes, self.chunk_nodes() as usize)
    }

    /// The most links of a list at this level.
    #[inline]
    pub fn links_max(&self, level: usize) -> usize {
        if level == 0 { 2 * self.m } else { self.m }
    }

    /// Where the code at a place starts in the body of a NODES page.
    #[inline]
    pub fn code_at(&self, place: usize) -> usize {
        CODES_START + self.stride * place
    }

    /// Where the factors at a place are.
    #[inline]
    pub fn factors_at(&self, place: usize) -> usize {
        self.code_at(self.node_lanes) + size_of::<Factors>() * place
    }

    /// Where the tid at a place is.
    #[inline]
    pub fn tid_at(&self, place: usize) -> usize {
        self.factors_at(self.node_lanes) + TID_SIZE * place
    }

    /// Where the level at a place is.
    #[inline]
    pub fn level_at(&self, place: usize) -> usize {
        self.tid_at(self.node_lanes) + place
    }

    /// Where the state at a place is.
    #[inline]
    pub fn state_at(&self, place: usize) -> usize {
        self.level_at(self.node_lanes) + place
    }

    /// Bytes of the body of a NODES page.
    pub fn nodes_used(&self) -> usize {
        self.state_at(self.node_lanes)
    }

    /// Where a slot starts in the body of a LINKS page.
    #[inline]
    pub fn slot_at(&self, slot: usize) -> usize {
        SLOTS_START + (SLOT_HEAD + 8 * self.m) * slot
    }

    /// Bytes of the body of a LINKS page.
    pub fn links_used(&self) -> usize {
        self.slot_at(self.link_lanes)
    }
}

fn lanes_of(i: usize, per_page: usize, n: usize) -> Range<usize> {
    (i * per_page).min(n)..((i + 1) * per_page).min(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::DIMS_MAX;

    #[test]
    fn every_shape_fits() {
        for dims in (1..=200).chain((201..=DIMS_MAX).step_by(37)).chain([DIMS_MAX]) {
            for (m, element_size) in [(2, 4), (16, 2), (32, 4), (100, 4)] {
                let code_bytes = dims.div_ceil(dims.div_ceil(4000));
                let geometry = Geometry::new(dims, element_size);
                let widths = [&[][..], &[4], &[16; 8], &[1, 2, 8]];
                for (vectors, widths) in widths.iter().flat_map(|w| [(None, w), (geometry, w)]) {
                    let attributes = Attributes::new(widths).unwrap();
                    let Some(s) = Shape::new(m, code_bytes, vectors, attributes) else {
                        panic!("no shape for {dims} dimensions, {widths:?}");
                    };
                    assert!(s.pages() <= CHUNK_PAGES_MAX && s.node_lanes >= 2, "{s:?}");
                    assert!(s.nodes_used() <= BODY_SIZE && s.links_used() <= BODY_SIZE);
                    assert!(s.factors_at(0).is_multiple_of(4) && s.slot_at(1).is_multiple_of(4));
                    let last = s.chunk_nodes() as usize - 1;
                    assert!(s.nodes_place(last).0 < s.nodes_pages);
                    assert!(s.links_place(last).0 < s.nodes_pages + s.links_pages);
                    if let (Some((first, row)), Some(g)) = (s.data_place(last), s.vectors) {
                        assert!(first + g.block_pages == s.attributes_part());
                        assert!(row < g.block_vectors);
                    }
                    assert_eq!(s.attributes_place(last).is_some(), !widths.is_empty());
                    let mut places = std::collections::BTreeSet::new();
                    for lane in 0..=last {
                        let Some(at) = s.attributes_place(lane) else { break };
                        assert!(at.start + at.len <= BODY_SIZE && at.part < s.pages());
                        assert!(s.lanes_of(at.part).contains(&lane));
                        assert!(places.insert((at.part, at.start, at.lane)));
                    }
                }
            }
        }
    }

    #[test]
    fn known_shapes() {
        let shape = |dims, m| {
            let s = Shape::new(m, dims, Geometry::new(dims, 4), Attributes::default()).unwrap();
            (s.chunk_nodes(), s.nodes_pages, s.links_pages, s.data_pages)
        };
        assert_eq!(shape(128, 16), (256, 5, 5, 18));
        assert_eq!(shape(128, 32), (256, 5, 9, 18));
        let none = Attributes::default();
        assert!(Shape::new(1100, 128, None, none).is_none());
        assert!(Shape::new(16, 9000, None, none).is_none());
    }
}
