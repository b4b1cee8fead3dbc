//! What a vacuum of an index of any family reports.

use crate::page::Blkno;

/// What vacuum saw and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VacuumStats {
    /// Rows in the index afterwards.
    pub live: u64,
    /// Rows removed now.
    pub removed: u64,
    /// Pages given back now.
    pub pages_freed: u64,
    /// Slots without a row, to be used by inserts.
    pub free_slots: u64,
    /// Pages of the index.
    pub pages: Blkno,
}
