//! Inverted lists, or the single list of `faissflat`, as a file. Lists come from the index; codes are made anew from the table's rows
//! by the index's own code, which gives the bytes that the index has: FAISS keeps factors with some that the index does not keep.

use ann::coarse::Coarse;
use ann::codec::{Codec, Coding, encode_batch};
use ann::factory::Refine;
use ann::parallel;
use ann::rotation::Rotation;
use faissfile::write::BLOCK;
use faissfile::{Coder, Plan};

use super::assembly::{Assembly, Spool};
use super::export::{Exporting, Wanted, as_faiss_has_them};
use super::listed;
use super::rows::Portion;
use crate::am::files::rows::RowReader;
use crate::am::guc;
use crate::am::interrupts::check_for_interrupts;
use crate::am::method::method_of;
use crate::am::options::options_of;
use crate::am::recall_target::{self, Wishes};
use crate::am::relation::IvfIndex;
use crate::am::report::checked;
use crate::am::value::Column;

/// The file of an index of lists.
pub fn file<E: Column>(exporting: &Exporting<'_>, ivf: &IvfIndex, wanted: &Wanted) -> Assembly {
    let centroids = checked(exporting.index, listed::centroids(exporting.pages, ivf));
    let matrix = ivf.code.as_ref().and_then(|code| code.rotation.as_ref().map(Rotation::matrix));
    let mut out = Out::new(exporting, ivf, (&centroids, matrix.as_deref()), wanted);
    let mut rows = exporting.rows(ivf.meta.dims());
    let mut take = |rows: &mut RowReader| out.take(rows.read::<E>());
    let listed = listed::for_each_row(exporting.pages, ivf, |list_no, tid| {
        if rows.ask(list_no, tid) {
            take(&mut rows);
        }
    });
    checked(exporting.index, listed);
    take(&mut rows);
    rows.end();
    out.finish()
}

/// What is written so far.
struct Out<'a> {
    ivf: &'a IvfIndex,
    plan: Plan<'a>,
    codec: Option<&'a Codec>,
    entries: Entries<'a>,
    /// The vectors as they are, if they go along.
    vectors: Option<Spool>,
    /// The keys where these are no ids of lists.
    ids: Option<Spool>,
    n: u64,
    k_factor: f32,
}

impl<'a> Out<'a> {
    fn new(
        exporting: &Exporting<'_>,
        ivf: &'a IvfIndex,
        (centroids, matrix): (&'a [f32], Option<&'a [f32]>),
        wanted: &Wanted,
    ) -> Self {
        let (index, meta) = (exporting.index, &ivf.meta);
        let code = ivf.code.as_ref();
        let has_lists = meta.is_trained() && method_of(index).is_some_and(|m| m.has_lists);
        let tuples = recall_target::tuples_of(index);
        let options = options_of(index);
        let choice = recall_target::of_lists(&options, meta, None, tuples);
        // Who reads the file sets its nprobe, as in FAISS: so the candidates are those for any number of lists.
        let wishes = Wishes { nprobe: Some(choice.nprobe), ..Wishes::of(&options) };
        let budget = recall_target::of_wishes(wishes, &options, meta, (None, tuples)).budget;
        let plan = Plan {
            metric: meta.metric(),
            dims: meta.dims(),
            has_lists,
            code: code.map(|code| code.params.kind),
            normalizes: code.is_some_and(|code| code.params.normalize),
            rotation: code
                .and_then(|code| matrix.map(|matrix| (code.params.rotation.is_drawn(), matrix))),
            nprobe: choice.nprobe.into(),
            centroids,
            params: code.map_or(&[], |code| code.codec.params()),
        };
        let refines = code.is_some_and(|code| code.params.refine != Refine::Heap);
        let has_refine = code.is_some() && wanted.refine.unwrap_or(refines);
        let new = || Spool::new(index);
        Self {
            ivf,
            plan,
            codec: code.map(|code| &code.codec),
            entries: Entries::new(&plan, code.map(|code| &code.codec), new()),
            vectors: has_refine.then(new),
            ids: (has_refine || !has_lists).then(new),
            n: 0,
            k_factor: budget.per_row as f32,
        }
    }

    /// Writes some rows.
    fn take(&mut self, mut portion: Portion) {
        let (dims, metric) = (self.plan.dims, self.plan.metric);
        let codes = self.codes(&portion);
        as_faiss_has_them(metric, dims, &mut portion.points);
        let rows = portion.points.chunks_exact(dims.max(1));
        for (i, (row, (list_no, key))) in
            rows.zip(portion.marks.iter().zip(&portion.keys)).enumerate()
        {
            let bytes = little_endian(row);
            // With a refinement the ids of the lists are places among the vectors.
            let id = if self.ids.is_some() { self.n as i64 } else { *key };
            let size = self.entries.code_size;
            match codes.get(i * size..(i + 1) * size).filter(|_| self.codec.is_some()) {
                Some(code) => self.entries.push(*list_no, id, code),
                None => self.entries.push(*list_no, id, &bytes),
            }
            if let Some(vectors) = &mut self.vectors {
                vectors.append(&bytes);
            }
            if let Some(ids) = &mut self.ids {
                ids.append(&key.to_le_bytes());
            }
            self.n += 1;
        }
    }

    /// The codes of rows as FAISS stores them; nothing without a code.
    fn codes(&self, portion: &Portion) -> Vec<u8> {
        let (Some(codec), Some(kind)) = (self.codec, self.plan.code) else { return Vec::new() };
        let Plan { metric, dims, centroids, .. } = self.plan;
        let coarse = Coarse { metric, dims, centroids };
        let record = codec.bare_size() + codec.n_factors() * size_of::<f32>();
        let transform = self.ivf.transform();
        let made = parallel::run(
            guc::build_threads(),
            |_job| check_for_interrupts(),
            |job| {
                let points = transform.apply_batch(&portion.points, dims, job);
                let mut records = vec![0; portion.marks.len() * record];
                encode_batch(codec, &coarse, &points, &portion.marks, record, &mut records, job);
                (points, records)
            },
        );
        let (points, records) = made.unwrap_or_default();
        let coder = Coder::new(codec, kind, dims, self.plan.metric);
        let mut codes = vec![0; portion.marks.len() * coder.size()];
        let rows = points.chunks_exact(dims.max(1)).zip(&portion.marks);
        let places = codes.chunks_exact_mut(coder.size().max(1));
        for ((out, bare), (point, list_no)) in
            places.zip(records.chunks_exact(record.max(1))).zip(rows)
        {
            coder.complete(bare, point, coarse.centroid(*list_no), out);
        }
        codes
    }

    fn finish(mut self) -> Assembly {
        let (n, plan) = (self.n, self.plan);
        self.entries.finish();
        let mut file = Assembly::default();
        file.bytes(plan.outside(n, self.ids.is_some(), self.vectors.is_some()));
        file.bytes(plan.before_codes(n, &self.entries.sizes));
        file.spool(self.entries.spool);
        file.bytes(plan.after_codes());
        if let Some(vectors) = self.vectors {
            file.bytes(plan.before_vectors(n));
            file.spool(vectors);
            file.bytes(Plan::after_vectors(self.k_factor.max(1.0)));
        }
        if let Some(ids) = self.ids {
            file.bytes(n.to_le_bytes().into());
            file.spool(ids);
        }
        file
    }
}

fn little_endian(row: &[f32]) -> Vec<u8> {
    row.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Codes and ids on their way into the file. The ids of one list are held, and of codes for fast-scan those of one list as well.
struct Entries<'a> {
    layout: Layout<'a>,
    /// Bytes of a code; 0 where vectors are stored as they are.
    code_size: usize,
    spool: Spool,
    /// The length of every list; none without lists.
    sizes: Vec<u64>,
    list_no: usize,
    ids: Vec<i64>,
    codes: Vec<u8>,
}

/// How entries lie.
#[derive(Clone, Copy)]
enum Layout<'a> {
    /// Codes one after the other, then, with lists, the ids of a list.
    Rows,
    /// Codes in blocks of 32.
    Blocks(&'a Codec),
}

impl<'a> Entries<'a> {
    fn new(plan: &Plan<'_>, codec: Option<&'a Codec>, spool: Spool) -> Self {
        let layout = match codec {
            Some(codec @ Codec::PqFs(_)) => Layout::Blocks(codec),
            _ => Layout::Rows,
        };
        let nlist = plan.centroids.len() / plan.dims.max(1);
        let sizes = vec![0; if plan.has_lists { nlist } else { 0 }];
        let code_size = plan.code.map_or(0, |kind| kind.code_size(plan.dims));
        let (ids, codes) = (Vec::new(), Vec::new());
        Self { layout, code_size, spool, sizes, list_no: 0, ids, codes }
    }

    fn push(&mut self, list_no: u32, id: i64, code: &[u8]) {
        while !self.sizes.is_empty() && self.list_no < list_no as usize {
            self.end_list();
        }
        match self.layout {
            Layout::Rows => self.spool.append(code),
            Layout::Blocks(_) => self.codes.extend_from_slice(code),
        }
        match self.sizes.get_mut(self.list_no) {
            Some(size) => {
                *size += 1;
                self.ids.push(id);
            }
            None if self.codes.len() >= BLOCK * self.code_size => self.end_blocks(),
            None => {}
        }
    }

    fn end_list(&mut self) {
        let ids: Vec<u8> = self.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let n = self.ids.len();
        match self.layout {
            Layout::Rows => self.spool.append(&ids),
            Layout::Blocks(codec) => {
                let bytes = n.div_ceil(BLOCK) * codec.units() * ann::codec::UNIT;
                self.spool.append(&(n as u64).to_le_bytes());
                self.spool.append(&ids);
                self.spool.append(&(bytes as u64).to_le_bytes());
                self.end_blocks();
            }
        }
        self.ids.clear();
        self.list_no += 1;
    }

    /// Writes the codes held as blocks, the last one filled up with zeros.
    fn end_blocks(&mut self) {
        let Layout::Blocks(codec) = self.layout else { return };
        let mut block = vec![0; codec.units() * ann::codec::UNIT];
        for codes in self.codes.chunks(BLOCK * self.code_size.max(1)) {
            block.fill(0);
            for (lane, code) in codes.chunks_exact(self.code_size.max(1)).enumerate() {
                codec.pack(code, lane, 0, &mut block);
            }
            self.spool.append(&block);
        }
        self.codes.clear();
    }

    fn finish(&mut self) {
        while self.list_no < self.sizes.len() {
            self.end_list();
        }
        self.end_blocks();
    }
}
