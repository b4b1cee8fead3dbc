//! How many rows a column will bring into an index, without counting them all.

use pgrx::{Spi, pg_sys};

use crate::am::rights::with_safe_search_path;

/// Blocks that are read of tables that were never analyzed.
const SAMPLE_BLOCKS: f64 = 2000.0;

/// The rows of a table or of all its partitions.
pub struct Rows {
    pub n: u64,
    /// Partitions with rows of their own; 1 of a plain table.
    pub partitions: u64,
    /// Blocks of the tables themselves, without what they keep out of line.
    pub blocks: u64,
}

/// One table's share: blocks it has now, and blocks and rows when it was last analyzed (rows < 0: never).
struct Leaf {
    blocks: f64,
    analyzed_blocks: f64,
    analyzed_rows: f64,
}

impl Leaf {
    /// None if nothing is known of it.
    fn rows(&self) -> Option<f64> {
        if self.blocks <= 0.0 {
            return Some(0.0);
        }
        let known = self.analyzed_rows > 0.0 && self.analyzed_blocks > 0.0;
        known.then(|| self.analyzed_rows / self.analyzed_blocks * self.blocks)
    }
}

/// Estimates by the last ANALYZE and the present length; where that is not known, by a sample of blocks.
/// `relation` and `column` are quoted.
pub fn rows_of(relid: pg_sys::Oid, relation: &str, column: &str) -> Rows {
    let leaves = leaves(relid);
    let blocks: f64 = leaves.iter().map(|leaf| leaf.blocks).sum();
    let known: Option<f64> = leaves.iter().map(Leaf::rows).sum();
    let n = known.unwrap_or_else(|| sampled(relation, column, blocks));
    let partitions = leaves.iter().filter(|leaf| leaf.blocks > 0.0).count().max(1) as u64;
    Rows { n: n.round() as u64, partitions, blocks: blocks as u64 }
}

fn leaves(relid: pg_sys::Oid) -> Vec<Leaf> {
    // A table that is not partitioned is the only leaf of its tree; a materialized view has none.
    let sql = "SELECT pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8,
            c.relpages::int8, c.reltuples::float8
        FROM pg_catalog.pg_class c
        WHERE c.relkind IN ('r', 'm')
          AND (c.oid = $1 OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) t WHERE t.isleaf))";
    let found = with_safe_search_path(|| {
        Spi::connect(|client| {
            let table = client.select(sql, None, &[relid.into()])?;
            table
                .map(|row| {
                    let blocks = row.get::<i64>(1)?.unwrap_or_default() as f64;
                    let analyzed_blocks = row.get::<i64>(2)?.unwrap_or_default() as f64;
                    let analyzed_rows = row.get::<f64>(3)?.unwrap_or(-1.0);
                    Ok(Leaf { blocks, analyzed_blocks, analyzed_rows })
                })
                .collect::<pgrx::spi::SpiResult<Vec<_>>>()
        })
    });
    found.unwrap_or_else(|e| super::column::unreadable(&e.to_string()))
}

/// The rows with a value, by some blocks out of all.
fn sampled(relation: &str, column: &str, blocks: f64) -> f64 {
    let percent = (100.0 * SAMPLE_BLOCKS / blocks.max(1.0)).min(100.0);
    let sql = format!(
        "SELECT pg_catalog.count({column}) FROM {relation} TABLESAMPLE pg_catalog.system ({percent}) REPEATABLE (1234)"
    );
    let n = Spi::get_one::<i64>(&sql);
    let n = n.unwrap_or_else(|e| super::column::unreadable(&e.to_string()));
    n.unwrap_or_default() as f64 * 100.0 / percent
}
