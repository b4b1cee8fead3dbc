//! The rows a model is trained on: those that the caller's own SELECT finds, so that privileges, row-level security,
//! partitions and views are what they are for any query.

use std::ffi::{CStr, CString};

use pages::ModelName;
use pgrx::{PgSqlErrorCode, Spi, pg_sys};

use super::super::interrupts::check_for_interrupts;
use super::super::report::Report;
use super::super::train::Source;

/// Rows fetched at once.
const FETCHED: i64 = 1000;
/// The most rows of a heap page (`MaxHeapTuplesPerPage`): 28 bytes each.
const ROWS_PER_PAGE_MAX: u64 = 291;

/// The values of one column, in the order of a sequential scan.
pub struct ColumnRows {
    name: ModelName,
    sql: CString,
    rows_max: u64,
    sample_max: usize,
}

impl ColumnRows {
    /// `relation` (quoted, its schema named) has OID `relid`.
    pub fn new(
        name: ModelName,
        relid: pg_sys::Oid,
        relation: &str,
        column: &CStr,
        sample_max: usize,
    ) -> Self {
        // SAFETY: answers with its argument or a quoted copy.
        let column = unsafe { CStr::from_ptr(pg_sys::quote_identifier(column.as_ptr())) };
        let mut sql = b"SELECT ".to_vec();
        sql.extend_from_slice(column.to_bytes());
        sql.extend_from_slice(b" FROM ");
        sql.extend_from_slice(relation.as_bytes());
        // No name of the server has a zero byte.
        let sql = CString::new(sql).unwrap_or_default();
        Self { name, sql, rows_max: rows_max(relid), sample_max }
    }

    /// # Safety
    /// To be called by the server's thread, in a transaction with a snapshot.
    unsafe fn scan(&self, row: &mut dyn FnMut(pg_sys::Datum)) {
        // SAFETY: the portal and each table of rows live until they are closed and freed here, or until an error ends
        // the connection to SPI; a value lives as long as its table.
        unsafe {
            if pg_sys::SPI_connect() != pg_sys::SPI_OK_CONNECT as i32 {
                no_query();
            }
            // No parallel plan: its rows would come in another order each time.
            let portal = pg_sys::SPI_cursor_open_with_args(
                std::ptr::null(),
                self.sql.as_ptr(),
                0,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null(),
                true,
                pg_sys::CURSOR_OPT_NO_SCROLL as i32,
            );
            loop {
                pg_sys::SPI_cursor_fetch(portal, true, FETCHED as _);
                let table = pg_sys::SPI_tuptable;
                let n = pg_sys::SPI_processed as usize;
                if table.is_null() {
                    no_query();
                }
                for i in 0..n {
                    let tuple = *(*table).vals.add(i);
                    let mut is_null = false;
                    let value = pg_sys::SPI_getbinval(tuple, (*table).tupdesc, 1, &mut is_null);
                    if !is_null {
                        row(value);
                    }
                }
                pg_sys::SPI_freetuptable(table);
                check_for_interrupts();
                if n == 0 {
                    break;
                }
            }
            pg_sys::SPI_cursor_close(portal);
            pg_sys::SPI_finish();
        }
    }
}

impl Source for ColumnRows {
    fn rows_max(&self) -> u64 {
        self.rows_max
    }

    fn sample_max(&self) -> usize {
        self.sample_max
    }

    fn each(&self, row: &mut dyn FnMut(pg_sys::Datum)) {
        // The same rows in the same order give the same model: a scan must not begin where another one is.
        // SAFETY: the setting is given back at once, or when the transaction ends by an error.
        unsafe {
            let nest = pg_sys::NewGUCNestLevel();
            pg_sys::set_config_option(
                c"synchronize_seqscans".as_ptr(),
                c"off".as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
            self.scan(row);
            pg_sys::AtEOXact_GUC(true, nest);
        }
    }

    fn subject(&self) -> String {
        format!("model \"{}\"", self.name)
    }

    fn again(&self) -> &'static str {
        "train it again"
    }
}

/// An upper bound of the rows: by the length of the relation and of what inherits from it, or of a view none.
fn rows_max(relid: pg_sys::Oid) -> u64 {
    let sql = "WITH RECURSIVE tree (oid) AS (
            SELECT $1 UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i, tree
            WHERE i.inhparent OPERATOR(pg_catalog.=) tree.oid)
        SELECT CASE WHEN pg_catalog.bool_and(c.relkind OPERATOR(pg_catalog.=) ANY ('{r,m,p}'))
            THEN pg_catalog.sum(pg_catalog.pg_relation_size(c.oid))::pg_catalog.int8 END
        FROM pg_catalog.pg_class c, tree WHERE c.oid OPERATOR(pg_catalog.=) tree.oid";
    let bytes = Spi::get_one_with_args::<i64>(sql, &[relid.into()]);
    let bytes = bytes.unwrap_or_else(|_| no_query());
    bytes.map_or(u64::MAX, |bytes| {
        let pages = bytes.unsigned_abs().div_ceil(pages::PAGE_SIZE as u64);
        pages.saturating_mul(ROWS_PER_PAGE_MAX)
    })
}

fn no_query() -> ! {
    Report::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, "could not read the rows to train on")
        .error()
}
