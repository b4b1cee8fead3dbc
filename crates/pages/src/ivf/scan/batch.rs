//! The first tranches of many scans, found together: each list is read once for all queries that probe it.
//!
//! Only the calling thread reads pages; it copies the rows of list after list, and worker threads compare them with the
//! queries. Before that, the workers find each query's lists. What comes out is what each scan would have found
//! alone, and each goes on alone if more is asked of it.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use ann::feed::feed;
use ann::parallel::{self, Job, WorkerError};
use ann::topk::TopK;

use super::{Bound, Scan, Span, State};
use crate::error::Error;
use crate::ivf::lists::{Lists, Probed, View};
use crate::store::Pages;

/// Queries whose lists are found together.
const GROUP: usize = 16;
/// Bytes of rows that are scanned together: they stay in a core's second-level cache for all queries.
const PART_MAX: usize = 256 * 1024;
const PART_MIN: usize = 16 * 1024;
/// Parts of full size that exist at a time for each worker: being copied, waiting, being scanned, with some to spare.
const PARTS: usize = 8;
/// Short lists are handed out together until so many queries are to see one: a worker that wakes for less is not worth it.
const VISITS_MIN: usize = 128;

/// What a batch may take.
#[derive(Debug, Clone, Copy)]
pub struct BatchParams {
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Bytes for copies of rows, besides what the scans hold.
    pub memory: usize,
}

/// A query that probes a list.
#[derive(Debug, Clone, Copy)]
struct Visit {
    list_no: u32,
    scan: u32,
    distance: f32,
}

/// Rows of a list, and who is to see them.
struct Task<'a, L: Lists> {
    part: L::Part,
    visits: &'a [Visit],
    /// Who comes first: so that workers do not follow each other through the same queries.
    start: usize,
}

/// Finds the first tranche of every scan; all have just begun and belong to the same index. The calling thread reads
/// pages with the locks of a scan and breathes meanwhile; it holds none when it waits.
pub fn first_tranches<L: Lists + Send, P: Pages>(
    pages: &P,
    view: &View<'_>,
    scans: &mut [&mut Scan<L>],
    params: BatchParams,
) -> Result<(), Error> {
    find_lists(pages, view, scans, params.threads)?;
    let visits = visits(pages, view, scans);
    let scans: Vec<Mutex<&mut Scan<L>>> =
        scans.iter_mut().map(|scan| Mutex::new(&mut **scan)).collect();
    let spare = Mutex::new(Vec::new());
    let room = (params.memory / (params.threads.max(1) * PARTS)).clamp(PART_MIN, PART_MAX);
    let fed = feed(
        params.threads,
        || pages.breathe(),
        |give| copy_lists::<L, P>(pages, view, &visits, room, &spare, give),
        |job, tasks: Vec<Task<'_, L>>| {
            for task in tasks {
                scan_part(view, &scans, &task, job);
                locked(&spare).push(task.part);
            }
        },
    );
    fed.map_err(no_workers)??;
    for scan in scans {
        scan.into_inner().unwrap_or_else(PoisonError::into_inner).end_first(view);
        pages.breathe();
    }
    Ok(())
}

/// A worker that panics ends the batch: what it left behind is not looked at.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_workers(error: WorkerError) -> Error {
    Error::Workers(error.to_string())
}

/// Readies every query and finds the lists of its first tranche.
fn find_lists<L: Lists + Send, P: Pages>(
    pages: &P,
    view: &View<'_>,
    scans: &mut [&mut Scan<L>],
    threads: usize,
) -> Result<(), Error> {
    let failed = Mutex::new(None);
    let work = |job: &Job| {
        parallel::for_each_chunk(scans, GROUP, |_, group| {
            if job.cancelled() {
                return;
            }
            if let Err(error) = start_group(view, group) {
                locked(&failed).get_or_insert(error);
            }
        });
    };
    parallel::run(threads, |_| pages.breathe(), work).map_err(no_workers)?;
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn start_group<L: Lists>(view: &View<'_>, group: &mut [&mut Scan<L>]) -> Result<(), Error> {
    for scan in group.iter_mut() {
        scan.prepare(view)?;
    }
    match &view.coarse {
        Some(coarse) if !group.iter().any(|scan| scan.passes_over(view)) => {
            let queries: Vec<&[f32]> = group.iter().map(|scan| scan.probe.query()).collect();
            let mut distances = Vec::new();
            coarse.distances_of_many(&queries, &mut distances);
            let each = distances.chunks_exact(coarse.nlist().max(1));
            for (scan, distances) in group.iter_mut().zip(each) {
                let n = scan.n_first(view.meta);
                scan.probes.refill_first(distances, n);
            }
        }
        _ => {
            for scan in group.iter_mut() {
                scan.order_lists(view)?;
            }
        }
    }
    for scan in group {
        let tranche = scan.tranche;
        scan.top.reset(tranche);
    }
    Ok(())
}

/// Who probes which list, in the order of the lists, which is about that of their pages. There may be millions: they are
/// counted and put in their places, a scan at a time.
fn visits<L: Lists, P: Pages>(
    pages: &P,
    view: &View<'_>,
    scans: &mut [&mut Scan<L>],
) -> Vec<Visit> {
    let mut places = vec![0; view.meta.nlist + 1];
    for scan in scans.iter_mut() {
        for at in 0..scan.n_first(view.meta) {
            let list_no = scan.probes.get(at).map_or(usize::MAX, |list_no| list_no as usize);
            if let Some(count) = places.get_mut(list_no.saturating_add(1)) {
                *count += 1;
            }
        }
        pages.breathe();
    }
    let mut end = 0;
    for place in &mut places {
        end += *place;
        *place = end;
    }
    let mut visits = vec![Visit { list_no: 0, scan: 0, distance: 0.0 }; end];
    for (scan, number) in scans.iter_mut().zip(0..) {
        for at in 0..scan.n_first(view.meta) {
            let (Some(list_no), Some(distance)) = (scan.probes.get(at), scan.probes.distance(at))
            else {
                break;
            };
            if let Some(place) = places.get_mut(list_no as usize) {
                if let Some(visit) = visits.get_mut(*place) {
                    *visit = Visit { list_no, scan: number, distance };
                }
                *place += 1;
            }
        }
        pages.breathe();
    }
    visits
}

/// Copies every list that is probed and hands its rows out.
fn copy_lists<'v, L: Lists, P: Pages>(
    pages: &P,
    view: &View<'_>,
    visits: &'v [Visit],
    room: usize,
    spare: &Mutex<Vec<L::Part>>,
    give: &mut dyn FnMut(Vec<Task<'v, L>>),
) -> Result<(), Error> {
    let mut start = 0usize;
    let mut part = L::Part::default();
    let mut tasks: Vec<Task<'v, L>> = Vec::new();
    let (mut n_visits, mut bytes) = (0, 0);
    for visits in visits.chunk_by(|a, b| a.list_no == b.list_no) {
        let Some(first) = visits.first() else { continue };
        L::copy_list(pages, view, first.list_no, room, &mut part, &mut |part| {
            n_visits += visits.len();
            bytes += L::part_bytes(part);
            start = start.wrapping_add(visits.len() / 2 + 1);
            let empty = locked(spare).pop().unwrap_or_default();
            let part = std::mem::replace(part, empty);
            tasks.push(Task { part, visits, start: start % visits.len() });
            if n_visits >= VISITS_MIN || bytes >= room {
                give(std::mem::take(&mut tasks));
                (n_visits, bytes) = (0, 0);
            }
        })?;
        pages.breathe();
    }
    if !tasks.is_empty() {
        give(tasks);
    }
    Ok(())
}

/// Shows a part of a list to all queries that probe it; those that another worker is busy with come last.
fn scan_part<L: Lists>(
    view: &View<'_>,
    scans: &[Mutex<&mut Scan<L>>],
    task: &Task<'_, L>,
    job: &Job,
) {
    let (before, from) = task.visits.split_at(task.start.min(task.visits.len()));
    let mut busy = Vec::new();
    for visit in from.iter().chain(before) {
        if job.cancelled() {
            return;
        }
        match scans.get(visit.scan as usize).map(Mutex::try_lock) {
            Some(Ok(mut scan)) => scan.see(view, visit, &task.part),
            Some(Err(TryLockError::WouldBlock)) => busy.push(visit),
            Some(Err(TryLockError::Poisoned(_))) | None => {}
        }
    }
    for visit in busy {
        if let Some(scan) = scans.get(visit.scan as usize).filter(|_| !job.cancelled()) {
            locked(scan).see(view, visit, &task.part);
        }
    }
}

impl<L: Lists> Scan<L> {
    fn see(&mut self, view: &View<'_>, visit: &Visit, part: &L::Part) {
        let list = Probed { list_no: visit.list_no, distance: visit.distance };
        self.visited += self.probe.scan_part(view, list, part, &mut self.top);
    }

    fn end_first(&mut self, view: &View<'_>) {
        let end = self.n_first(view.meta);
        self.spans.push(Span { end, bound: Bound::After(None) });
        self.end_tranche(view.meta);
        self.top = TopK::new(self.tranche);
        self.state = State::Primed;
    }

    /// The first tranche, if it was found by [`first_tranches`] and nothing was taken of it yet.
    pub fn first_tranche(&self) -> &[ann::topk::Hit] {
        if self.state == State::Primed { &self.ready } else { &[] }
    }
}
