//! Rows to train on that need not lie in memory.

use super::TrainError;
use crate::parallel::Job;
use std::ops::Range;

/// A training sample, in memory or in a file, that is read and changed a part at a time.
pub trait Rows {
    /// How many rows there are.
    fn n(&self) -> usize;
    /// Puts the rows of these ranges into `out`, one after the other, in place of what was there.
    fn read(
        &mut self,
        ranges: &[Range<usize>],
        out: &mut Vec<f32>,
        job: &Job,
    ) -> Result<(), TrainError>;
    /// Overwrites the rows from `first` on; `rows` comes back with the same contents.
    fn write(&mut self, first: usize, rows: &mut Vec<f32>, job: &Job) -> Result<(), TrainError>;
}

/// Rows in memory.
pub struct MemoryRows<'a> {
    /// n × `dims`.
    pub points: &'a mut [f32],
    /// Elements of a row.
    pub dims: usize,
}

impl Rows for MemoryRows<'_> {
    fn n(&self) -> usize {
        self.points.len().checked_div(self.dims).unwrap_or(0)
    }

    fn read(
        &mut self,
        ranges: &[Range<usize>],
        out: &mut Vec<f32>,
        _job: &Job,
    ) -> Result<(), TrainError> {
        out.clear();
        for range in ranges {
            let rows = self.points.get(range.start * self.dims..range.end * self.dims);
            out.extend_from_slice(rows.ok_or(TrainError::Unreadable)?);
        }
        Ok(())
    }

    fn write(&mut self, first: usize, rows: &mut Vec<f32>, _job: &Job) -> Result<(), TrainError> {
        let at = first * self.dims;
        let to = self.points.get_mut(at..at + rows.len()).ok_or(TrainError::Unreadable)?;
        to.copy_from_slice(rows);
        Ok(())
    }
}
