//! With whose rights the extension evaluates what others wrote, and where its own statements look for names.
//!
//! `faiss.recall`, `faiss.tune`, `faiss.health` and `faiss.search` evaluate an index's expressions and predicate, and these can
//! call functions that the table's owner wrote. Whoever asks, a superuser above all, must not lend the owner their rights: so
//! it is done as that owner in a security-restricted operation, as ANALYZE does. Nor may a reader lend the owner's functions
//! a search_path of their own making: so there it is the safe one that the server itself uses for maintenance from version
//! 17 on.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

/// What RestrictSearchPath sets.
const SAFE_SEARCH_PATH: &CStr = c"pg_catalog, pg_temp";

/// Runs `work` as the owner of `table`, and undoes its settings afterwards; after an ERROR, abort does both.
pub fn as_owner<R>(table: pg_sys::Relation, work: impl FnOnce() -> R) -> R {
    let (mut user, mut context): (pg_sys::Oid, c_int) = (pg_sys::InvalidOid, 0);
    // SAFETY: an open table; two variables of ours.
    let owner = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        (*(*table).rd_rel).relowner
    };
    if owner == user {
        return at_own_level(work);
    }
    with_safe_search_path(|| {
        // SAFETY: a role there is; user and level are put back below.
        unsafe {
            let restricted = context | pg_sys::SECURITY_RESTRICTED_OPERATION as c_int;
            pg_sys::SetUserIdAndSecContext(owner, restricted);
        }
        let result = work();
        // SAFETY: the user found above.
        unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
        result
    })
}

/// Runs `work` with the search_path that finds the server's own functions, operators and types and nobody else's.
pub fn with_safe_search_path<R>(work: impl FnOnce() -> R) -> R {
    at_own_level(|| {
        set_for_level(c"search_path", SAFE_SEARCH_PATH);
        work()
    })
}

/// Runs `work` and undoes what it set by [`set_for_level`].
pub fn at_own_level<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: a level that is closed below, or by the abort after an ERROR.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    let result = work();
    // SAFETY: the level opened above.
    unsafe { pg_sys::AtEOXact_GUC(false, level) };
    result
}

/// Gives a setting a value until the end of the level that one of the functions above opened. Only for settings that anyone
/// may set.
pub fn set_for_level(name: &CStr, value: &CStr) {
    // SAFETY: two NUL-terminated strings that the server copies.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}
