//! Indexes on expressions: which of them may be evaluated where an error would do harm.

use pgrx::{Spi, pg_sys};

use crate::am::rel;
use crate::am::rights::with_safe_search_path;

/// Whether what goes into the index may be computed anew for every row in an INSERT or a VACUUM: from columns, or by the
/// server's and extensions' own functions, casts above all. A function in another language may have become one that fails
/// for rows of the past, which must stop neither INSERT nor VACUUM.
pub fn are_harmless(index: pg_sys::Relation) -> bool {
    if !rel::has_expressions(index) {
        return true;
    }
    // SAFETY: a plain field of an open relation.
    let oid = unsafe { (*index).rd_id };
    let sql = "SELECT count(*) = 0 FROM pg_catalog.pg_depend d
        LEFT JOIN pg_catalog.pg_operator o
            ON d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.refobjid
        JOIN pg_catalog.pg_proc p ON p.oid = CASE d.refclassid
            WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN d.refobjid ELSE o.oprcode::pg_catalog.oid END
        JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = $1
            AND l.lanname NOT IN ('internal', 'c')";
    // Read only: a parallel VACUUM cannot get a transaction id.
    let ask =
        || Spi::connect(|client| client.select(sql, Some(1), &[oid.into()])?.first().get_one());
    with_safe_search_path(ask).ok().flatten().unwrap_or(false)
}
