//! Worker threads that a backend can live with.
//!
//! The threads belong to one call and end before it returns. They block every signal, so that the server's
//! handlers run on the calling thread only, and they never call the server: that is the caller's `tick`.

use nix::sys::signal::{SigSet, SigmaskHow};
use rayon::prelude::*;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, Thread, current, park_timeout, scope};
use std::time::Duration;

/// How long the calling thread sleeps between two ticks.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What the calling thread and the workers tell each other.
#[derive(Debug, Default)]
pub struct Job {
    cancelled: AtomicBool,
    part: AtomicU64,
    step: AtomicU64,
    total: AtomicU64,
}

impl Job {
    /// True once the result is no longer wanted. Workers ask at least every 20 ms and return soon.
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Asks the workers to stop.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Publishes that a part of the work begins, by a number that the caller gave it; its steps are not known yet.
    pub fn begin(&self, part: u64) {
        self.total.store(0, Ordering::Relaxed);
        self.step.store(0, Ordering::Relaxed);
        self.part.store(part, Ordering::Relaxed);
    }

    /// The part that runs, 0 before the first.
    pub fn part(&self) -> u64 {
        self.part.load(Ordering::Relaxed)
    }

    /// Publishes how far the work is: step `step` of `total`.
    pub fn progress(&self, step: u64, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.step.store(step, Ordering::Relaxed);
    }

    /// The step that the work is at.
    pub fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// The last step, 0 while unknown.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Why the workers gave no result.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The system gave no thread.
    #[error("could not start worker threads: {0}")]
    Spawn(String),
}

/// Cancels the job on every way out, also when `tick` unwinds.
pub(crate) struct CancelOnDrop<'a>(pub(crate) &'a Job);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Wakes the calling thread when the work is done, also when it panicked.
struct DoneOnDrop<'a>(&'a AtomicBool, Thread);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        self.1.unpark();
    }
}

/// Blocks every signal in this thread until it is dropped: threads started meanwhile inherit the mask.
pub(crate) struct SignalsBlocked(SigSet);

impl SignalsBlocked {
    pub(crate) fn new() -> Result<Self, WorkerError> {
        SigSet::all()
            .thread_swap_mask(SigmaskHow::SIG_SETMASK)
            .map(SignalsBlocked)
            .map_err(|errno| WorkerError::Spawn(errno.to_string()))
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // Restoring a mask that the system gave out cannot fail.
        let _ = self.0.thread_set_mask();
    }
}

/// Calls `one` with the number and the contents of each chunk of `size` elements (the last may be shorter), on the pool
/// it is called in. Outside of one the calling thread does it all: rayon would start its global pool, whose threads
/// take the server's signals.
pub fn for_each_chunk<T: Send>(
    data: &mut [T],
    size: usize,
    one: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let size = size.max(1);
    if rayon::current_thread_index().is_none() {
        data.chunks_mut(size).enumerate().for_each(|(i, chunk)| one(i, chunk));
    } else {
        data.par_chunks_mut(size).enumerate().for_each(|(i, chunk)| one(i, chunk));
    }
}

/// Runs `work` on a private pool of `threads` workers (at least one); rayon's parallel iterators inside it use that
/// pool. The calling thread sleeps and calls `tick` about every 10 ms. Where `tick` unwinds, the job is cancelled
/// and its threads joined before the unwind goes on. A panic of `work` goes on in the calling thread.
pub fn run<T: Send>(
    threads: usize,
    mut tick: impl FnMut(&Job),
    work: impl FnOnce(&Job) -> T + Send,
) -> Result<T, WorkerError> {
    let job = Job::default();
    let done = AtomicBool::new(false);
    scope(|scope| {
        let _cancel = CancelOnDrop(&job);
        let blocked = SignalsBlocked::new()?;
        let on_exit = DoneOnDrop(&done, current());
        let job = &job;
        let leader =
            Builder::new().name("faiss leader".to_owned()).spawn_scoped(scope, move || {
                let _on_exit = on_exit;
                rayon::ThreadPoolBuilder::new()
                    .num_threads(threads.max(1))
                    .thread_name(|i| format!("faiss worker {i}"))
                    .build_scoped(|thread| thread.run(), |pool| pool.install(|| work(job)))
                    .map_err(|error| WorkerError::Spawn(error.to_string()))
            });
        drop(blocked);
        let leader = leader.map_err(|error| WorkerError::Spawn(error.to_string()))?;
        while !done.load(Ordering::Acquire) {
            tick(job);
            park_timeout(TICK);
        }
        leader.join().unwrap_or_else(|payload| resume_unwind(payload))
    })
}

#[cfg(test)]
mod tests {
    use super::{Job, run};
    use nix::sys::signal::SigSet;
    use rayon::prelude::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn the_result_comes_back_from_a_pool_of_that_size() {
        for threads in [0, 1, 3] {
            let result = run(
                threads,
                |_| (),
                |_| {
                    assert_eq!(rayon::current_num_threads(), threads.max(1));
                    (0..1000u64).into_par_iter().sum::<u64>()
                },
            );
            assert_eq!(result.unwrap(), 499_500);
        }
    }

    #[test]
    fn workers_block_all_signals_and_the_caller_keeps_its_mask() {
        let before = SigSet::thread_get_mask().unwrap();
        let masks = run(2, |_| (), |_| rayon::broadcast(|_| SigSet::thread_get_mask().unwrap()));
        for mask in masks.unwrap() {
            assert!(mask.contains(nix::sys::signal::SIGINT));
            assert!(mask.contains(nix::sys::signal::SIGUSR1));
        }
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    #[test]
    fn an_unwinding_tick_waits_for_the_workers() {
        let ended = AtomicBool::new(false);
        let work = |job: &Job| {
            while !job.cancelled() {
                std::thread::yield_now();
            }
            ended.store(true, Ordering::SeqCst);
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| run(2, |_| panic!("cancel"), work)));
        assert!(outcome.is_err());
        assert!(ended.load(Ordering::SeqCst));
    }

    #[test]
    fn a_panic_of_the_work_goes_on_in_the_caller() {
        let outcome = catch_unwind(|| run(2, |_| (), |_| panic!("broken")).is_ok());
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"broken"));
    }

    #[test]
    fn progress_is_seen_by_the_tick() {
        let mut seen = 0;
        run(
            1,
            |job| {
                seen = seen.max(job.step() * 100 + job.total());
                if seen > 0 {
                    job.cancel();
                }
            },
            |job| {
                job.progress(3, 10);
                while !job.cancelled() {
                    std::thread::yield_now();
                }
            },
        )
        .unwrap();
        assert_eq!(seen, 310);
    }
}
