//! Rows of every kind, fetched below a real index scan.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use half::f16;
use pages::tid::Tid;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, pg_sys, pg_test};

use super::{HeapRows, RecentBuffers};
use crate::am::testing::{run, value, with_index};

/// More than a short varlena header has room for, so that values are stored plain.
const DIMS: usize = 40;

/// A scan of index `i` and its snapshot, which sees what was done before and nothing later.
fn with_scan<T>(look: impl FnOnce(pg_sys::IndexScanDesc) -> T) -> T {
    with_index("i", |index| {
        // SAFETY: index and table are open and locked until after the scan; the snapshot stays on
        // the stack as long.
        unsafe {
            pg_sys::CommandCounterIncrement();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let snapshot = pg_sys::GetActiveSnapshot();
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let heap = pg_sys::table_open((*(*index).rd_index).indrelid, lock);
            #[cfg(feature = "pg18")]
            let scan = pg_sys::index_beginscan(heap, index, snapshot, std::ptr::null_mut(), 0, 1);
            #[cfg(not(feature = "pg18"))]
            let scan = pg_sys::index_beginscan(heap, index, snapshot, 0, 1);
            let seen = look(scan);
            pg_sys::index_endscan(scan);
            pg_sys::table_close(heap, lock);
            pg_sys::PopActiveSnapshot();
            seen
        }
    })
}

/// The rows below `i` while `look` uses them.
fn with_rows<T>(look: impl FnOnce(&mut HeapRows) -> T) -> T {
    with_scan(|scan| {
        // SAFETY: the scan outlives the rows.
        let mut rows = unsafe { HeapRows::new(scan) };
        rows.remember(&Rc::default());
        let seen = look(&mut rows);
        rows.rest();
        rows.end();
        seen
    })
}

/// The first elements of what is found at the first `n` places of the table, all of dimension DIMS.
fn firsts(rows: &mut HeapRows, n: u16) -> Vec<Option<f32>> {
    let first = |offset| {
        rows.fetch(Tid::new(0, offset), DIMS, |v: &[f32]| {
            assert!(v.len() == DIMS && v.iter().all(|x| x == &v[0]), "{v:?}");
            v[0]
        })
    };
    (1..=n).map(first).collect()
}

fn whole(rows: &mut HeapRows, offset: u16, dims: usize) -> Option<Vec<f32>> {
    rows.fetch(Tid::new(0, offset), dims, <[f32]>::to_vec)
}

/// SQLSTATE and message of the error that `f` raises, in a subtransaction that is rolled back.
fn refused(f: impl FnOnce()) -> String {
    // SAFETY: a subtransaction begun and ended here; memory context and owner are put back.
    unsafe {
        let (memory, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(memory);
        let f = AssertUnwindSafe(f);
        let said = PgTryBuilder::new(AssertUnwindSafe(|| {
            let AssertUnwindSafe(f) = f;
            f();
            String::new()
        }))
        .catch_others(|caught| match caught {
            CaughtError::PostgresError(e) | CaughtError::ErrorReport(e) => {
                format!("{:?} {}", e.sql_error_code(), e.message())
            }
            CaughtError::RustPanic { ereport, .. } => ereport.message().to_owned(),
        })
        .execute();
        pg_sys::RollbackAndReleaseCurrentSubTransaction();
        pg_sys::MemoryContextSwitchTo(memory);
        pg_sys::CurrentResourceOwner = owner;
        said
    }
}

/// Whether this backend holds a pin of the first page of the scan's temporary table.
fn is_pinned(scan: pg_sys::IndexScanDesc) -> bool {
    // SAFETY: the table is open; the cleanup lock is granted only to the holder of the only pin.
    unsafe {
        let buffer = pg_sys::ReadBuffer((*scan).heapRelation, 0);
        let alone = pg_sys::ConditionalLockBufferForCleanup(buffer);
        if alone {
            pg_sys::UnlockReleaseBuffer(buffer);
        } else {
            pg_sys::ReleaseBuffer(buffer);
        }
        !alone
    }
}

/// A table of `n` rows whose vectors repeat the row's number, and index `i` on them.
fn make_rows(kind: &str, n: u32) {
    run("CREATE FUNCTION filled(x int) RETURNS vector IMMUTABLE LANGUAGE sql
           RETURN array_fill(x::real, '{40}')::vector");
    run(&format!("CREATE {kind} TABLE t (id int, v vector({DIMS}))"));
    run(&format!("INSERT INTO t SELECT x, filled(x) FROM generate_series(1, {n}) x"));
    run("CREATE INDEX i ON t USING faissivf (v) WITH (nlist = 1)");
}

#[pg_test]
fn pgtest_a_candidate_is_the_version_its_snapshot_sees() {
    make_rows("", 4);
    with_rows(|rows| {
        // In place 5, reached through place 1: no indexed column changes.
        run("UPDATE t SET id = 10 WHERE id = 1");
        run("DELETE FROM t WHERE id = 2");
        // In place 6, with an index entry of its own.
        run("UPDATE t SET v = filled(30) WHERE id = 3");
        // In place 7, never committed.
        run("DO $$ BEGIN INSERT INTO t VALUES (5, filled(5)); RAISE 'undone';
             EXCEPTION WHEN raise_exception THEN NULL; END $$");
        let before = [Some(1.0), Some(2.0), Some(3.0), Some(4.0), None, None, None, None];
        assert_eq!(firsts(rows, 8), before);
    });
    let after = [Some(1.0), None, None, Some(4.0), None, Some(30.0), None, None];
    assert_eq!(with_rows(|rows| firsts(rows, 8)), after);
}

#[pg_test]
fn pgtest_rows_dead_to_all_are_told_from_those_that_are_not_seen() {
    make_rows("", 4);
    // In place 5, undone: nobody will ever see it.
    run("DO $$ BEGIN INSERT INTO t VALUES (5, filled(5)); RAISE 'undone';
         EXCEPTION WHEN raise_exception THEN NULL; END $$");
    // Others still see it.
    run("DELETE FROM t WHERE id = 2");
    with_rows(|rows| {
        let places = [5, 2, 1, 5].map(|offset| Tid::new(0, offset));
        rows.locate(&places, |_, _| {});
        let dead: Vec<u32> = rows.take_dead().into_iter().map(|(_, number)| number).collect();
        assert_eq!(dead, [0, 3]);
        assert_eq!(rows.take_dead(), []);
        let is_dead = [1, 2, 5].map(|offset| rows.is_dead(Tid::new(0, offset)));
        assert_eq!(is_dead, [false, false, true]);
    });
    with_scan(|scan| {
        // SAFETY: the scan outlives the rows.
        let mut rows = unsafe {
            (*scan).xactStartedInRecovery = true;
            HeapRows::new(scan)
        };
        assert!(!rows.is_dead(Tid::new(0, 5)), "nothing is said in a transaction of a standby");
        rows.end();
    });
}

#[pg_test]
fn pgtest_candidates_keep_their_numbers() {
    make_rows("", 300);
    let tid = |text: String| {
        let (block, offset) = text[1..text.len() - 1].split_once(',').expect("a tid");
        Tid::new(block.parse().expect("a block"), offset.parse().expect("an offset"))
    };
    // From all over the table, two of them no rows at all.
    let mut candidates: Vec<Tid> = (0..100_u32)
        .map(|i| tid(value(&format!("SELECT ctid::text FROM t WHERE id = {}", i * 37 % 300 + 1))))
        .collect();
    candidates[7] = Tid::new(3, 290);
    candidates[8] = Tid::new(0, 291);
    assert!(candidates.iter().any(|tid| tid.blkno > 3));
    let mut seen = vec![0.0; candidates.len()];
    with_rows(|rows| rows.visit(&candidates, DIMS, |i, v: &[f32]| seen[i] += v[0]));
    for (i, &x) in seen.iter().enumerate() {
        let expected = if i == 7 || i == 8 { 0 } else { i * 37 % 300 + 1 };
        assert_eq!(x, expected as f32, "{i}");
    }
}

#[pg_test]
fn pgtest_rows_are_found_where_they_were_last_and_elsewhere() {
    for kind in ["", "TEMP"] {
        make_rows(kind, 300);
        let n_blocks: i32 =
            value("SELECT max(substring(ctid::text FROM '[0-9]+')::int) + 1 FROM t");
        let n_blocks = n_blocks.unsigned_abs();
        assert!(n_blocks > 5);
        let tids: Vec<Tid> =
            (0..n_blocks).flat_map(|block| (1..=60).map(move |at| Tid::new(block, at))).collect();
        let recent = Rc::<RecentBuffers>::default();
        with_scan(|scan| {
            // SAFETY: the scan outlives the rows.
            let mut rows = unsafe { HeapRows::new(scan) };
            rows.remember(&recent);
            for round in 0..8 {
                let mut seen = Vec::new();
                rows.visit(&tids, DIMS, |_, v: &[f32]| seen.push(v[0] as u32));
                assert_eq!(seen, (1..=300).collect::<Vec<_>>(), "{kind} round {round}");
                let places: Vec<_> =
                    (0..n_blocks).map(|block| recent.peek(block).expect("seen")).collect();
                // From time to time every block is thought to be where its neighbour is.
                for (block, place) in (1..n_blocks).zip(places).filter(|_| round % 3 == 1) {
                    recent.set(block, place);
                }
                rows.rest();
                assert!(kind.is_empty() || !is_pinned(scan));
            }
            rows.end();
        });
        run("DROP TABLE t; DROP FUNCTION filled");
    }
}

#[pg_test]
fn pgtest_values_are_read_however_they_are_stored() {
    let numbers = "(SELECT array_agg(floor(random() * 100)::real)::vector
                    FROM generate_series(1, 3000 + id * 0))";
    run("CREATE TABLE t (id int, v vector(3000))");
    run("CREATE INDEX i ON t USING faissivf (v) WITH (nlist = 1)");
    for (id, storage) in [(1, "EXTERNAL"), (2, "EXTENDED"), (3, "MAIN")] {
        run(&format!("ALTER TABLE t ALTER v SET STORAGE {storage}"));
        run(&format!("INSERT INTO t SELECT id, {numbers} FROM (VALUES ({id})) _(id)"));
    }
    let forms: String = value(
        "SELECT string_agg(coalesce(pg_column_compression(v), 'plain'), ' ' ORDER BY id) FROM t",
    );
    assert_eq!(forms, "plain pglz pglz");
    with_rows(|rows| {
        for id in 1..=3 {
            let expected: Vec<f32> = value(&format!("SELECT v::real[] FROM t WHERE id = {id}"));
            assert_eq!(whole(rows, id, 3000), Some(expected), "{id}");
        }
    });
}

#[pg_test]
fn pgtest_short_values_and_added_columns_are_read() {
    run("CREATE TABLE t (gone text, id int); INSERT INTO t VALUES ('x', 1), (NULL, 2)");
    // The rows there are do not hold it: it comes from the catalog.
    run("ALTER TABLE t DROP gone, ADD h halfvec(3) DEFAULT '[1,2,3]'");
    run("INSERT INTO t (id, h) VALUES (3, '[4,5,6]'), (4, NULL)");
    run("CREATE INDEX i ON t USING faissivf (h) WITH (nlist = 1)");
    with_rows(|rows| {
        let mut at = |offset| {
            rows.fetch(Tid::new(0, offset), 3, |v: &[f16]| [0, 1, 2].map(|j| v[j].to_f32()))
        };
        assert_eq!([at(1), at(2)], [Some([1.0, 2.0, 3.0]); 2]);
        assert_eq!([at(3), at(4)], [Some([4.0, 5.0, 6.0]), None]);
    });
}

/// An index on an expression, which can be given another meaning afterwards.
fn make_expression(kind: &str) {
    run(&format!("CREATE {kind} TABLE t (id int); INSERT INTO t VALUES (1), (2)"));
    define("RETURN ARRAY[x, x + 1]::vector");
    run("CREATE INDEX i ON t USING faissivf ((f(id)::vector(2))) WITH (nlist = 1)");
}

/// From 17 on an index is built with a search_path of the server's own.
fn define(body: &str) {
    run(&format!(
        "CREATE OR REPLACE FUNCTION f(x int) RETURNS vector IMMUTABLE LANGUAGE plpgsql SET search_path = public AS
         'BEGIN {body}; END'"
    ));
}

#[pg_test]
fn pgtest_an_index_expression_is_evaluated() {
    make_expression("");
    let seen = with_rows(|rows| [1, 2, 3].map(|offset| whole(rows, offset, 2)));
    assert_eq!(seen, [Some(vec![1.0, 2.0]), Some(vec![2.0, 3.0]), None]);
    define("RETURN CASE WHEN x = 2 THEN ''[7,8]''::vector END");
    let seen = with_rows(|rows| [1, 2].map(|offset| whole(rows, offset, 2)));
    assert_eq!(seen, [None, Some(vec![7.0, 8.0])]);
}

#[pg_test]
fn pgtest_an_error_in_a_row_leaves_nothing_behind() {
    make_expression("TEMP");
    with_scan(|scan| {
        let fetch = |scan, dims| {
            // SAFETY: the scan outlives the rows. An error leaves them without `end`, as a scan's
            // state is left.
            let mut rows = unsafe { HeapRows::new(scan) };
            let _ = whole(&mut rows, 2, dims);
        };
        assert_eq!(
            refused(|| fetch(scan, 3)),
            "ERRCODE_DATA_EXCEPTION expected 3 dimensions, not 2"
        );
        assert!(!is_pinned(scan));
        define("RAISE division_by_zero");
        assert_eq!(refused(|| fetch(scan, 2)), "ERRCODE_DIVISION_BY_ZERO division_by_zero");
        assert!(!is_pinned(scan));
        // SAFETY: put back before anybody else looks.
        unsafe {
            let heap = std::mem::replace(&mut (*scan).heapRelation, std::ptr::null_mut());
            let said = refused(|| fetch(scan, 2));
            (*scan).heapRelation = heap;
            let expected = "ERRCODE_FEATURE_NOT_SUPPORTED index \"i\" cannot be scanned without";
            assert!(said.starts_with(expected), "{said}");
        }
    });
}

#[pg_test]
fn pgtest_no_pin_is_kept_between_two_calls() {
    make_rows("TEMP", 3);
    with_scan(|scan| {
        // SAFETY: the scan outlives the rows.
        let mut rows = unsafe { HeapRows::new(scan) };
        // Nothing is opened yet, and resting is nothing.
        rows.rest();
        for _ in 0..2 {
            assert_eq!(firsts(&mut rows, 2), [Some(1.0), Some(2.0)]);
            assert!(is_pinned(scan));
            rows.rest();
            assert!(!is_pinned(scan));
        }
        assert_eq!(firsts(&mut rows, 2), [Some(1.0), Some(2.0)]);
        rows.end();
        assert!(!is_pinned(scan));
        rows.end();
    });
}

/// Memory of this backend after each of two long series of rescans.
fn memory_of_rescans(index: &str) -> [usize; 2] {
    run("CREATE TABLE t (id int, v vector(3)); INSERT INTO t VALUES (1, '[1,2,3]')");
    run(&format!("CREATE INDEX i ON t USING faissivf ({index}) WITH (nlist = 1)"));
    with_rows(|rows| {
        [100, 10_000].map(|n| {
            for i in 0..n {
                assert_eq!(whole(rows, 1, 3), Some(vec![1.0, 2.0, 3.0]));
                if i % 2 == 0 { rows.rest() } else { rows.end() }
            }
            // SAFETY: the root of all memory contexts.
            unsafe { pg_sys::MemoryContextMemAllocated(pg_sys::TopMemoryContext, true) }
        })
    })
}

#[pg_test]
fn pgtest_rescans_take_no_memory() {
    let [first, last] = memory_of_rescans("v");
    assert_eq!(first, last);
    run("DROP TABLE t");
    let [first, last] = memory_of_rescans("((v + '[0,0,0]')::vector(3))");
    assert_eq!(first, last);
}
