//! What an index of lists is trained to, how a row of it is coded, and a build of it in memory.

use ann::coarse::Coarse;
use ann::codec::{self, Codec, Coding, Stored, take_residuals};
use ann::element::Element;
use ann::factory::RotationKind;
use ann::kernels::norm_sqr;
use ann::kmeans::TrainError;
use ann::metric::Metric;
use ann::parallel::Job;
use ann::rotation::{HadamardRotation, Rotation, RotationMatrix};

use super::rows::attributes_of;
use crate::error::Error;
use crate::lists::build::{Builder, Entry, TrainedParts};
use crate::lists::insert::Row;
use crate::lists::sort::Runs;
use crate::lists::trained::TrainedCode;
use crate::lists::{ListsParams, Meta, MetaParams, quantizer, rebuild};
use crate::mem::MemPages;
use crate::page::Blkno;
use crate::store::{BulkPages, Pages};
use crate::tid::Tid;

/// A row as an index takes it.
pub struct CodedRow {
    pub list_no: u32,
    pub coarse_distance: f32,
    pub code: Vec<u8>,
    pub factors: Vec<f32>,
    pub attributes: Vec<u8>,
    /// The vector as the index stores it.
    pub vector: Vec<u8>,
}

impl CodedRow {
    /// The row to be inserted.
    pub fn row(&self, tid: Tid) -> Row<'_> {
        Row {
            list_no: self.list_no,
            tid,
            coarse_distance: self.coarse_distance,
            code: &self.code,
            factors: &self.factors,
            attributes: &self.attributes,
            vector: &self.vector,
        }
    }

    /// What a build takes of it beside tid and list.
    fn payload(&self) -> Vec<u8> {
        let factors = bytemuck::cast_slice(&self.factors);
        [&self.code, factors, &self.attributes, &self.vector].concat()
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

/// A vector as it is assigned to a list and coded.
pub fn point_of<E: Element>(
    params: &ListsParams,
    code: Option<&TrainedCode>,
    vector: &[E],
) -> Vec<f32> {
    let normalize = params.metric == Metric::Cosine || params.code.is_some_and(|c| c.normalize);
    let point = unit(normalize, vector, params.dims);
    let Some(rotation) = code.and_then(|code| code.rotation.as_ref()) else { return point };
    let mut rotated = Vec::new();
    rotation.apply(&point, &mut rotated);
    rotated
}

/// Codes the vector of a row that belongs to `list`, a number and a coarse distance. `point`: the vector as it is coded.
pub fn code_row<E: Element>(
    params: &ListsParams,
    code: Option<&TrainedCode>,
    (tid, vector): (Tid, &[E]),
    point: &[f32],
    list: (u32, f32),
    centroid: &[f32],
) -> CodedRow {
    let mut row = CodedRow {
        list_no: list.0,
        coarse_distance: list.1,
        code: Vec::new(),
        factors: Vec::new(),
        attributes: attributes_of(tid, &params.attributes),
        vector: Vec::new(),
    };
    let stored = match code {
        None => {
            row.factors.extend(params.metric.has_norms().then(|| E::norm_sqr(vector)));
            &Stored::Flat
        }
        Some(TrainedCode { codec, stored, .. }) => {
            row.code.resize(codec.bare_size(), 0);
            row.factors.resize(codec.n_factors(), 0.0);
            codec.encode(point, centroid, &mut row.code, &mut row.factors);
            stored
        }
    };
    let size = match stored {
        Stored::None => 0,
        Stored::Flat => size_of_val(vector),
        Stored::SqFp16 => 2 * vector.len(),
        Stored::Sq8(_) => vector.len(),
    };
    row.vector.resize(size, 0);
    stored.put(vector, &mut row.vector);
    row
}

/// What an index is trained to, before there are pages.
pub struct Trained {
    pub params: MetaParams,
    pub centroids: Vec<f32>,
    /// The code of the centroids, if they have one.
    pub quantizer: Option<Codec>,
    pub code: Option<TrainedCode>,
}

fn untrained(error: TrainError) -> Error {
    Error::Workers(error.to_string())
}

impl Trained {
    /// Trains on `sample`, vectors as the column has them, of which there are [`Trained::n_sample`] at least.
    pub fn new(params: MetaParams, centroids: Vec<f32>, sample: &[f32]) -> Result<Self, Error> {
        let lists = &params.lists;
        let quantizer =
            quantizer::train(lists, &centroids, 1, &Job::default()).map_err(untrained)?;
        let coarse = Coarse { metric: lists.metric, dims: lists.dims, centroids: &centroids };
        let code = code_of(lists, &coarse, sample).map_err(untrained)?;
        Ok(Self { params, centroids, quantizer, code })
    }

    /// Vectors that training takes.
    pub fn n_sample(lists: &ListsParams) -> usize {
        lists.code.map_or(0, |code| code.kind.rows_min().max(64))
    }

    /// The parameters of the rows' code as they are stored.
    pub fn model(&self) -> Vec<f32> {
        let Some(TrainedCode { codec, stored, rotation, .. }) = &self.code else {
            return Vec::new();
        };
        let rotation = rotation.as_ref().map_or(&[][..], Rotation::params);
        [rotation, codec.params(), stored.params()].concat()
    }

    /// A row, assigned by the centroids in memory.
    pub fn row<E: Element>(&self, tid: Tid, vector: &[E]) -> CodedRow {
        let lists = &self.params.lists;
        let coarse = Coarse { metric: lists.metric, dims: lists.dims, centroids: &self.centroids };
        row_by(&coarse, lists, self.code.as_ref(), (tid, vector))
    }

    /// Builds an index of these rows.
    pub fn build<'v, E: Element>(
        &self,
        rows: impl Iterator<Item = (Tid, &'v [E])>,
    ) -> Result<(MemPages, Meta), Error> {
        let (rows, model) = (self.sorted(rows), self.model());
        let parts = self.parts(&model);
        let spool = Spool::default();
        let mut builder = Builder::new(MemPages::default(), spool, &self.params, &parts)?;
        add_all(&mut builder, &rows)?;
        builder.finish()
    }

    /// Builds an index of these rows beside the one that is there, as build number `generation`; returns what META is to say.
    pub fn build_in_place<'v, P: Pages, E: Element>(
        &self,
        pages: &P,
        generation: u32,
        rows: impl Iterator<Item = (Tid, &'v [E])>,
    ) -> Result<Meta, Error> {
        let (rows, model) = (self.sorted(rows), self.model());
        let nlist = self.centroids.len() / self.params.lists.dims;
        let mut sizes = vec![0; nlist.max(1)];
        rows.iter().for_each(|(row, _)| sizes[row.list_no as usize] += 1);
        let meta = Meta::new(&self.params, nlist).ok_or_else(|| Error::Internal("shape".into()))?;
        let n = meta.built_pages(sizes.into_iter());
        let sink = rebuild::reserve(pages, n as Blkno, generation)?;
        let parts = self.parts(&model);
        let mut builder = Builder::without_meta(sink, Spool::default(), &self.params, &parts)?;
        add_all(&mut builder, &rows)?;
        let (sink, meta) = builder.finish_without_meta()?;
        assert!(sink.is_full(), "more pages were counted than written");
        Ok(meta)
    }

    /// Rows in the order in which a build takes them.
    fn sorted<'v, E: Element>(
        &self,
        rows: impl Iterator<Item = (Tid, &'v [E])>,
    ) -> Vec<(CodedRow, Tid)> {
        let mut rows: Vec<_> = rows.map(|(tid, vector)| (self.row(tid, vector), tid)).collect();
        rows.sort_by_key(|(row, tid)| (row.list_no, *tid));
        rows
    }

    fn parts<'a>(&'a self, model: &'a [f32]) -> TrainedParts<'a> {
        TrainedParts {
            centroids: &self.centroids,
            quantizer: self.quantizer.as_ref(),
            codec: self.code.as_ref().map(|code| &code.codec),
            model,
        }
    }
}

fn add_all<W: BulkPages>(
    builder: &mut Builder<'_, W, Spool>,
    rows: &[(CodedRow, Tid)],
) -> Result<(), Error> {
    for (row, tid) in rows {
        let (list_no, coarse_distance) = (row.list_no, row.coarse_distance);
        let payload = row.payload();
        builder.add(&Entry { list_no, tid: *tid, coarse_distance, payload: &payload })?;
    }
    Ok(())
}

/// A row, assigned by centroids in memory.
pub fn row_by<E: Element>(
    coarse: &Coarse<'_>,
    params: &ListsParams,
    code: Option<&TrainedCode>,
    (tid, vector): (Tid, &[E]),
) -> CodedRow {
    let point = point_of(params, code, vector);
    let list = if coarse.nlist() == 0 { (0, 0.0) } else { coarse.assign(&point) };
    code_row(params, code, (tid, vector), &point, list, coarse.centroid(list.0))
}

/// The code of the rows, trained.
fn code_of(
    lists: &ListsParams,
    coarse: &Coarse<'_>,
    sample: &[f32],
) -> Result<Option<TrainedCode>, TrainError> {
    let Some(params) = lists.code else { return Ok(None) };
    let job = Job::default();
    let stored = Stored::train(params.refine, lists.dims, sample)?;
    let rotation = match params.rotation {
        RotationKind::None => None,
        RotationKind::Hadamard => Some(Rotation::Hadamard(HadamardRotation::random(lists.dims, 1))),
        _ => Some(Rotation::Matrix(RotationMatrix::random(lists.dims, 1, &job)?)),
    };
    let rows = sample.chunks_exact(lists.dims);
    let mut points: Vec<f32> = rows.flat_map(|row| point_of::<f32>(lists, None, row)).collect();
    if params.kind.by_residual() {
        let list_nos: Vec<u32> =
            points.chunks_exact(lists.dims).map(|point| coarse.assign(point).0).collect();
        take_residuals(coarse, &mut points, &list_nos);
    }
    let codec = codec::train(params.kind, lists.space(), &points, 1, &job)?;
    Ok(Some(TrainedCode { params, codec, stored, rotation }))
}

/// Spooled pages, in memory: each run with how much of it was read.
#[derive(Default)]
pub struct Spool(Vec<(Vec<u8>, usize)>);

impl Spool {
    fn missing() -> Error {
        Error::Spill("there is no such run".into())
    }
}

impl Runs for Spool {
    fn create(&mut self) -> Result<usize, Error> {
        self.0.push((Vec::new(), 0));
        Ok(self.0.len() - 1)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (run, _) = self.0.last_mut().ok_or_else(Self::missing)?;
        run.extend_from_slice(bytes);
        Ok(())
    }

    fn rewind(&mut self, run: usize) -> Result<(), Error> {
        self.0.get_mut(run).ok_or_else(Self::missing)?.1 = 0;
        Ok(())
    }

    fn read(&mut self, run: usize, out: &mut [u8]) -> Result<usize, Error> {
        let (bytes, at) = self.0.get_mut(run).ok_or_else(Self::missing)?;
        let n = out.len().min(bytes.len() - *at);
        out[..n].copy_from_slice(&bytes[*at..*at + n]);
        *at += n;
        Ok(n)
    }

    fn check_interrupts(&self) {}
}
