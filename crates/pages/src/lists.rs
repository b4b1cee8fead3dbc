//! Inverted lists, flat and of every code, in one format.
//!
//! An entry of a list is a tid, what belongs beside it (attributes, factors, the code), and where the index stores vectors its
//! exact vector. A build packs the entries of all lists one after the other over the pages of one area; inserts fill the slots
//! left there, then go to overflow extents, pages of the list's own.
//!
//! The centroids are the entries of a list of the same format, the coarse quantizer, and are read where they lie: a backend
//! keeps no copy of them.
//!
//! Reading order: [`layout`], [`extent`], [`overflow`], [`directory`], [`meta`], [`walk`]; then the verbs [`build`], [`insert`],
//! [`scan`] with its [`filter`], [`vacuum`], [`rebuild`], [`marks`], [`check`], [`info`].

pub mod build;
pub mod candidates;
pub mod check;
pub mod coded;
pub mod directory;
pub mod due;
pub mod extent;
pub mod flat;
mod heads;
pub mod info;
pub mod insert;
mod lanes;
pub mod layout;
pub mod locate;
pub mod marks;
pub mod meta;
pub mod open;
mod overflow;
pub mod quantizer;
pub mod rebuild;
pub mod rows;
pub mod scan;
pub mod scanner;
pub mod size;
pub mod sort;
pub mod trained;
pub mod vacuum;
mod walk;

#[cfg(test)]
mod tests;

use ann::codec::Space;
use ann::element::{Bits, Element};
use ann::factory::Refine;
use ann::metric::Metric;

use crate::geometry::{Geometry, measures};
use crate::page::{Blkno, INVALID_BLKNO};
use crate::search::attributes::Attributes;
pub use layout::BlockLayout;
pub use meta::{Fit, Meta, MetaParams};
pub use open::ListsIndex;
pub use trained::CodeParams;

/// What inverted lists are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListsParams {
    /// `Element::TAG` of the vectors: 0 f32, 1 f16, 2 bits.
    pub element: u8,
    /// How nearness is measured.
    pub metric: Metric,
    /// Components of a vector.
    pub dims: usize,
    /// How vectors are coded; None: as they are.
    pub code: Option<CodeParams>,
    /// Attributes of an entry.
    pub attributes: Attributes,
}

impl ListsParams {
    /// How the index stores vectors beside their codes; None where it does not.
    fn vectors(&self) -> Option<Option<Geometry>> {
        Some(match self.code.map(|code| code.refine) {
            None | Some(Refine::Flat) => Some(Geometry::of_column(self.dims, self.element)?),
            Some(Refine::Heap) => None,
            Some(Refine::SqFp16) => Some(Geometry::new(self.dims, 2)?),
            Some(Refine::Sq8) => Some(Geometry::new(self.dims, 1)?),
        })
    }

    /// What a code of them is trained for.
    pub fn space(&self) -> Space {
        Space { dims: self.dims, metric: self.metric }
    }
}

/// A set of inverted lists and where it lies: the rows of an index, or the centroids of its coarse quantizer. Everything but
/// the contents of its pages is settled when the index is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvertedLists {
    /// What they are made of.
    pub params: ListsParams,
    /// Number of lists.
    pub nlist: usize,
    /// Shape of blocks and overflow extents.
    pub layout: BlockLayout,
    /// First MODEL page, INVALID if there are no trained parameters.
    pub model_first: Blkno,
    /// First DIRECTORY page.
    pub directory_first: Blkno,
    /// First page of the packed area, INVALID if it is empty.
    pub codes_first: Blkno,
    /// First DATA page of the packed area, INVALID without.
    pub vectors_first: Blkno,
    /// Slots of the packed area.
    pub n_slots: u64,
    /// The build that its pages belong to: those that inserts add are marked with it.
    pub generation: u32,
}

impl InvertedLists {
    /// `nlist` lists about to be built. None if there are none of this shape.
    pub fn new(params: &ListsParams, nlist: usize) -> Option<Self> {
        let ListsParams { element, metric, dims, code, attributes } = *params;
        let is_possible = measures(metric, element)
            && Geometry::of_column(dims, element).is_some()
            && (code.is_none() || metric.has_codes() && element != Bits::TAG);
        if !is_possible || nlist == 0 {
            return None;
        }
        let kind = code.map(|code| code.kind);
        let vectors = params.vectors()?;
        Some(Self {
            params: *params,
            nlist,
            layout: BlockLayout::new(kind, metric.has_norms(), dims, vectors, attributes),
            model_first: INVALID_BLKNO,
            directory_first: INVALID_BLKNO,
            codes_first: INVALID_BLKNO,
            vectors_first: INVALID_BLKNO,
            n_slots: 0,
            generation: 0,
        })
    }

    /// Pages that a build writes beside those of entries and vectors: MODEL and DIRECTORY.
    pub fn fixed_pages(&self) -> u64 {
        crate::model::n_pages(self.model_len()) + directory::n_pages(self.nlist)
    }

    /// Pages that a build writes for `n_slots` slots of the packed area and for what stands beside them.
    pub fn built_pages(&self, n_slots: u64) -> u64 {
        let layout = &self.layout;
        self.fixed_pages() + layout.packed_pages(n_slots) + layout.packed_vector_pages(n_slots)
    }

    /// Floats in the MODEL pages.
    pub fn model_len(&self) -> usize {
        self.params.code.map_or(0, |code| code.model_len(self.params.dims))
    }
}
