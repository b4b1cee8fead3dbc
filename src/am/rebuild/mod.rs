//! Indexes that look after themselves: one of lists that was made before its rows is trained by the INSERT that brings enough
//! of them, VACUUM builds lists anew that no longer fit the table, and measures the recall curve of a graph again; all beside scans
//! and writers.
//!
//! What is done to the pages, and why scans lose nothing, stands in `pages::lists::rebuild`; when it is due, in
//! `pages::lists::due`. Here are the rows of the table, the locks and the transaction ids.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use ann::element::Bits;
use half::f16;
use pages::hnsw;
use pages::lists::due::{self, Census, Due};
use pages::lists::rebuild::{begin, missing, retire, switch, tids};
use pages::lists::vacuum::stats;
use pages::store::Pages;
use pages::tid::Tid;
use pages::tid_set::TidSet;
use pgrx::pg_sys;

use super::assign::{Loader, write_in_place};
use super::build::IndexSpec;
use super::build_log;
use super::guc;
use super::insert::{Placed, insert_into_lists};
use super::interrupts::check_for_interrupts;
use super::list_lock::ListLock;
use super::method::method_of;
use super::opclass::{ElementType, opclass_of};
use super::options::options_of;
use super::pages::PgPages;
use super::quantizers::Trained;
use super::recall_target::QUERIES_MAX;
use super::rel;
use super::relation::{Index, IvfIndex, cached_index};
use super::report::checked;
use super::rights;
use super::train;
use super::value::Column;
pub use rows::TableRows;
use rows::TrainingRows;
pub use survey::{Findings, Look, examine};

mod expressions;
mod free;
mod graph;
mod rows;
mod standby;
mod survey;

pub use free::free_old_builds;

/// Rounds in which rows that came meanwhile are added before inserts have to wait for the last of them.
const ROUNDS: usize = 4;
/// Rows that may be left for the time when inserts wait.
const ROWS_AT_LAST: usize = 200;

/// What was done to an index.
pub enum Maintained {
    /// Its lists were built anew.
    Rebuilt { due: Due, nlist_before: usize, nlist: usize, rows: u64 },
    /// The recall curve of a graph was measured again.
    Measured { due: hnsw::due::Due, rows: u64 },
}

/// Whether anything of an index is trained that it may train anew: nothing is where a model says what the lists are.
fn may_train(index: pg_sys::Relation, ivf: &IvfIndex) -> bool {
    let Some(method) = method_of(index).filter(|method| !method.is_graph) else { return false };
    let options = options_of(index);
    let has_model = options.model.is_some() || ivf.meta.model.is_some();
    !has_model && (method.has_lists || options.code.is_some() || ivf.meta.code().is_some())
}

/// Trains an index of lists that was made before its rows, once an insert has brought enough: unless somebody else is at
/// work on the lists, then a later insert will. The caller holds no lock of the lists.
pub fn train_if_due<E: Column>(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    pages: &PgPages,
    ivf: &IvfIndex,
) {
    // An index built on half of the rows that a training takes, or more, is VACUUM's to build anew. Others count their rows,
    // unless no number of them would change anything: that goes over all lists.
    let training_rows = guc::training_rows();
    let has_lists = method_of(index).is_some_and(|method| method.has_lists);
    if ivf.meta.build_rows >= training_rows / 2
        || !due::can_grow_due(&ivf.meta, has_lists, training_rows)
        || !may_train(index, ivf)
    {
        return;
    }
    // Rows are counted when there are more pages than the last time.
    let n_blocks = checked(index, pages.n_blocks());
    if n_blocks < ivf.look_from.replace(n_blocks + 1) || !is_due(index, pages, ivf) {
        return;
    }
    let Some(lock) = ListLock::alone(index) else { return };
    // Somebody may have been faster.
    let Index::Lists(ivf) = cached_index(index, pages) else { return };
    if !is_due(index, pages, &ivf) || !expressions::are_harmless(index) {
        return;
    }
    let done = with_rights(table, index, || {
        // SAFETY: both are open for the insert.
        let mut rows = unsafe { TableRows::new(table, index, ivf.meta.dims()) };
        run::<E>(table, index, pages, &ivf, &mut rows, Some(lock))
    });
    if done.is_none() {
        // For want of memory, which the next insert has not either.
        ivf.look_from.set(n_blocks.saturating_mul(2));
    }
}

/// Whether there are rows enough to train an index that was built on few.
fn is_due(index: pg_sys::Relation, pages: &PgPages, ivf: &IvfIndex) -> bool {
    let rows = checked(index, stats(pages, &ivf.meta.lists)).live;
    let has_lists = method_of(index).is_some_and(|method| method.has_lists);
    let census = Census { rows, ..Census::default() };
    due::by_census(&ivf.meta, &census, has_lists, guc::training_rows()).is_some()
}

/// What VACUUM does for an index, unless users' functions would have to be asked.
pub fn maintain_in_vacuum(table: pg_sys::Relation, index: pg_sys::Relation) {
    if expressions::are_harmless(index) {
        maintain_if_due(table, index);
    }
}

/// Builds the lists of an index anew, or measures a graph again, if that is due, beside inserts. The caller keeps VACUUM and
/// others who would do the same off the table.
pub fn maintain_if_due(table: pg_sys::Relation, index: pg_sys::Relation) -> Option<Maintained> {
    // SAFETY: an open index. Not as slowly as VACUUM's settings want it: in the end inserts wait.
    let pages = unsafe { PgPages::new(index) };
    // Keeps inserts from training the lists, or from making a graph of them, from here on: they would not be those that are
    // looked at.
    let lock = ListLock::shared(index);
    let ivf = match cached_index(index, &pages) {
        Index::Lists(ivf) => ivf,
        Index::Graph(graph) => {
            drop(lock);
            return graph::measure_if_due(table, index, &pages, &graph);
        }
    };
    if !may_train(index, &ivf) {
        return None;
    }
    with_rights(table, index, || match opclass_of(index).element {
        ElementType::F32 => examine_and_run::<f32>(table, index, &pages, &ivf),
        ElementType::F16 => examine_and_run::<f16>(table, index, &pages, &ivf),
        ElementType::Bit => examine_and_run::<Bits>(table, index, &pages, &ivf),
        // Only graphs are over sparse vectors.
        ElementType::Sparse => None,
    })
}

fn examine_and_run<E: Column>(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    pages: &PgPages,
    ivf: &Rc<IvfIndex>,
) -> Option<Maintained> {
    // SAFETY: the caller holds both open.
    let mut rows = unsafe { TableRows::new(table, index, ivf.meta.dims()) };
    let rows_now = checked(index, stats(pages, &ivf.meta.lists)).live;
    let is_forced = guc::debug_rebuild() && rows_now >= guc::training_rows();
    let forced = is_forced.then_some(Due::Untrained { rows: rows_now });
    let due = examine::<E>(index, pages, ivf, &mut rows, Look::Decide).due.or(forced)?;
    let nlist_before = ivf.meta.nlist();
    let nlist = run::<E>(table, index, pages, ivf, &mut rows, None)?;
    let now = lists_now(index, pages)?;
    let rows = checked(index, stats(pages, &now.meta.lists)).live;
    Some(Maintained::Rebuilt { due, nlist_before, nlist, rows })
}

fn lists_now(index: pg_sys::Relation, pages: &PgPages) -> Option<Rc<IvfIndex>> {
    match cached_index(index, pages) {
        Index::Lists(ivf) => Some(ivf),
        Index::Graph(_) => None,
    }
}

/// What an index computes from rows is computed as the table's owner.
pub fn with_rights<R>(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    work: impl FnOnce() -> R,
) -> R {
    if rel::has_expressions(index) { rights::as_owner(table, work) } else { work() }
}

/// What the new build is to be: what was decided at the first one, or of an untrained index what its options say.
fn spec_of(index: pg_sys::Relation, ivf: &IvfIndex) -> IndexSpec {
    let spec = IndexSpec::of(index, ivf.meta.metric());
    if !ivf.meta.is_trained() {
        return spec;
    }
    let (seed, nlist_option) = (ivf.meta.seed, ivf.meta.nlist_option);
    let is_code_chosen = ivf.meta.is_code_chosen && spec.is_code_chosen;
    let code = if is_code_chosen { spec.code } else { ivf.meta.code() };
    IndexSpec { code, is_code_chosen, seed, nlist_option, ..spec }
}

/// Builds the lists anew. With `alone` no insert runs; else the caller shares the lock, and those that run are waited for at
/// the end. Returns the number of
/// lists; None if they stay as they are, for want of memory or of rows.
fn run<E: Column>(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    pages: &PgPages,
    ivf: &IvfIndex,
    rows: &mut TableRows,
    alone: Option<ListLock>,
) -> Option<usize> {
    let spec = spec_of(index, ivf);
    let mut known = checked(index, tids(pages, &ivf.meta.lists));
    let n = known.len() as u64;
    if !train::has_room(&spec, n) {
        return None;
    }
    let source = TrainingRows {
        index,
        rows: RefCell::new(&mut *rows),
        tids: &known,
        n: train::rows_wanted(&spec, n),
        seed: spec.seed,
    };
    let mut sample = train::sample::<E>(&source, &spec);
    let nlist = due::nlist_wanted(spec.nlist_option, n, spec.method.has_lists);
    let nlist = nlist.min(train::nlist_max(spec.dims)).min(sample.n() as u32);
    if spec.code.is_some_and(|code| sample.n() < code.kind.rows_min()) || nlist == 0 {
        return None;
    }
    let queries = sample.some(QUERIES_MAX, spec.dims);
    let trained = train::try_learn(&source, sample, &spec, nlist).ok()?;
    let trained = Trained { queries, ..trained };
    let spec = spec.with_code_of(&trained);
    let generation = checked(index, begin(pages));
    let params = spec.params::<E>(&trained);
    let begun = Instant::now();
    let mut loader = Loader::<E>::new(index, &spec, &params, &trained);
    let table_blocks = rel::n_blocks(table);
    for tid in known.iter() {
        rows.fetch::<E>(tid, |elements, attributes| {
            if let Some(row) = Placed::new(spec.metric, elements) {
                loader.add(tid, &row, attributes);
            }
        });
        check_for_interrupts();
    }
    let meta = write_in_place(
        pages,
        index,
        &spec,
        &params,
        &trained,
        (loader.finish(), table_blocks, generation),
    );
    drop(trained);
    build_log::written(index, begun.elapsed());
    let new = checked(index, IvfIndex::of(pages, meta.of_build(generation)));
    let mut catch_up = || catch_up::<E>(index, pages, (ivf, &new), rows, &mut known);
    if alone.is_none() {
        for _ in 0..ROUNDS {
            if catch_up() <= ROWS_AT_LAST {
                break;
            }
        }
    }
    let _alone = alone.unwrap_or_else(|| ListLock::alone_at_last(index));
    catch_up();
    if rows.lack_any() {
        // A snapshot of a standby may still need what no snapshot here does.
        standby::end_scans_of_standbys(index, standby::newest_removable(table));
    }
    checked(index, switch(pages, &new.meta));
    // No scan begins on the old pages any more: who stands on them has a snapshot that is not younger than this.
    checked(index, retire(pages, rel::next_xid()));
    Some(nlist as usize)
}

/// Adds the rows that came since the last look; returns how many.
fn catch_up<E: Column>(
    index: pg_sys::Relation,
    pages: &PgPages,
    (old, new): (&IvfIndex, &IvfIndex),
    rows: &mut TableRows,
    known: &mut TidSet,
) -> usize {
    let came: Vec<Tid> = checked(index, missing(pages, &old.meta.lists, known));
    for tid in &came {
        rows.fetch::<E>(*tid, |elements, attributes| {
            if let Some(row) = Placed::new(new.meta.metric(), elements) {
                insert_into_lists(index, pages, new, *tid, &row, attributes);
            }
        });
    }
    known.add(&came);
    came.len()
}
