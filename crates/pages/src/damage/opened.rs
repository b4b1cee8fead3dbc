//! An index as somebody sees it who has just opened it, and how it codes a row.

use ann::coarse::Coarse;
use ann::codec::{Codec, Coding, Space, Stored};
use ann::element::Element;
use ann::factory::Refine;
use ann::hnsw::Grid;
use ann::kernels::norm_sqr;
use ann::metric::Metric;
use ann::rotation::Rotation;

use crate::coded::model;
use crate::error::Error;
use crate::hnsw;
use crate::ivf::centroids::read_centroids;
use crate::ivf::lists::View;
use crate::meta::{META_BLKNO, Meta};
use crate::store::Pages;

/// The part of an index that never changes.
pub enum Opened {
    /// Inverted lists, or a single one.
    Lists(Box<Lists>),
    /// A graph.
    Graph(Box<Graph>),
}

/// Of inverted lists.
pub struct Lists {
    pub meta: Meta,
    pub centroids: Vec<f32>,
    pub code: Option<Code>,
}

/// What a lossy code was trained to.
pub struct Code {
    pub codec: Codec,
    pub stored: Stored,
    pub rotation: Option<Rotation>,
}

/// Of a graph.
pub struct Graph {
    pub meta: hnsw::Meta,
    pub grid: Grid,
}

/// A row as it is coded.
pub struct Coded {
    pub list_no: u32,
    pub coarse_distance: f32,
    pub code: Vec<u8>,
    pub factors: Vec<f32>,
    /// As the index stores the vector itself.
    pub vector: Vec<u8>,
}

impl Opened {
    /// Reads it from its pages.
    pub fn read<P: Pages>(pages: &P) -> Result<Self, Error> {
        let is_graph = hnsw::Meta::is_graph(&*pages.read(META_BLKNO)?);
        if is_graph {
            let meta = hnsw::Meta::read(pages)?;
            let grid = meta.read_grid(pages)?;
            return Ok(Self::Graph(Box::new(Graph { meta, grid })));
        }
        let meta = Meta::read(pages)?;
        let centroids = read_centroids(pages, &meta)?;
        let code = match &meta.coded {
            None => None,
            Some(coded) => {
                let floats = model::read(pages, coded.model_first, coded.model_len(meta.dims))?;
                let space = Space { dims: meta.dims, metric: meta.metric };
                let parts = model::parts(space, &coded.params, floats);
                let (rotation, codec, stored) = parts.ok_or_else(|| {
                    Error::corrupted(coded.model_first, "trained parameters make no code")
                })?;
                Some(Code { codec, stored, rotation })
            }
        };
        Ok(Self::Lists(Box::new(Lists { meta, centroids, code })))
    }
}

/// Of length 1 if that is asked for; a vector without direction stays as it is.
pub fn unit<E: Element>(normalize: bool, vector: &[E], dims: usize) -> Vec<f32> {
    let mut point = E::widened(vector, dims);
    let norm = norm_sqr(&point).sqrt();
    let scale = if normalize && norm > 0.0 { 1.0 / norm } else { 1.0 };
    point.iter_mut().for_each(|x| *x *= scale);
    point
}

impl Lists {
    /// The coarse quantizer; None when untrained.
    pub fn coarse(&self) -> Option<Coarse<'_>> {
        let (metric, dims) = (self.meta.metric, self.meta.dims);
        self.meta.is_trained.then_some(Coarse { metric, dims, centroids: &self.centroids })
    }

    /// What a scan reads by.
    pub fn view(&self) -> View<'_> {
        let codec = self.code.as_ref().map(|code| &code.codec);
        let (coded_coarse, trusts_marks) = (None, true);
        View { meta: &self.meta, coarse: self.coarse(), coded_coarse, codec, trusts_marks }
    }

    /// A vector as it is assigned to a list and coded.
    pub fn point<E: Element>(&self, vector: &[E]) -> Vec<f32> {
        let normalize = self.meta.coded.is_some_and(|coded| coded.params.normalize);
        let normalize = normalize || self.meta.metric == Metric::Cosine;
        let point = unit(normalize, vector, self.meta.dims);
        match self.code.as_ref().and_then(|code| code.rotation.as_ref()) {
            Some(rotation) => {
                let mut rotated = Vec::new();
                rotation.apply(&point, &mut rotated);
                rotated
            }
            None => point,
        }
    }

    /// A row; without a code its vector alone and its list.
    pub fn coded<E: Element>(&self, vector: &[E]) -> Coded {
        let point = self.point(vector);
        let coarse = self.coarse();
        let (list_no, coarse_distance) = coarse.map_or((0, 0.0), |coarse| coarse.assign(&point));
        let Some(Code { codec, stored, .. }) = &self.code else {
            let vector = bytemuck::cast_slice(vector).to_vec();
            return Coded {
                list_no,
                coarse_distance,
                code: Vec::new(),
                factors: Vec::new(),
                vector,
            };
        };
        let mut factors = vec![0.0; codec.n_factors()];
        let mut code = vec![0; codec.bare_size()];
        let centroid = coarse.as_ref().map_or(&[][..], |coarse| coarse.centroid(list_no));
        codec.encode(&point, centroid, &mut code, &mut factors);
        let size = match self.meta.coded.map_or(Refine::Heap, |coded| coded.params.refine) {
            Refine::Heap => 0,
            Refine::Flat => size_of_val(vector),
            Refine::SqFp16 => 2 * vector.len(),
            Refine::Sq8 => vector.len(),
        };
        let mut kept = vec![0; size];
        stored.put(vector, &mut kept);
        Coded { list_no, coarse_distance, code, factors, vector: kept }
    }
}
