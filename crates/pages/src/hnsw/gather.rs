//! Codes of several nodes, copied from their pages so that they can be compared with each other without a lock.

use std::collections::VecDeque;

use ann::hnsw::Codes;
use ann::kernels::prefetch_at;

use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::nodes::{Nodes, State, read_to_judge};
use crate::hnsw::walk::{by_page, each_page};
use crate::page::BODY_START;
use crate::store::Pages;

/// Nodes with their codes. What is no node (any more) has an infinite bias.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    nodes: Vec<u32>,
    codes: Vec<u8>,
    biases: Vec<f32>,
    /// Whether it is a node with a row.
    live: Vec<bool>,
    order: Vec<u64>,
}

impl Gathered {
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.codes.clear();
        self.biases.clear();
        self.live.clear();
    }

    /// Reads nodes, page by page.
    pub(super) fn read<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        nodes: impl Iterator<Item = u32>,
    ) -> Result<(), Error> {
        let (shape, size) = (&view.meta.shape, view.grid.size());
        self.clear();
        self.nodes.extend(nodes);
        self.codes.resize(self.nodes.len() * size, 0);
        self.biases.resize(self.nodes.len(), f32::INFINITY);
        self.live.resize(self.nodes.len(), false);
        by_page(pages, view, &self.nodes, &mut self.order)?;
        let Self { nodes, codes, biases, live, order } = self;
        let place_of = |entry: u64| {
            let node = nodes.get(entry as u32 as usize).copied().unwrap_or_default();
            let (chunk, lane) = shape.place(node);
            (chunk, shape.nodes_place(lane))
        };
        let ask = |page: *const u8, entry: u64| {
            for range in read_to_judge(shape, place_of(entry).1.1) {
                let start = page.wrapping_add(BODY_START + range.start);
                prefetch_at(start..start.wrapping_add(range.len()));
            }
        };
        each_page(pages, &mut VecDeque::new(), order, ask, |page, blkno, group| {
            for entry in group {
                let (chunk, (part, place)) = place_of(*entry);
                let found = Nodes::new(page, blkno, shape, chunk, part)?;
                let lane = found.lane(blkno, place)?;
                let i = *entry as u32 as usize;
                if lane.state != State::Node {
                    continue;
                }
                if let (Some(code), Some(bias), Some(live)) =
                    (codes.get_mut(i * size..(i + 1) * size), biases.get_mut(i), live.get_mut(i))
                {
                    *bias = lane.bias;
                    *live = !lane.tid.is_free();
                    let stored = found.code(place);
                    code.iter_mut().zip(stored).for_each(|(to, from)| *to = *from);
                }
            }
            Ok(())
        })
    }

    /// The nodes, in the order they were asked for.
    pub(super) fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// Whether number `i` is a node with a row.
    pub(super) fn is_live(&self, i: usize) -> bool {
        self.live.get(i).is_some_and(|live| *live)
    }

    /// The codes, of `size` bytes, by the nodes' numbers here.
    pub(super) fn codes(&self, size: usize) -> Codes<'_> {
        Codes { codes: &self.codes, stride: size, biases: &self.biases }
    }

    /// Adds one more, whose code is known.
    pub(super) fn push(&mut self, node: u32, code: &[u8], bias: f32) {
        self.nodes.push(node);
        self.codes.extend_from_slice(code);
        self.biases.push(bias);
        self.live.push(true);
    }
}
