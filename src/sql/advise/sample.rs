//! Rows of the table of an index, drawn to be held against what the index was trained to.

use ann::metric::Metric;
use ann::rng::Rng;
use pgrx::datum::DatumWithOid;
use pgrx::{AnyElement, PgBuiltInOids, Spi, pg_sys};

use super::column::unreadable;
use crate::am::fit::spread;
use crate::am::opclass::vector_column;
use crate::am::rel;
use crate::am::rights;
use crate::am::value::{Column, Value};

/// Places in the table that rows are drawn from.
const BLOCKS: usize = 128;
/// A sample from younger rows alone must have so many.
const ROWS_MIN: usize = 100;

/// Vectors as the column has them.
pub struct Sample {
    /// n × dims.
    pub points: Vec<f32>,
    /// Whether they are of rows younger than the index.
    pub is_young: bool,
}

/// Draws up to `n` rows: from the blocks beyond `table_blocks` alone, which the table did not have at the build, if enough
/// of them are there, else from all. Under cosine rows without a direction are left out: the index
/// has none of them.
///
/// What the index computes from rows is computed as the table's owner; mere columns are read as the caller.
pub fn sample<E: Column>(
    index: pg_sys::Relation,
    (metric, dims): (Metric, usize),
    table_blocks: u32,
    n: usize,
) -> Sample {
    let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the table of an open index exists; the lock stays until the end of the transaction.
    let table = unsafe { pg_sys::table_open((*(*index).rd_index).indrelid, lock) };
    let draw = || {
        let source = Source::of(index, table, metric);
        let young = source.draw::<E>(table_blocks..source.n_blocks, dims, n);
        if table_blocks > 0 && young.len() >= ROWS_MIN * dims {
            return Sample { points: young, is_young: true };
        }
        let points = source.draw::<E>(0..source.n_blocks, dims, n);
        Sample { points, is_young: false }
    };
    let sample = if rel::is_computed(index) { rights::as_owner(table, draw) } else { draw() };
    // SAFETY: opened above.
    unsafe { pg_sys::table_close(table, pg_sys::NoLock as pg_sys::LOCKMODE) };
    sample
}

/// Where the rows of an index come from.
struct Source {
    sql: String,
    n_blocks: u32,
    metric: Metric,
}

impl Source {
    fn of(index: pg_sys::Relation, table: pg_sys::Relation, metric: Metric) -> Self {
        // SAFETY: an open index.
        let oid = unsafe { (*index).rd_id };
        // Here the columns count from 1.
        let column = vector_column(index).0 as i32 + 1;
        let sql =
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
                pg_catalog.pg_get_indexdef(i.indexrelid, $2, false),
                coalesce(' AND (' || pg_catalog.pg_get_expr(i.indpred, i.indrelid) || ')', '')
            FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE i.indexrelid = $1";
        let found = rights::with_safe_search_path(|| {
            Spi::get_three_with_args::<String, String, String>(sql, &[oid.into(), column.into()])
        });
        let (relation, key, predicate) = found.unwrap_or_else(|e| unreadable(&e.to_string()));
        let [relation, key, predicate] = [relation, key, predicate].map(Option::unwrap_or_default);
        let sql = format!(
            "SELECT {key} FROM ONLY {relation} WHERE ctid OPERATOR(pg_catalog.>=) $1 AND ctid OPERATOR(pg_catalog.<) $2
                AND {key} IS NOT NULL{predicate} LIMIT $3"
        );
        Self { sql, n_blocks: rel::n_blocks(table), metric }
    }

    /// Reads some rows at each of some random places, in the order of the table.
    fn draw<E: Column>(&self, blocks: std::ops::Range<u32>, dims: usize, n: usize) -> Vec<f32> {
        let mut points = Vec::new();
        let places = places(&blocks);
        let per_block = n.div_ceil(places.len().max(1)) as i64;
        let drawn: pgrx::spi::SpiResult<()> = Spi::connect(|client| {
            let tid = PgBuiltInOids::TIDOID.oid();
            let types = [tid, tid, PgBuiltInOids::INT8OID.oid()];
            let statement = client.prepare(self.sql.as_str(), &types)?;
            for block in places {
                let bounds = [block, block + 1]
                    .map(|blkno| rel::pointer_of(pages::tid::Tid { blkno, offset: 0 }));
                let arguments: [DatumWithOid<'_>; 3] =
                    [bounds[0].into(), bounds[1].into(), per_block.into()];
                for row in client.select(&statement, None, &arguments)? {
                    let Some(value) = row.get::<AnyElement>(1)? else { continue };
                    // SAFETY: the index's operator class says that its key is a vector of E; it lives as long as the rows.
                    let vector = unsafe { E::read(value.datum()) };
                    let is_indexed =
                        self.metric != Metric::Cosine || !E::is_zero(vector.elements());
                    if vector.dims() == dims && is_indexed {
                        points.extend(E::widened(vector.elements(), dims));
                    }
                }
                crate::am::interrupts::check_for_interrupts();
            }
            Ok(())
        });
        drawn.unwrap_or_else(|e| unreadable(&e.to_string()));
        points.truncate(n * dims);
        points
    }
}

/// Some blocks at random, or all where there are few.
fn places(blocks: &std::ops::Range<u32>) -> Vec<u32> {
    let mut rng = Rng::new(1234);
    spread(blocks.len(), BLOCKS, &mut rng).map(|i| blocks.start + i as u32).collect()
}
