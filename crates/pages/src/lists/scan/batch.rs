//! The first tranches of many scans, found together: each list is read once for all queries that probe it.
//!
//! Only the calling thread reads pages; it copies the rows of list after list, and worker threads compare them with the
//! queries. Before that, the workers find each query's lists, and in the end they put what was found in order. What comes
//! out is what each scan would have found alone, and each goes on alone if more is asked of it.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use ann::coarse::Coarse;
use ann::parallel::WorkerError;
use ann::topk::Hit;
use ann::work_queue::{Producer, Stop, run_pipeline};

use super::{Scan, State};
use crate::error::Error;
use crate::lists::scanner::{ListScanner, Probed, View, Visitor};
use crate::store::Pages;

/// Queries that a worker takes together where lists are not read.
const GROUP: usize = 16;
/// Bytes of rows that are scanned together: they stay in a core's second-level cache for all queries.
const PART_MAX: usize = 256 * 1024;
const PART_MIN: usize = 16 * 1024;
/// Parts of full size that exist at a time for each worker: being copied, waiting, being scanned, with some to spare.
const PARTS: usize = 8;
/// Short lists are handed out together until this many visits of queries have come together: waking a worker for less is not
/// worth it.
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
struct Task<'a, L: ListScanner> {
    part: L::Part,
    visits: &'a [Visit],
    /// Who comes first: so that workers do not follow each other through the same queries.
    start: usize,
}

/// What the workers do, one after the other; scans are named by their numbers.
enum Work<'a, L: ListScanner> {
    FindLists(Range<usize>),
    Scan(Vec<Task<'a, L>>),
    PutInOrder(Range<usize>),
}

/// What the workers share.
struct Shared<'a, L: ListScanner> {
    view: View<'a>,
    scans: Vec<Mutex<&'a mut Scan<L>>>,
    /// All centroids, if there is room for them.
    centroids: OnceLock<Vec<f32>>,
    /// Parts to be used again.
    spare: Mutex<Vec<L::Part>>,
    failed: Mutex<Option<Error>>,
}

/// Finds the first tranche of every scan; all have just begun and belong to the same index. The calling thread reads
/// pages with the locks of a scan and answers interrupts meanwhile; it holds none when it waits.
pub fn first_tranches<'a, L: ListScanner + Send, P: Pages>(
    pages: &P,
    view: &View<'a>,
    scans: &'a mut [&mut Scan<L>],
    params: BatchParams,
) -> Result<(), Error> {
    let shared = Shared {
        view: *view,
        scans: scans.iter_mut().map(|scan| Mutex::new(&mut **scan)).collect(),
        centroids: OnceLock::new(),
        spare: Mutex::new(Vec::new()),
        failed: Mutex::new(None),
    };
    let visits = OnceLock::new();
    let done = run_pipeline(
        params.threads,
        || pages.check_interrupts(),
        |producer| produce(pages, &shared, &visits, params, producer),
        |stop, work| shared.consume(stop, work),
    );
    done.map_err(|error: WorkerError| Error::Workers(error.to_string()))?
}

/// The calling thread's part: what it hands out, step after step.
fn produce<'v, L: ListScanner, P: Pages>(
    pages: &P,
    shared: &Shared<'_, L>,
    visits: &'v OnceLock<Vec<Visit>>,
    params: BatchParams,
    producer: &mut Producer<'_, Work<'v, L>>,
) -> Result<(), Error> {
    let n = shared.scans.len();
    let groups = || (0..n).step_by(GROUP).map(|start| start..n.min(start + GROUP));
    if shared.has_room_for_centroids(params) {
        if let Some(quantizer) = shared.view.quantizer {
            // Nobody else sets them.
            let _ = shared.centroids.set(quantizer.centroids(pages)?);
        }
        groups().for_each(|group| producer.push(Work::FindLists(group)));
        producer.drain();
    } else {
        for scan in &shared.scans {
            locked(scan).start(pages, &shared.view)?;
            pages.check_interrupts();
        }
    }
    if let Some(error) = locked(&shared.failed).take() {
        return Err(error);
    }
    let visits = visits.get_or_init(|| shared.visits(pages));
    let room = (params.memory / (params.threads.max(1) * PARTS)).clamp(PART_MIN, PART_MAX);
    copy_lists(pages, shared, visits, room, producer)?;
    producer.drain();
    groups().for_each(|group| producer.push(Work::PutInOrder(group)));
    Ok(())
}

/// A worker that panics ends the batch: what it left behind is not looked at.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a, L: ListScanner> Shared<'a, L> {
    fn consume(&self, stop: &Stop<'_>, work: Work<'_, L>) {
        match work {
            Work::FindLists(group) => {
                let mut group = self.group(group);
                if let Err(error) = self.start_group(&mut group) {
                    locked(&self.failed).get_or_insert(error);
                }
            }
            Work::Scan(tasks) => {
                for task in tasks {
                    self.scan_part(&task, stop);
                    locked(&self.spare).push(task.part);
                }
            }
            Work::PutInOrder(group) => {
                for scan in &mut self.group(group) {
                    if stop.is_requested() {
                        return;
                    }
                    scan.end_first(&self.view);
                }
            }
        }
    }

    /// Scans that no other worker is busy with.
    fn group(&self, numbers: Range<usize>) -> Vec<MutexGuard<'_, &'a mut Scan<L>>> {
        self.scans.get(numbers).unwrap_or_default().iter().map(locked).collect()
    }
}

impl<L: ListScanner> Shared<'_, L> {
    /// Whether the workers compare queries with the centroids, a few of them with many queries at a time.
    fn has_room_for_centroids(&self, params: BatchParams) -> bool {
        let lists = self.view.lists;
        let bytes = lists.nlist.saturating_mul(lists.params.dims * size_of::<f32>());
        self.view.quantizer.is_some() && bytes <= params.memory
    }

    /// Finds the first lists of some scans.
    fn start_group(&self, group: &mut [MutexGuard<'_, &mut Scan<L>>]) -> Result<(), Error> {
        for scan in group.iter_mut() {
            scan.prepare(&self.view)?;
        }
        let params = &self.view.lists.params;
        let centroids = self.centroids.get().map_or(&[][..], Vec::as_slice);
        let coarse = Coarse { metric: params.metric, dims: params.dims, centroids };
        let queries: Vec<&[f32]> = group.iter().map(|scan| scan.probe.query()).collect();
        let mut distances = Vec::new();
        coarse.distances_of_many(&queries, &mut distances);
        let each = distances.chunks_exact(coarse.nlist().max(1));
        for (scan, distances) in group.iter_mut().zip(each) {
            let n = scan.n_known(self.view.lists);
            scan.probes.refill_first(distances, n);
            scan.choose_first(self.view.lists);
        }
        Ok(())
    }
}

impl<L: ListScanner> Shared<'_, L> {
    /// Who probes which list, in the order of the lists, which is about that of their pages. There may be millions: they are
    /// counted and put in their places, a scan at a time.
    fn visits<P: Pages>(&self, pages: &P) -> Vec<Visit> {
        let (view, scans) = (&self.view, &self.scans);
        let mut places = vec![0; view.lists.nlist + 1];
        for scan in scans {
            let mut scan = locked(scan);
            for at in 0..scan.n_first {
                let list_no = scan.probes.get(at).map_or(usize::MAX, |list_no| list_no as usize);
                if let Some(count) = places.get_mut(list_no.saturating_add(1)) {
                    *count += 1;
                }
            }
            pages.check_interrupts();
        }
        let mut end = 0;
        for place in &mut places {
            end += *place;
            *place = end;
        }
        let mut visits = vec![Visit { list_no: 0, scan: 0, distance: 0.0 }; end];
        for (scan, number) in scans.iter().zip(0..) {
            let mut scan = locked(scan);
            for at in 0..scan.n_first {
                let (Some(list_no), Some(distance)) =
                    (scan.probes.get(at), scan.probes.distance(at))
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
            pages.check_interrupts();
        }
        visits
    }

    /// Shows a part of a list to all queries that probe it; those that another worker is busy with come last.
    fn scan_part(&self, task: &Task<'_, L>, stop: &Stop<'_>) {
        let (before, from) = task.visits.split_at(task.start.min(task.visits.len()));
        let mut busy = Vec::new();
        let mut held = Vec::with_capacity(L::TOGETHER);
        for visit in from.iter().chain(before) {
            if stop.is_requested() {
                return;
            }
            match self.scans.get(visit.scan as usize).map(Mutex::try_lock) {
                Some(Ok(scan)) => held.push((visit, scan)),
                Some(Err(TryLockError::WouldBlock)) => busy.push(visit),
                Some(Err(TryLockError::Poisoned(_))) | None => {}
            }
            if held.len() >= L::TOGETHER {
                self.show(&task.part, &mut held);
            }
        }
        self.show(&task.part, &mut held);
        // One at a time: who waits for a scan must not hold another.
        for visit in busy {
            if let Some(scan) = self.scans.get(visit.scan as usize).filter(|_| !stop.is_requested())
            {
                held.push((visit, locked(scan)));
                self.show(&task.part, &mut held);
            }
        }
    }

    /// Shows a part of a list to scans, and lets go of them.
    fn show(&self, part: &L::Part, held: &mut Vec<(&Visit, MutexGuard<'_, &'_ mut Scan<L>>)>) {
        if let [(visit, scan)] = held.as_mut_slice() {
            L::scan_part(&self.view, part, &mut [scan.visitor(visit)]);
        } else {
            let visitors = held.iter_mut().map(|(visit, scan)| scan.visitor(visit));
            L::scan_part(&self.view, part, &mut visitors.collect::<Vec<_>>());
        }
        held.clear();
    }
}

/// Copies every list that is probed and hands its rows out.
fn copy_lists<'v, L: ListScanner, P: Pages>(
    pages: &P,
    shared: &Shared<'_, L>,
    visits: &'v [Visit],
    room: usize,
    producer: &mut Producer<'_, Work<'v, L>>,
) -> Result<(), Error> {
    let mut start = 0usize;
    let mut part = L::Part::default();
    let mut tasks: Vec<Task<'v, L>> = Vec::new();
    let (mut n_visits, mut bytes) = (0, 0);
    for visits in visits.chunk_by(|a, b| a.list_no == b.list_no) {
        let Some(first) = visits.first() else { continue };
        L::copy_list(pages, &shared.view, first.list_no, room, &mut part, &mut |part| {
            n_visits += visits.len();
            bytes += L::part_bytes(part);
            start = start.wrapping_add(visits.len() / 2 + 1);
            let empty = locked(&shared.spare).pop().unwrap_or_default();
            let part = std::mem::replace(part, empty);
            tasks.push(Task { part, visits, start: start % visits.len() });
            if n_visits >= VISITS_MIN || bytes >= room {
                producer.push(Work::Scan(std::mem::take(&mut tasks)));
                (n_visits, bytes) = (0, 0);
            }
        })?;
        pages.check_interrupts();
    }
    if !tasks.is_empty() {
        producer.push(Work::Scan(tasks));
    }
    Ok(())
}

impl<L: ListScanner> Scan<L> {
    fn visitor(&mut self, visit: &Visit) -> Visitor<'_, L> {
        let Self { probe, top, visited, .. } = self;
        let list = Probed { list_no: visit.list_no, distance: visit.distance };
        Visitor { probe, list, top, visited }
    }

    /// Makes the first hits ready and lets go of the others, whose memory many scans would hold.
    fn end_first(&mut self, view: &View<'_>) {
        self.n_probed = self.n_first;
        let has_further = self.has_further(view.lists);
        if self.is_ordered && has_further && self.is_short() {
            // Further lists come first, as this scan would go to them alone.
            self.state = State::Running;
            return;
        }
        self.take(if has_further { self.most(self.first) } else { self.first });
        let last = match self.is_ordered {
            true => self.last,
            false => self.ready.iter().copied().max_by(Hit::order),
        };
        self.top.forget_beyond(last);
        self.state = State::Primed;
    }

    /// The first hits, if they were found by [`first_tranches`] and nothing was taken of them yet.
    pub fn first_tranche(&self) -> &[Hit] {
        if self.state == State::Primed && self.given == 0 { &self.ready } else { &[] }
    }

    /// Takes what `first_tranche` says: the second come next. Empty where the nearest lists are: then nothing is taken.
    pub(crate) fn take_first_tranche(&mut self) -> &[Hit] {
        match self.state {
            State::Primed if !self.ready.is_empty() => {
                self.state = State::Running;
                &self.ready
            }
            _ => &[],
        }
    }
}
