//! Scans on standbys, which the primary does not know of: replay deals with those that what it is about to change would break.

use pgrx::pg_sys;

use crate::am::rel;

/// The newest transaction whose deletions this session may have taken for dead to all snapshots of the primary.
pub fn newest_removable(table: pg_sys::Relation) -> pg_sys::FullTransactionId {
    // SAFETY: the table is open; what the test goes by only grows in a session.
    let is_removable = |xid: u64| unsafe {
        pg_sys::GlobalVisCheckRemovableFullXid(table, pg_sys::FullTransactionId { value: xid })
    };
    // All transactions before one are removable, and none from it on.
    let (mut removable, mut needed) = (0, rel::next_xid());
    while needed - removable > 1 {
        let middle = removable + (needed - removable) / 2;
        if is_removable(middle) {
            removable = middle;
        } else {
            needed = middle;
        }
    }
    pg_sys::FullTransactionId { value: removable }
}

/// Makes the replay on a standby end the queries whose snapshots do not follow the transaction `xid`, or wait for them, as
/// `max_standby_streaming_delay` says: by the record that B-trees write before they use a page again.
pub fn end_scans_of_standbys(index: pg_sys::Relation, xid: pg_sys::FullTransactionId) {
    // SAFETY: fields of an open relation, and a server setting; the record is what the server's own B-trees write.
    unsafe {
        if (*(*index).rd_rel).relpersistence != pg_sys::RELPERSISTENCE_PERMANENT as i8
            || pg_sys::wal_level < pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32
        {
            return;
        }
        let record = ReusePage {
            locator: rel::locator(index),
            block: pages::META_BLKNO,
            horizon: xid,
            #[cfg(not(any(feature = "pg14", feature = "pg15")))]
            is_catalog: false,
        };
        pg_sys::XLogBeginInsert();
        let bytes = (&raw const record).cast_mut().cast();
        pg_sys::XLogRegisterData(bytes, ReusePage::SIZE as _);
        pg_sys::XLogInsert(RM_BTREE_ID, XLOG_BTREE_REUSE_PAGE);
    }
}

/// The server's numbers of B-trees' records, and of this one, in every version.
const RM_BTREE_ID: pg_sys::RmgrId = 11;
const XLOG_BTREE_REUSE_PAGE: u8 = 0xD0;

/// The server's `xl_btree_reuse_page`.
#[repr(C)]
struct ReusePage {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    locator: pg_sys::RelFileNode,
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    locator: pg_sys::RelFileLocator,
    block: pg_sys::BlockNumber,
    horizon: pg_sys::FullTransactionId,
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    is_catalog: bool,
}

impl ReusePage {
    /// Without the padding at the end.
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    const SIZE: usize = std::mem::offset_of!(Self, horizon) + size_of::<u64>();
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    const SIZE: usize = std::mem::offset_of!(Self, is_catalog) + size_of::<bool>();
}
