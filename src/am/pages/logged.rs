//! Whether changes of a relation are to be logged.

use pgrx::pg_sys;

use crate::am::rel::INVALID_SUBXID;

/// RelationNeedsWAL: permanent, and not freshly made under wal_level = minimal.
///
/// # Safety
/// `rel` must be open.
pub unsafe fn needs_wal(rel: pg_sys::Relation) -> bool {
    // SAFETY: plain fields of an open relation and a server setting.
    unsafe {
        let permanent = (*(*rel).rd_rel).relpersistence == pg_sys::RELPERSISTENCE_PERMANENT as i8;
        let minimal = pg_sys::wal_level < pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32;
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let first = (*rel).rd_firstRelfilenodeSubid;
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let first = (*rel).rd_firstRelfilelocatorSubid;
        let new = (*rel).rd_createSubid != INVALID_SUBXID || first != INVALID_SUBXID;
        permanent && !(minimal && new)
    }
}
