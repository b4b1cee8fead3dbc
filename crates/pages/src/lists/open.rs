//! The part of an index of lists that stays as long as its build does, decoded once: what every verb needs.

use crate::error::Error;
use crate::lists::meta::Meta;
use crate::lists::quantizer::Quantizer;
use crate::lists::scanner::View;
use crate::lists::trained::TrainedCode;
use crate::store::Pages;

/// An index of lists as somebody sees it who has just opened it.
#[derive(Debug)]
pub struct ListsIndex {
    /// The metapage.
    pub meta: Meta,
    /// What finds the lists near to a vector; None when untrained.
    pub quantizer: Option<Quantizer>,
    /// None where vectors are stored as the column has them.
    pub code: Option<TrainedCode>,
}

impl ListsIndex {
    /// Reads the metapage and what was trained.
    pub fn open<P: Pages>(pages: &P) -> Result<Self, Error> {
        Self::of(pages, Meta::read(pages)?)
    }

    /// Reads what was trained of lists that META describes, or is about to.
    pub fn of<P: Pages>(pages: &P, meta: Meta) -> Result<Self, Error> {
        let quantizer = match &meta.quantizer {
            Some(lists) => Some(Quantizer::open(pages, lists, meta.nlist())?),
            None => None,
        };
        let code = TrainedCode::read(pages, &meta.lists)?;
        Ok(Self { meta, quantizer, code })
    }

    /// What a scan reads by; without belief in marks.
    pub fn view(&self) -> View<'_> {
        View {
            lists: &self.meta.lists,
            quantizer: self.quantizer.as_ref(),
            codec: self.code.as_ref().map(|code| &code.codec),
            trusts_marks: false,
            filter: None,
        }
    }

    /// Bytes of what was trained, about.
    pub fn trained_bytes(&self) -> usize {
        let of_centroids = self.meta.quantizer.map_or(0, |lists| lists.model_len());
        (self.meta.lists.model_len() + of_centroids) * size_of::<f32>()
    }
}
