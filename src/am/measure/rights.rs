//! With whose rights a measurement runs.
//!
//! It evaluates the index's expressions and predicate for every row, and these can call functions that the table's owner
//! wrote. Whoever measures an index, a superuser above all, must not lend the owner their rights: so it runs as that owner
//! in a security-restricted operation, as ANALYZE does. Nor may a reader lend the owner's functions a search_path of their
//! own making: so there it is the safe one that the server itself uses for maintenance from version 17 on.

use pgrx::pg_sys;

/// What RestrictSearchPath sets.
const SAFE_SEARCH_PATH: &std::ffi::CStr = c"pg_catalog, pg_temp";

/// Runs `work` as the owner of `table`, and undoes its settings afterwards; after an ERROR, abort does both.
pub fn as_owner<R>(table: pg_sys::Relation, work: impl FnOnce() -> R) -> R {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: an open table; two variables of ours; user and level are put back below.
    let level = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let level = pg_sys::NewGUCNestLevel();
        let owner = (*(*table).rd_rel).relowner;
        if owner != user {
            let restricted = context | pg_sys::SECURITY_RESTRICTED_OPERATION as i32;
            pg_sys::SetUserIdAndSecContext(owner, restricted);
            set_for_level(c"search_path", SAFE_SEARCH_PATH);
        }
        level
    };
    let result = work();
    // SAFETY: the level opened above, the user found above.
    unsafe {
        pg_sys::AtEOXact_GUC(false, level);
        pg_sys::SetUserIdAndSecContext(user, context);
    }
    result
}

/// Gives a setting a value until the end of the level that [`as_owner`] opened. Only for settings that anyone may set.
pub fn set_for_level(name: &std::ffi::CStr, value: &std::ffi::CStr) {
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
