//! Work that the calling thread reads while worker threads compute: a bounded queue between them. Where the workers are
//! behind, the calling thread does not wait for room but computes as well.
//!
//! As in [`crate::parallel`], the threads belong to one call, end before it returns, block every signal and never call
//! the server. Only the calling thread reads pages and answers interrupts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, scope};

use crate::parallel::{CancelOnDrop, Job, SignalsBlocked, TICK, WorkerError};

/// Items that wait for each thread.
const WAITING: usize = 2;

/// What the calling thread waits for, if it does: nobody wakes it for less.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Nothing,
    /// No item left, and none being consumed.
    Rest,
    /// No worker left.
    End,
}

struct State<T> {
    items: VecDeque<T>,
    /// Items being consumed.
    n_busy: usize,
    /// Workers that wait for an item.
    n_idle: usize,
    awaited: Awaited,
    /// No more items will come.
    is_closed: bool,
    /// Workers still there.
    n_workers: usize,
    /// A worker panicked: nobody may wait for it.
    is_broken: bool,
}

impl<T> State<T> {
    /// An item to be consumed.
    fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.n_busy += 1;
        Some(item)
    }

    /// Whether what the calling thread waits for has come.
    fn is_met(&self) -> bool {
        self.is_broken
            || match self.awaited {
                Awaited::Nothing => true,
                Awaited::Rest => self.items.is_empty() && self.n_busy == 0,
                Awaited::End => self.n_workers == 0,
            }
    }

    /// Whether the calling thread has to be told that it need not wait any longer.
    fn is_due(&self) -> bool {
        self.awaited != Awaited::Nothing && self.is_met()
    }
}

struct Queue<T> {
    state: Mutex<State<T>>,
    /// For the workers: an item, or the end.
    filled: Condvar,
    /// For the calling thread: the last item consumed, or a worker's end.
    emptied: Condvar,
    room: usize,
}

impl<T> Queue<T> {
    fn new(threads: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            n_busy: 0,
            n_idle: 0,
            awaited: Awaited::Nothing,
            is_closed: false,
            n_workers: threads - 1,
            is_broken: false,
        };
        let room = threads * WAITING;
        Self { state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new(), room }
    }

    /// Nobody panics while holding it.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `awaited`, calling `tick` about every 10 ms without the lock.
    fn wait(&self, mut tick: impl FnMut(), awaited: Awaited) {
        loop {
            let mut state = self.lock();
            state.awaited = awaited;
            if !state.is_met() {
                let waited = self.emptied.wait_timeout(state, TICK);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            let is_met = state.is_met();
            state.awaited = Awaited::Nothing;
            drop(state);
            if is_met {
                return;
            }
            tick();
        }
    }

    /// Adds an item if there is room; gives it back if not.
    fn put(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.items.len() >= self.room && !state.is_broken {
            return Err(item);
        }
        state.items.push_back(item);
        let is_awaited = state.n_idle > 0;
        drop(state);
        // A worker that is busy looks for the next item by itself.
        if is_awaited {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// The next item; None at the end.
    fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.pop() {
                return Some(item);
            }
            if state.is_closed {
                return None;
            }
            state.n_idle += 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.n_idle -= 1;
        }
    }
}

/// Says whether who consumes an item is to stop: to be asked every few milliseconds.
pub struct Stop<'a>(&'a dyn Fn() -> bool);

impl Stop<'_> {
    /// Whether nobody wants the result any more. On the calling thread this is where interrupts are answered: it may unwind.
    #[inline]
    pub fn is_requested(&self) -> bool {
        (self.0)()
    }
}

/// What the calling thread hands its items over by.
pub struct Producer<'a, T> {
    queue: &'a Queue<T>,
    tick: RefCell<&'a mut dyn FnMut()>,
    consume: &'a (dyn Fn(&Stop<'_>, T) + Sync),
}

impl<T> Producer<'_, T> {
    /// Hands an item to the workers. Where they are behind it consumes what waits: each time that a thread sleeps costs more
    /// than many an item.
    pub fn push(&mut self, mut item: T) {
        while let Err(back) = self.queue.put(item) {
            item = back;
            self.consume_one();
        }
    }

    /// Returns when every item given so far is consumed.
    pub fn drain(&mut self) {
        while self.consume_one() {}
        self.queue.wait(self.tick.get_mut(), Awaited::Rest);
    }

    fn consume_one(&mut self) -> bool {
        let Some(item) = self.queue.lock().pop() else { return false };
        let _consumed = ConsumedOnDrop(self.queue);
        let tick = || (self.tick.borrow_mut())();
        tick();
        let ask = || {
            tick();
            false
        };
        (self.consume)(&Stop(&ask), item);
        true
    }
}

/// Counts an item as consumed, also when its worker panicked.
struct ConsumedOnDrop<'a, T>(&'a Queue<T>);

impl<T> Drop for ConsumedOnDrop<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.n_busy -= 1;
        let is_due = state.is_due();
        drop(state);
        if is_due {
            self.0.emptied.notify_one();
        }
    }
}

/// Lets the workers end, on every way out.
struct CloseOnDrop<'a, T>(&'a Queue<T>);

impl<T> Drop for CloseOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.filled.notify_all();
    }
}

/// Counts a worker out, also when it panicked.
struct LeaveOnDrop<'a, T>(&'a Queue<T>);

impl<T> Drop for LeaveOnDrop<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.n_workers -= 1;
        state.is_broken |= std::thread::panicking();
        let is_due = state.is_due();
        drop(state);
        if is_due {
            self.0.emptied.notify_one();
        }
    }
}

/// Runs `produce` on the calling thread and `consume`, for every item that it gives, on one of `threads` threads (at least
/// one), of which the calling one is the last; in any order. Returns when all are consumed. While the calling thread
/// consumes or waits `tick` is called, every 10 ms if not more often. Where `tick` or `produce` unwinds the job is cancelled and
/// the workers are joined before the unwind goes on: `consume` asks whether to stop, and items not begun are
/// passed over. A panic of `consume` goes on in the calling thread.
pub fn run_pipeline<T: Send, R>(
    threads: usize,
    mut tick: impl FnMut(),
    produce: impl FnOnce(&mut Producer<'_, T>) -> R,
    consume: impl Fn(&Stop<'_>, T) + Sync,
) -> Result<R, WorkerError> {
    let threads = threads.max(1);
    let job = Job::default();
    let queue = Queue::new(threads);
    let (job, queue, consume) = (&job, &queue, &consume);
    scope(|scope| {
        let close = CloseOnDrop(queue);
        let cancel = CancelOnDrop(job);
        let mut workers = Vec::with_capacity(threads);
        let blocked = SignalsBlocked::new()?;
        for i in 1..threads {
            let work = move || {
                let _leave = LeaveOnDrop(queue);
                while let Some(item) = queue.take() {
                    let _consumed = ConsumedOnDrop(queue);
                    if !job.cancelled() {
                        consume(&Stop(&|| job.cancelled()), item);
                    }
                }
            };
            let builder = Builder::new().name(format!("faiss worker {i}"));
            let worker = builder.spawn_scoped(scope, work);
            workers.push(worker.map_err(|error| WorkerError::Spawn(error.to_string()))?);
        }
        drop(blocked);
        let mut producer = Producer { queue, tick: RefCell::new(&mut tick), consume };
        let result = produce(&mut producer);
        while producer.consume_one() {}
        drop(close);
        queue.wait(&mut tick, Awaited::End);
        drop(cancel);
        for worker in workers {
            worker.join().unwrap_or_else(|payload| resume_unwind(payload));
        }
        Ok(result)
    })
}

#[cfg(test)]
mod tests {
    use super::{Producer, Stop, run_pipeline};
    use nix::sys::signal::{SigSet, Signal};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread::{current, yield_now};

    #[test]
    fn every_item_is_consumed_once() {
        let caller = current().id();
        for threads in [0, 1, 3] {
            for n in [0, 1, 1000u64] {
                let (sum, count) = (AtomicU64::new(0), AtomicU64::new(0));
                let produce = |producer: &mut Producer<'_, u64>| {
                    (0..n).for_each(|item| producer.push(item));
                    "done"
                };
                let consume = |_: &Stop<'_>, item| {
                    let blocked = SigSet::thread_get_mask().unwrap().contains(Signal::SIGINT);
                    assert_eq!(blocked, current().id() != caller);
                    sum.fetch_add(item, Ordering::Relaxed);
                    count.fetch_add(1, Ordering::Relaxed);
                };
                assert_eq!(run_pipeline(threads, || (), produce, consume).unwrap(), "done");
                assert_eq!(count.into_inner(), n);
                assert_eq!(sum.into_inner(), n * n.saturating_sub(1) / 2);
            }
        }
        assert!(!SigSet::thread_get_mask().unwrap().contains(Signal::SIGINT));
    }

    #[test]
    fn what_was_given_is_consumed_once_it_is_settled() {
        for threads in [1, 3] {
            let sum = AtomicU64::new(0);
            let produce = |producer: &mut Producer<'_, u64>| {
                for round in 1..=20 {
                    (0..50).for_each(|_| producer.push(1));
                    producer.drain();
                    assert_eq!(sum.load(Ordering::Relaxed), 50 * round);
                }
            };
            let consume = |_: &Stop<'_>, item| {
                yield_now();
                sum.fetch_add(item, Ordering::Relaxed);
            };
            run_pipeline(threads, || (), produce, consume).unwrap();
        }
    }

    #[test]
    fn an_unwinding_tick_waits_for_the_workers() {
        let (begun, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        let tick = || {
            while !begun.load(Ordering::SeqCst) {
                yield_now();
            }
            panic!("cancel")
        };
        let produce = |producer: &mut Producer<'_, ()>| (0..100).for_each(|_| producer.push(()));
        let consume = |stop: &Stop<'_>, ()| {
            begun.store(true, Ordering::SeqCst);
            while !stop.is_requested() {
                yield_now();
            }
            ended.store(true, Ordering::SeqCst);
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| run_pipeline(2, tick, produce, consume)));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"cancel"));
        assert!(ended.load(Ordering::SeqCst));
    }

    #[test]
    fn an_unwinding_producer_ends_the_workers() {
        let outcome = catch_unwind(|| {
            let produce = |producer: &mut Producer<'_, u8>| {
                producer.push(1);
                panic!("no page");
            };
            run_pipeline(2, || (), produce, |_, _| ()).is_ok()
        });
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"no page"));
    }

    #[test]
    fn a_panic_of_a_worker_goes_on_in_the_caller() {
        let outcome = catch_unwind(|| {
            let produce = |producer: &mut Producer<'_, u8>| (0..100).for_each(|i| producer.push(i));
            run_pipeline(2, || (), produce, |_, _| panic!("broken")).is_ok()
        });
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"broken"));
    }
}
