//! Tables whose rows are on other servers: partitions that are foreign tables, and what Citus has distributed.

use pgrx::{Spi, pg_sys};

use crate::am::rights::with_safe_search_path;

/// How many of the partitions are foreign tables.
pub fn foreign_partitions(table: pg_sys::Oid) -> i64 {
    let sql =
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) t
        JOIN pg_catalog.pg_class c ON c.oid = t.relid AND c.relkind = 'f'";
    let found = with_safe_search_path(|| Spi::get_one_with_args::<i64>(sql, &[table.into()]));
    found.ok().flatten().unwrap_or_default()
}

/// Whether Citus has distributed the table. It names each such table in a catalog of its own, which is not there without Citus.
pub fn is_distributed(table: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up by a NUL-terminated name.
    let catalog = unsafe {
        pg_sys::get_relname_relid(
            c"pg_dist_partition".as_ptr(),
            pg_sys::PG_CATALOG_NAMESPACE.into(),
        )
    };
    if catalog == pg_sys::InvalidOid {
        return false;
    }
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = $1::pg_catalog.regclass)";
    let found = with_safe_search_path(|| Spi::get_one_with_args::<bool>(sql, &[table.into()]));
    found.ok().flatten().unwrap_or_default()
}
