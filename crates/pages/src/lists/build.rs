//! Build: every page once, META last. The centroids become the list of the coarse quantizer; entries come grouped by list and
//! fill the packed area, whose pages wait in a temporary file while the exact vectors before them are written.

use ann::codec::Codec;

use crate::error::Error;
use crate::lists::BlockLayout;
use crate::lists::meta::{Meta, MetaParams};
use crate::lists::quantizer;
use crate::lists::sort::Runs;
use crate::page::{META_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::BulkPages;
use crate::tid::Tid;

pub(super) mod area;
mod writers;

use area::AreaWriter;

/// A row on its way into an index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<'a> {
    /// The inverted list it was assigned to.
    pub list_no: u32,
    /// Its heap tuple.
    pub tid: Tid,
    /// The distance to the list's centroid as the coarse quantizer gives it
    /// (under cosine of the unit vector); 0 when untrained.
    pub coarse_distance: f32,
    /// Everything else, as [`Payload`] divides it.
    pub payload: &'a [u8],
}

/// How a row's payload is divided: its code, its factors, its attributes, its exact vector as far as the index stores it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Payload {
    /// Bytes of the bare code.
    pub code: usize,
    /// Bytes of the factors.
    pub factors: usize,
    /// Bytes of the attributes.
    pub attributes: usize,
    /// Bytes of the vector.
    pub vector: usize,
}

/// The parts of a payload.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The bare code.
    pub code: &'a [u8],
    /// The factors, 32-bit floats.
    pub factors: &'a [u8],
    /// The attributes: which are null, then the values.
    pub attributes: &'a [u8],
    /// The vector.
    pub vector: &'a [u8],
}

impl Payload {
    /// The payload of entries of this layout. `code`: bytes of a bare code, 0 without one.
    pub fn new(layout: &BlockLayout, code: usize) -> Self {
        Self {
            code,
            factors: layout.n_factors * size_of::<f32>(),
            attributes: layout.attributes.entry_size(),
            vector: layout.vectors.map_or(0, |g| g.vector_size()),
        }
    }

    /// All of it.
    pub fn size(&self) -> usize {
        self.code + self.factors + self.attributes + self.vector
    }

    /// The parts of a payload; None if it has another size.
    pub fn split<'a>(&self, payload: &'a [u8]) -> Option<Parts<'a>> {
        let (code, rest) = payload.split_at_checked(self.code)?;
        let (factors, rest) = rest.split_at_checked(self.factors)?;
        let (attributes, vector) = rest.split_at_checked(self.attributes)?;
        let parts = Parts { code, factors, attributes, vector };
        (vector.len() == self.vector).then_some(parts)
    }
}

/// What a build has trained.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainedParts<'a> {
    /// The centroids, nlist × dims row-major; none: an untrained index of one list.
    pub centroids: &'a [f32],
    /// The code of the centroids, which many of them have.
    pub quantizer: Option<&'a Codec>,
    /// The code of the rows, unless vectors stay as they are.
    pub codec: Option<&'a Codec>,
    /// Rotation and parameters of the rows' code, as [`crate::lists::CodeParams::model_len`] counts them.
    pub model: &'a [f32],
}

/// Writes an index from entries that come grouped by ascending list.
pub struct Builder<'a, W: BulkPages, R: Runs> {
    sink: W,
    /// Takes blocks while exact vectors are written before them.
    spool: R,
    meta: Meta,
    area: AreaWriter<'a>,
}

impl<'a, W: BulkPages, R: Runs> Builder<'a, W, R> {
    /// Starts an index: reserves META, writes the coarse quantizer. The sink must be empty.
    pub fn new(
        mut sink: W,
        spool: R,
        params: &MetaParams,
        trained: &TrainedParts<'a>,
    ) -> Result<Self, Error> {
        // A reserved page is no META page until the end: whatever reads it before is refused.
        if sink.append(&Page::new(PageKind::Free, NO_OWNER))? != META_BLKNO {
            return Err(Error::corrupted(META_BLKNO, "is already in use"));
        }
        Self::without_meta(sink, spool, params, trained)
    }

    /// Starts all that an index has but META, somewhere in an index that is there already.
    pub fn without_meta(
        mut sink: W,
        mut spool: R,
        params: &MetaParams,
        trained: &TrainedParts<'a>,
    ) -> Result<Self, Error> {
        let unfit = || Error::corrupted(META_BLKNO, "cannot hold vectors of this shape");
        let dims = params.lists.dims;
        let nlist = trained.centroids.len().checked_div(dims).unwrap_or(0);
        let mut meta = Meta::new(params, nlist)
            .filter(|meta| nlist * dims == trained.centroids.len() && has_parts(meta, trained))
            .ok_or_else(unfit)?;
        if let Some(lists) = &mut meta.quantizer {
            *lists = quantizer::write(&mut sink, &mut spool, lists, trained)?;
        }
        let area = AreaWriter::new(&mut sink, &meta.lists, trained.codec, trained.model)?;
        Ok(Self { sink, spool, meta, area })
    }

    /// Adds a row. Lists must come in ascending order; within a list any order will do.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        self.meta.build_rows += 1;
        self.area.add(&mut self.sink, &mut self.spool, entry)
    }

    /// Writes what is pending, the directory and META; returns the sink and the metapage.
    pub fn finish(self) -> Result<(W, Meta), Error> {
        let (mut sink, meta) = self.finish_without_meta()?;
        sink.replace(META_BLKNO, &meta.to_page())?;
        Ok((sink, meta))
    }

    /// Writes what is pending and the directory; returns the sink and what META is to say.
    pub fn finish_without_meta(mut self) -> Result<(W, Meta), Error> {
        self.meta.lists = self.area.finish(&mut self.sink, &mut self.spool)?;
        Ok((self.sink, self.meta))
    }
}

/// Whether what was trained is what the index needs.
fn has_parts(meta: &Meta, trained: &TrainedParts<'_>) -> bool {
    let of_centroids = meta.quantizer.is_some_and(|lists| lists.params.code.is_some());
    trained.codec.is_some() == meta.code().is_some()
        && trained.model.len() == meta.lists.model_len()
        && trained.quantizer.is_some() == of_centroids
        && (meta.is_trained() || meta.code().is_none())
}
