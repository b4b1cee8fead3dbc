//! CPU time: steadier than the wall clock where other sessions work, too.

use std::time::Duration;

/// A span of CPU time.
pub type Clock = Duration;

/// What this thread has used: the time of a query.
pub fn of_thread() -> Clock {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// What this process has used, worker threads included.
pub fn of_process() -> Clock {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// In milliseconds.
pub fn ms(span: Clock) -> f64 {
    span.as_secs_f64() * 1e3
}

fn read(clock: libc::clockid_t) -> Clock {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to our own variable. These clocks exist on every system that the server runs on; where one did
    // not, times would be 0.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}
