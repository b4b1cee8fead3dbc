//! External sort of rows by (list, tid) within a byte budget, on the way into a [`Builder`].
//!
//! Rows are collected in memory; whenever the budget is full they are sorted and spilled as a run.
//! At the end the runs are merged. What fits the budget is never spilled.
//!
//! [`Builder`]: crate::lists::build::Builder

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ann::radix::by_list;

use crate::bytes::{f32_at, u32_at, u64_at};
use crate::error::Error;
use crate::lists::build::Entry;
use crate::tid::Tid;

/// Where sorted runs go: temporary files, implemented by the access method.
pub trait Runs {
    /// Starts the next run and returns its number: 0, 1, 2, …
    fn create(&mut self) -> Result<usize, Error>;
    /// Appends to the newest run.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// Makes the next [`Runs::read`] of a run start at its beginning.
    fn rewind(&mut self, run: usize) -> Result<(), Error>;
    /// Reads the next bytes of a run; fewer than asked for only at its end, 0 after it.
    fn read(&mut self, run: usize, out: &mut [u8]) -> Result<usize, Error>;
    /// Answers interrupts; called every few milliseconds while rows are sorted in memory.
    fn check_interrupts(&self);
}

/// A record: list u32, coarse distance f32, tid u64, then the payload.
const LIST_NO: usize = 0;
const COARSE: usize = 4;
const TID: usize = 8;
const PAYLOAD: usize = 16;
/// Records of lists that are sorted between two looks for interrupts.
const STEP: usize = 1 << 16;
/// Reading buffers of a merge are at least this large, whatever the budget.
const READ_MIN: usize = 32 * 1024;

type Key = (u32, u64);

/// Collects rows, then gives them back in order of (list, tid).
pub struct Sorter<R: Runs> {
    runs: R,
    n_runs: usize,
    record_size: usize,
    n_records_max: usize,
    arena: Vec<u8>,
    /// The list of each record in the arena.
    lists: Vec<u32>,
    len: u64,
}

/// Bytes beside a record: its list, and its place in the order.
const BESIDE: usize = 2 * size_of::<u32>();

fn key_of(record: &[u8]) -> Key {
    (u32_at(record, LIST_NO), u64_at(record, TID))
}

fn entry_of(record: &[u8]) -> Entry<'_> {
    Entry {
        list_no: u32_at(record, LIST_NO),
        tid: Tid::from_u64(u64_at(record, TID)),
        coarse_distance: f32_at(record, COARSE),
        payload: record.get(PAYLOAD..).unwrap_or_default(),
    }
}

impl<R: Runs> Sorter<R> {
    /// A sorter of rows with payloads of `payload_size` bytes that holds about `budget` bytes of them
    /// in memory (at least a few rows).
    pub fn new(runs: R, payload_size: usize, budget: usize) -> Self {
        let record_size = PAYLOAD + payload_size;
        let n_records_max = (budget / (record_size + BESIDE)).clamp(16, u32::MAX as usize);
        let (arena, lists) = (Vec::new(), Vec::new());
        Self { runs, n_runs: 0, record_size, n_records_max, arena, lists, len: 0 }
    }

    /// Rows added so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no row was added.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Runs spilled so far.
    pub fn runs(&self) -> usize {
        self.n_runs
    }

    /// Bytes spilled so far.
    pub fn spilled_bytes(&self) -> u64 {
        (self.len - self.lists.len() as u64) * self.record_size as u64
    }

    /// Bytes of rows that it holds in memory at most.
    pub fn memory_bytes(&self) -> usize {
        self.n_records_max * (self.record_size + BESIDE)
    }

    /// Adds a row; its payload must have the size announced.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        if entry.payload.len() + PAYLOAD != self.record_size {
            return Err(Error::Internal("row to sort has another size than the others".into()));
        }
        if self.lists.len() == self.n_records_max {
            self.spill()?;
        }
        self.reserve();
        self.lists.push(entry.list_no);
        self.arena.extend_from_slice(&entry.list_no.to_le_bytes());
        self.arena.extend_from_slice(&entry.coarse_distance.to_le_bytes());
        self.arena.extend_from_slice(&entry.tid.to_u64().to_le_bytes());
        self.arena.extend_from_slice(entry.payload);
        self.len += 1;
        Ok(())
    }

    /// Doubles the buffers like a vector would, but not beyond the budget.
    fn reserve(&mut self) {
        if self.lists.len() < self.lists.capacity() {
            return;
        }
        let target = (self.lists.len() * 2).clamp(64, self.n_records_max.max(64));
        self.lists.reserve_exact(target - self.lists.len());
        let bytes = target.saturating_mul(self.record_size);
        self.arena.reserve_exact(bytes.saturating_sub(self.arena.len()));
    }

    /// Calls `each` for every row in order, then returns the runs.
    pub fn finish(
        mut self,
        mut each: impl FnMut(&Entry<'_>) -> Result<(), Error>,
    ) -> Result<R, Error> {
        if self.n_runs == 0 {
            for no in self.order() {
                each(&entry_of(self.record(no)))?;
            }
            return Ok(self.runs);
        }
        self.spill()?;
        let budget = self.n_records_max.saturating_mul(self.record_size);
        self.arena = Vec::new();
        self.lists = Vec::new();
        let mut merge = Merge::open(self.runs, self.n_runs, self.record_size, budget)?;
        while let Some(run) = merge.smallest() {
            each(&entry_of(merge.record(run)))?;
            merge.advance(run)?;
        }
        Ok(merge.runs)
    }

    fn spill(&mut self) -> Result<(), Error> {
        if self.lists.is_empty() {
            return Ok(());
        }
        let order = self.order();
        self.runs.create()?;
        self.n_runs += 1;
        for no in order {
            self.runs.append(record(&self.arena, no, self.record_size))?;
        }
        self.lists.clear();
        self.arena.clear();
        Ok(())
    }

    fn record(&self, no: u32) -> &[u8] {
        record(&self.arena, no, self.record_size)
    }

    /// The records in order. They are counted into their lists, which leaves those of a list as they came: mostly in the
    /// order of their tids, or in two or three stretches of it, of which a stable sort makes use.
    fn order(&self) -> Vec<u32> {
        let (mut order, ends) = by_list(&self.lists, || self.runs.check_interrupts());
        let (mut start, mut n) = (0, 0);
        for end in ends {
            let list = order.get_mut(start..end).unwrap_or_default();
            list.sort_by_key(|no| u64_at(self.record(*no), TID));
            n += end - start;
            if n >= STEP {
                self.runs.check_interrupts();
                n = 0;
            }
            start = end;
        }
        order
    }
}

fn record(arena: &[u8], no: u32, size: usize) -> &[u8] {
    let start = no as usize * size;
    arena.get(start..start + size).unwrap_or_default()
}

/// The smallest records of all runs, one after the other.
struct Merge<R: Runs> {
    runs: R,
    record_size: usize,
    /// Per run: bytes read ahead, and how many of them are consumed.
    ahead: Vec<(Vec<u8>, usize)>,
    chunk: usize,
    heads: BinaryHeap<Reverse<(Key, usize)>>,
}

impl<R: Runs> Merge<R> {
    fn open(runs: R, n_runs: usize, record_size: usize, budget: usize) -> Result<Self, Error> {
        let per_run = (budget / n_runs.max(1)).max(READ_MIN) / record_size;
        let chunk = per_run.max(1) * record_size;
        let ahead = vec![(Vec::new(), 0); n_runs];
        let mut merge = Self { runs, record_size, ahead, chunk, heads: BinaryHeap::new() };
        for run in 0..n_runs {
            merge.runs.rewind(run)?;
            merge.load(run)?;
        }
        Ok(merge)
    }

    fn smallest(&self) -> Option<usize> {
        self.heads.peek().map(|Reverse((_, run))| *run)
    }

    fn record(&self, run: usize) -> &[u8] {
        let head = self.ahead.get(run).and_then(|(b, at)| b.get(*at..*at + self.record_size));
        head.unwrap_or_default()
    }

    /// Drops the head of `run`, which must be the smallest.
    fn advance(&mut self, run: usize) -> Result<(), Error> {
        self.heads.pop();
        if let Some((_, at)) = self.ahead.get_mut(run) {
            *at += self.record_size;
        }
        self.load(run)
    }

    /// Puts the next record of `run` among the heads, reading on where the buffer is used up.
    fn load(&mut self, run: usize) -> Result<(), Error> {
        let Some((buffer, at)) = self.ahead.get_mut(run) else { return Ok(()) };
        if *at >= buffer.len() {
            *at = 0;
            buffer.resize(self.chunk, 0);
            let n = self.runs.read(run, buffer)?.min(self.chunk);
            buffer.truncate(n);
            if n % self.record_size != 0 {
                return Err(Error::Spill("temporary file of a build ends too early".into()));
            }
            if n == 0 {
                return Ok(());
            }
        }
        let key = key_of(self.record(run));
        self.heads.push(Reverse((key, run)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct MemRuns(Vec<(Vec<u8>, usize)>);

    impl Runs for MemRuns {
        fn create(&mut self) -> Result<usize, Error> {
            self.0.push(Default::default());
            Ok(self.0.len() - 1)
        }
        fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
            self.0.last_mut().unwrap().0.extend_from_slice(bytes);
            Ok(())
        }
        fn rewind(&mut self, run: usize) -> Result<(), Error> {
            self.0[run].1 = 0;
            Ok(())
        }
        fn read(&mut self, run: usize, out: &mut [u8]) -> Result<usize, Error> {
            let (bytes, at) = &mut self.0[run];
            let n = out.len().min(bytes.len() - *at);
            out[..n].copy_from_slice(&bytes[*at..*at + n]);
            *at += n;
            Ok(n)
        }
        fn check_interrupts(&self) {}
    }

    fn check(n: u32, payload_size: usize, budget: usize, n_runs: usize) {
        let mut sorter = Sorter::new(MemRuns::default(), payload_size, budget);
        let mut expected = Vec::new();
        for i in 0..n {
            let h = i.wrapping_mul(2_654_435_761);
            let (list_no, tid) = (h >> 27, Tid::new(h >> 5, (i % 291 + 1) as u16));
            let payload = &vec![i as u8; payload_size];
            let coarse_distance = -(i as f32);
            sorter.add(&Entry { list_no, tid, coarse_distance, payload }).unwrap();
            expected.push((list_no, tid, i));
        }
        expected.sort_unstable();
        assert_eq!(sorter.len(), u64::from(n));
        let mut found = Vec::new();
        let runs = sorter
            .finish(|e| {
                let i = -e.coarse_distance as u32;
                assert!(e.payload.iter().all(|&b| b == i as u8));
                found.push((e.list_no, e.tid, i));
                Ok(())
            })
            .unwrap();
        assert_eq!(found, expected);
        assert_eq!(runs.0.len(), n_runs);
    }

    #[test]
    fn rows_come_back_in_order() {
        check(0, 8, 1000, 0);
        check(1000, 8, 1 << 20, 0);
        check(1000, 8, 0, 63);
        check(10_000, 100, 100_000, 13);
        check(200_000, 0, 1 << 30, 0);
        check(16, 8, 0, 0);
        check(17, 8, 0, 2);
    }

    #[test]
    fn a_row_of_another_size_is_refused() {
        let mut sorter = Sorter::new(MemRuns::default(), 8, 100);
        let tid = Tid::new(1, 1);
        let entry = Entry { list_no: 0, tid, coarse_distance: 0.0, payload: &[0; 4] };
        assert!(sorter.add(&entry).is_err());
    }
}
