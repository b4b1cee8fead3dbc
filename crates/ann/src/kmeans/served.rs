//! Rows in a file that only the calling thread may touch: worker threads ask for them, and the calling thread serves them
//! between two looks at its interrupts.

use super::{Rows, TrainError};
use crate::parallel::{Job, TICK};
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Thread, current};

enum Request {
    Read(Vec<Range<usize>>, Vec<f32>),
    Write(usize, Vec<f32>),
}

/// The rows that were asked for, or the buffer that was written; None where the file failed.
type Reply = Option<Vec<f32>>;

/// The calling thread's end.
pub struct Server {
    requests: Receiver<Request>,
    replies: Sender<Reply>,
}

/// The worker threads' end.
pub struct ServedRows {
    n: usize,
    requests: Sender<Request>,
    replies: Receiver<Reply>,
    server: Thread,
}

/// The two ends, for `n` rows in a file of the calling thread.
pub fn served(n: usize) -> (Server, ServedRows) {
    let (to_server, requests) = channel();
    let (replies, to_worker) = channel();
    let rows = ServedRows { n, requests: to_server, replies: to_worker, server: current() };
    (Server { requests, replies }, rows)
}

impl Server {
    /// Answers what was asked so far from `file`. To be called in every tick of the job.
    pub fn serve(&self, file: &mut dyn Rows, job: &Job) {
        for request in self.requests.try_iter() {
            let reply = match request {
                Request::Read(ranges, mut out) => {
                    file.read(&ranges, &mut out, job).ok().map(|()| out)
                }
                Request::Write(first, mut rows) => {
                    file.write(first, &mut rows, job).ok().map(|()| rows)
                }
            };
            // Nobody waits for it any more where the work has ended.
            let _ = self.replies.send(reply);
        }
    }
}

impl ServedRows {
    /// Waits for the calling thread, which may have left its loop to raise an error: then the job is cancelled.
    fn ask(&self, request: Request, job: &Job) -> Result<Vec<f32>, TrainError> {
        self.requests.send(request).map_err(|_| TrainError::Unreadable)?;
        self.server.unpark();
        loop {
            match self.replies.recv_timeout(TICK) {
                Ok(reply) => return reply.ok_or(TrainError::Unreadable),
                Err(RecvTimeoutError::Timeout) if !job.cancelled() => {}
                Err(_) => return Err(TrainError::Cancelled),
            }
        }
    }
}

impl Rows for ServedRows {
    fn n(&self) -> usize {
        self.n
    }

    fn read(
        &mut self,
        ranges: &[Range<usize>],
        out: &mut Vec<f32>,
        job: &Job,
    ) -> Result<(), TrainError> {
        *out = self.ask(Request::Read(ranges.to_vec(), std::mem::take(out)), job)?;
        Ok(())
    }

    fn write(&mut self, first: usize, rows: &mut Vec<f32>, job: &Job) -> Result<(), TrainError> {
        *rows = self.ask(Request::Write(first, std::mem::take(rows)), job)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::served;
    use crate::kmeans::{MemoryRows, Rows, TrainError};
    use crate::parallel::run;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn rows_come_from_the_calling_thread() {
        let mut points: Vec<f32> = (0..20).map(|x| x as f32).collect();
        let mut file = MemoryRows { points: &mut points, dims: 2 };
        let (server, mut rows) = served(10);
        let work = |job: &_| {
            let mut out = vec![7.0];
            rows.read(&[1..2, 8..10], &mut out, job).unwrap();
            assert_eq!(out, [2.0, 3.0, 16.0, 17.0, 18.0, 19.0]);
            rows.write(4, &mut vec![1.0, 2.0], job).unwrap();
            rows.read(std::slice::from_ref(&(3..11)), &mut out, job)
        };
        let outcome = run(2, |job| server.serve(&mut file, job), work).unwrap();
        assert_eq!(outcome, Err(TrainError::Unreadable));
        assert_eq!(points[6..11], [6.0, 7.0, 1.0, 2.0, 10.0]);
    }

    #[test]
    fn a_calling_thread_that_leaves_cancels_who_waits() {
        let (_server, mut rows) = served(10);
        let mut seen = None;
        let work =
            |job: &_| seen = Some(rows.read(std::slice::from_ref(&(0..1)), &mut Vec::new(), job));
        let tick = |_: &_| panic!("an error of the server");
        assert!(catch_unwind(AssertUnwindSafe(|| run(2, tick, work))).is_err());
        assert_eq!(seen, Some(Err(TrainError::Cancelled)));
    }
}
