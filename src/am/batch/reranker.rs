//! Better keys for the candidates of many queries than those of their codes. The calling thread looks the vectors up, each
//! once and in the order in which they lie. It holds them against the queries that they are candidates of while they are in
//! its caches, if these are few; else it copies them for worker threads, which also put each query's candidates in their order.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ann::radix::sort_places;
use ann::topk::Hit;
use ann::work_queue::{Producer, Stop, run_pipeline};
use pages::Error;
use pages::lists::candidates::CodedScan;
use pages::search::exact::ExactQuery;

use crate::am::interrupts::check_for_interrupts;

/// Bytes of vectors that a worker gets at a time.
pub const PART: usize = 64 * 1024;
/// Up to this number of distances, computing them takes less time than copying the vector for another core.
const FEW: usize = 4;
/// Queries whose candidates a worker puts in order together.
const GROUP: usize = 16;
/// Marks a candidate without a row: a NaN that no computation produces.
const NO_ROW: u64 = u64::MAX;

/// Those that name the same vector, each a place and its number.
pub type Same<'a> = &'a [(u64, u32)];

/// The candidates of many queries, numbered query after query.
pub struct Candidates {
    /// By what names their vectors.
    order: Vec<(u64, u32)>,
    /// The query of each, and where it is stored.
    owners: Vec<u32>,
    at: Vec<u64>,
    /// Of each query, the number of its first, and in the end how many there are.
    starts: Vec<usize>,
}

impl Candidates {
    /// Of these queries, one after the other; `place` is what names a vector.
    pub fn new<'h>(
        queries: impl Iterator<Item = &'h [Hit]> + Clone,
        place: impl Fn(&Hit) -> u64,
    ) -> Self {
        let n = queries.clone().map(<[Hit]>::len).sum();
        let (mut order, mut owners) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut at = Vec::with_capacity(n);
        let mut starts = vec![0];
        for (hits, owner) in queries.zip(0..) {
            order.extend(hits.iter().map(&place).zip(owners.len() as u32..));
            owners.resize(owners.len() + hits.len(), owner);
            at.extend(hits.iter().map(|hit| hit.at));
            starts.push(owners.len());
        }
        sort_places(&mut order);
        Self { order, owners, at, starts }
    }

    /// Where a candidate is stored.
    pub fn at(&self, number: usize) -> Option<u64> {
        self.at.get(number).copied()
    }

    /// By place.
    pub fn in_order(&self) -> Same<'_> {
        &self.order
    }
}

/// Vectors on their way to a worker.
struct Part<'a, T> {
    rows: Vec<T>,
    /// Elements of each.
    row_len: usize,
    wanted: Vec<Same<'a>>,
}

impl<T> Default for Part<'_, T> {
    fn default() -> Self {
        Self { rows: Vec::new(), row_len: 1, wanted: Vec::new() }
    }
}

enum Work<'a, T> {
    Measure(Part<'a, T>),
    Take(Range<usize>),
}

/// What the calling thread hands vectors over by.
pub struct Sender<'s, 'f, 'a, T> {
    producer: &'s mut Producer<'f, Work<'a, T>>,
    part: Part<'a, T>,
    spare: &'s Mutex<Vec<Part<'a, T>>>,
    measure: &'s mut dyn FnMut(&[T], Same<'a>),
}

impl<'a, T: Copy> Sender<'_, '_, 'a, T> {
    /// Takes a vector over.
    pub fn push(&mut self, same: Same<'a>, row: &[T]) {
        if same.len() <= FEW {
            (self.measure)(row, same);
            return;
        }
        self.part.row_len = row.len();
        self.part.rows.extend_from_slice(row);
        self.part.wanted.push(same);
    }

    /// Hands over what there is, if it is enough. May wait: no lock may be held.
    pub fn send(&mut self) {
        if size_of_val(self.part.rows.as_slice()) >= PART {
            self.send_all();
        }
    }

    fn send_all(&mut self) {
        let empty = locked(self.spare).pop().unwrap_or_default();
        self.producer.push(Work::Measure(std::mem::replace(&mut self.part, empty)));
    }
}

/// A worker that panics ends it all: what it left behind is not looked at.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How candidates are put in order.
pub struct Reranker<M, T> {
    /// Calls its last argument with the key of a vector for each of the queries.
    pub measure: M,
    /// Gives a scan the keys of its candidates, in their order; None: no row.
    pub take: T,
}

impl<M, F: Fn(&mut CodedScan, &[Option<f64>]) + Sync> Reranker<M, F> {
    /// Gives each of `scans`, whose queries are `queries`, its candidates in their order. `read` is called once and passes on every
    /// vector that there is.
    pub fn run<'a, T: Copy + Send + Sync>(
        &self,
        candidates: &'a Candidates,
        scans: &mut [CodedScan],
        queries: &[ExactQuery],
        threads: usize,
        read: impl FnOnce(&mut Sender<'_, '_, 'a, T>) -> Result<(), Error>,
    ) -> Result<(), Error>
    where
        M: Fn(&[T], &[&ExactQuery], &mut dyn FnMut(f64)) + Sync,
    {
        let scans: Vec<Mutex<&mut CodedScan>> = scans.iter_mut().map(Mutex::new).collect();
        let keys: Vec<AtomicU64> =
            candidates.owners.iter().map(|_| AtomicU64::new(NO_ROW)).collect();
        let spare = Mutex::new(Vec::new());
        let compared = Compared { candidates, queries, keys: &keys };
        let produce = |producer: &mut Producer<'_, Work<'a, T>>| {
            let mut asking = Vec::new();
            let mut measure = |row: &[T], same: Same<'a>| {
                compared.measure(row, same, &self.measure, &mut asking);
            };
            let (part, measure) = (Part::default(), &mut measure);
            let mut sender = Sender { producer, part, spare: &spare, measure };
            read(&mut sender)?;
            sender.send_all();
            producer.drain();
            let groups = (0..scans.len()).step_by(GROUP);
            groups
                .for_each(|start| producer.push(Work::Take(start..scans.len().min(start + GROUP))));
            Ok(())
        };
        let consume = |stop: &Stop<'_>, work| match work {
            Work::Measure(mut part) => {
                let mut asking = Vec::new();
                for (row, same) in part.rows.chunks(part.row_len.max(1)).zip(&part.wanted) {
                    compared.measure(row, same, &self.measure, &mut asking);
                }
                part.rows.clear();
                part.wanted.clear();
                locked(&spare).push(part);
            }
            Work::Take(group) => {
                for number in group {
                    if stop.is_requested() {
                        return;
                    }
                    let bounds =
                        candidates.starts.get(number).zip(candidates.starts.get(number + 1));
                    let own = bounds.and_then(|(start, end)| keys.get(*start..*end));
                    let own: Vec<Option<f64>> = own.unwrap_or_default().iter().map(known).collect();
                    if let Some(scan) = scans.get(number) {
                        (self.take)(&mut locked(scan), &own);
                    }
                }
            }
        };
        let done = run_pipeline(threads, check_for_interrupts, produce, consume);
        done.map_err(|error| Error::Workers(error.to_string()))?
    }
}

/// What vectors are held against, and where the keys go.
#[derive(Clone, Copy)]
struct Compared<'q> {
    candidates: &'q Candidates,
    queries: &'q [ExactQuery],
    keys: &'q [AtomicU64],
}

impl<'q> Compared<'q> {
    /// Finds the keys of one vector; `asking` is kept for its allocation.
    fn measure<T>(
        self,
        row: &[T],
        same: Same<'_>,
        measure: impl Fn(&[T], &[&ExactQuery], &mut dyn FnMut(f64)),
        asking: &mut Vec<&'q ExactQuery>,
    ) {
        let query_of =
            |number: u32| self.queries.get(*self.candidates.owners.get(number as usize)? as usize);
        asking.clear();
        asking.extend(same.iter().filter_map(|(_, number)| query_of(*number)));
        let mut numbers = same.iter().map(|(_, number)| *number as usize);
        measure(row, asking, &mut |key| {
            if let Some(place) = numbers.next().and_then(|number| self.keys.get(number)) {
                place.store(key.to_bits(), Ordering::Relaxed);
            }
        });
    }
}

/// The key that another thread may have found. The queue, whose mutex both locked in between, made it visible.
fn known(key: &AtomicU64) -> Option<f64> {
    let bits = key.load(Ordering::Relaxed);
    (bits != NO_ROW).then_some(f64::from_bits(bits))
}
