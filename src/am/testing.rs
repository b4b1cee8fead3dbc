//! What the tests inside a backend share. Each test function `pgtest_*` runs in a transaction of
//! its own that is rolled back; a panic is a failure.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use pgrx::{FromDatum, IntoDatum, Spi, pg_sys};

/// Runs statements; a failure fails the test.
pub fn run(sql: &str) {
    Spi::run(sql).expect(sql);
}

/// The only value of a query.
pub fn value<T: FromDatum + IntoDatum>(sql: &str) -> T {
    Spi::get_one(sql).expect(sql).expect(sql)
}

/// What a statement is refused with: SQLSTATE, message, detail and hint, one a line. Empty if it is
/// not refused. The statement runs in a subtransaction.
pub fn refusal(sql: &str) -> String {
    run(&format!(
        "DO $do$ DECLARE state text; message text; detail text; hint text; BEGIN
           PERFORM set_config('pgtest.refusal', '', false);
           EXECUTE $statement${sql}$statement$;
         EXCEPTION WHEN OTHERS THEN
           GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
             detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
           PERFORM set_config('pgtest.refusal', concat_ws(E'\\n', state, message, detail, hint), false);
         END $do$"
    ));
    value("SELECT current_setting('pgtest.refusal')")
}

/// The plan of a query, as EXPLAIN shows it without costs.
pub fn plan(sql: &str) -> String {
    run(&format!(
        "DO $do$ DECLARE line text; plan text = ''; BEGIN
           FOR line IN EXECUTE $query$EXPLAIN (COSTS OFF) {sql}$query$ LOOP
             plan = plan || line || E'\\n';
           END LOOP;
           PERFORM set_config('pgtest.plan', plan, false);
         END $do$"
    ));
    value("SELECT current_setting('pgtest.plan')")
}

/// Opens an index by name while `look` looks at it.
pub fn with_index<T>(name: &str, look: impl FnOnce(pg_sys::Relation) -> T) -> T {
    let oid: pg_sys::Oid = value(&format!("SELECT '{name}'::regclass::oid"));
    let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the index exists in this transaction and stays locked until its end.
    let index = unsafe { pg_sys::index_open(oid, lock) };
    let seen = look(index);
    // SAFETY: opened above.
    unsafe { pg_sys::index_close(index, pg_sys::NoLock as pg_sys::LOCKMODE) };
    seen
}
