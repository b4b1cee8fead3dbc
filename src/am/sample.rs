//! The training sample: rows drawn at random over the whole table, in memory or, where that has no room for them, in a
//! temporary file.

use std::mem::take;
use std::ops::Range;

use ann::extent;
use ann::kmeans::{Rows, TrainError};
use ann::parallel::Job;
use ann::rng::{Reservoir, Rng};
use pgrx::{PgMemoryContexts, pg_sys};

use super::build::memory_bytes_max;
use super::spill::TempFile;
use super::train::ROWS_WITHOUT_LISTS;

/// Bytes of rows that are moved within the file at once.
const MOVED_BYTES: usize = 1 << 20;

/// Rows drawn at random over the whole table, in the order of their places in the sample.
pub struct Sample {
    pub store: Store,
    /// Rows drawn.
    pub n: usize,
    /// Rows that can be indexed, seen by the pass.
    pub rows: u64,
}

/// Where they are: n × dims, as the column has them, none too long for arithmetic.
pub enum Store {
    Memory(Vec<f32>),
    Spilled(SampleFile),
}

impl Sample {
    /// A sample drawn elsewhere, n × dims.
    pub fn of(points: Vec<f32>, dims: usize) -> Self {
        let n = points.len() / dims.max(1);
        Self { store: Store::Memory(points), n, rows: n as u64 }
    }

    /// Rows drawn for the grid of a graph at most.
    pub fn rows_max_of_graph(dims: usize) -> usize {
        let vectors = memory_bytes_max() / (dims.max(1) * size_of::<f32>());
        vectors.clamp(1, ROWS_WITHOUT_LISTS)
    }

    /// Rows drawn.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Rows that can be indexed, seen by the pass.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// n × dims, as the column has them, of a sample that was to stay in memory.
    pub fn into_points(self) -> Vec<f32> {
        match self.store {
            Store::Memory(points) => points,
            Store::Spilled(_) => Vec::new(),
        }
    }

    /// A copy of at most `n` rows from all over the sample.
    pub fn some(&mut self, n: usize, dims: usize) -> Vec<f32> {
        let every = self.n.div_ceil(n.max(1)).max(1);
        match &mut self.store {
            Store::Memory(points) => {
                points.chunks_exact(dims).step_by(every).flatten().copied().collect()
            }
            Store::Spilled(file) => {
                let ranges: Vec<_> = (0..self.n).step_by(every).map(|row| row..row + 1).collect();
                let mut points = Vec::new();
                // A file that gives nothing back gives nothing to compare; the training says so.
                let _ = file.read(&ranges, &mut points, &Job::default());
                points
            }
        }
    }
}

/// Draws a sample while the rows come.
pub struct Drawing {
    reservoir: Reservoir,
    dims: usize,
    capacity: usize,
    /// Rows held in memory at most; with one more all go to a file.
    in_memory: usize,
    points: Vec<f32>,
    file: Option<SampleFile>,
    row: Vec<f32>,
    /// Where the file's buffer belongs: rows may come in a context that ends with them.
    context: PgMemoryContexts,
}

impl Drawing {
    pub fn new(dims: usize, capacity: usize, in_memory: usize, seed: u64) -> Self {
        let reservoir = Reservoir::new(capacity, seed);
        let (points, row) = (Vec::new(), vec![0.0; dims]);
        // SAFETY: a plain variable of the server, read by its own thread.
        let context = PgMemoryContexts::For(unsafe { pg_sys::CurrentMemoryContext });
        Self { reservoir, dims, capacity, in_memory, points, file: None, row, context }
    }

    /// Takes the next row in or passes it over; `widen` is asked for what is taken.
    pub fn offer(&mut self, widen: impl FnOnce(&mut [f32])) {
        let Some(slot) = self.reservoir.offer() else { return };
        if self.file.is_none() && slot >= self.in_memory {
            self.spill();
        }
        if let Some(file) = &mut self.file {
            widen(&mut self.row);
            extent::shorten(&mut self.row);
            file.put(slot, &self.row);
            return;
        }
        let end = (slot + 1) * self.dims;
        if self.points.len() < end {
            self.reserve(slot);
            self.points.resize(end, 0.0);
        }
        if let Some(to) = self.points.get_mut(end - self.dims..end) {
            widen(to);
            extent::shorten(to);
        }
    }

    /// A vector's own doubling could end at twice the memory there is room for.
    fn reserve(&mut self, n: usize) {
        if self.points.capacity() < (n + 1) * self.dims {
            let most = self.capacity.min(self.in_memory).max(64);
            let rows = (2 * n).clamp(64, most.max(n + 1));
            self.points.reserve_exact((rows - n) * self.dims);
        }
    }

    fn spill(&mut self) {
        let dims = self.dims;
        // SAFETY: the context that the drawing began in; it lives as long as the sample.
        let mut file = unsafe { self.context.switch_to(|_| SampleFile::new(dims)) };
        for (slot, row) in take(&mut self.points).chunks_exact(self.dims).enumerate() {
            file.put(slot, row);
        }
        self.file = Some(file);
    }

    pub fn finish(self) -> Sample {
        let (n, rows) = (self.reservoir.len(), self.reservoir.seen());
        let store = self.file.map_or(Store::Memory(self.points), Store::Spilled);
        Sample { store, n, rows }
    }
}

/// Rows of 32-bit floats in a temporary file.
pub struct SampleFile {
    file: TempFile,
    dims: usize,
    n: usize,
}

impl SampleFile {
    fn new(dims: usize) -> Self {
        Self { file: TempFile::new(), dims, n: 0 }
    }

    fn offset(&self, row: usize) -> u64 {
        row as u64 * (self.dims * size_of::<f32>()) as u64
    }

    /// Overwrites a row, or adds one at the end.
    fn put(&mut self, slot: usize, row: &[f32]) {
        // What fails here the server raises itself: a place in the file was written before.
        let _ = self.file.write_at(self.offset(slot), bytemuck::cast_slice(row));
        self.n = self.n.max(slot + 1);
    }

    /// Keeps `n` of the rows, drawn at random from equal parts of all.
    pub fn keep(&mut self, n: usize, seed: u64) -> Result<(), TrainError> {
        if n >= self.n {
            return Ok(());
        }
        let (mut rng, job, mut rows) = (Rng::new(seed), Job::default(), Vec::new());
        let bound = |i: usize| (self.n as u64 * i as u64 / n as u64) as usize;
        let ranges: Vec<Range<usize>> = (0..n)
            .map(|i| {
                let row = bound(i) + rng.below((bound(i + 1) - bound(i)) as u32) as usize;
                row..row + 1
            })
            .collect();
        let at_once = (MOVED_BYTES / (self.dims * size_of::<f32>())).max(1);
        // Every row moves towards the front: what is overwritten was read.
        for (some, first) in ranges.chunks(at_once).zip((0..).step_by(at_once)) {
            self.read(some, &mut rows, &job)?;
            self.write(first, &mut rows, &job)?;
        }
        self.n = n;
        Ok(())
    }
}

impl Rows for SampleFile {
    fn n(&self) -> usize {
        self.n
    }

    fn read(
        &mut self,
        ranges: &[Range<usize>],
        out: &mut Vec<f32>,
        _job: &Job,
    ) -> Result<(), TrainError> {
        let n: usize = ranges.iter().map(Range::len).sum();
        out.resize(n * self.dims, 0.0);
        let mut rest = &mut out[..];
        for range in ranges {
            let (rows, others) = rest.split_at_mut(range.len() * self.dims);
            rest = others;
            let bytes = bytemuck::cast_slice_mut(rows);
            let read = self.file.read_at(self.offset(range.start), bytes);
            read.map_err(|_| TrainError::Unreadable)?;
        }
        Ok(())
    }

    fn write(&mut self, first: usize, rows: &mut Vec<f32>, _job: &Job) -> Result<(), TrainError> {
        let written = self.file.write_at(self.offset(first), bytemuck::cast_slice(rows));
        written.map_err(|_| TrainError::Unreadable)
    }
}
