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
    /// Blocks of the tables themselves, without what they keep out of line; 0 if none are known.
    pub blocks: u64,
    /// Partitions that are foreign tables.
    pub foreign: u64,
    /// Those of them that nobody has analyzed here, so that their rows are not known.
    pub unknown: u64,
}

/// One table's share: blocks it has now, and blocks and rows when it was last analyzed (rows < 0: never).
struct Leaf {
    is_foreign: bool,
    blocks: f64,
    analyzed_blocks: f64,
    analyzed_rows: f64,
}

impl Leaf {
    /// Whether its rows are on other servers: a foreign table, or one that Citus has distributed, which was analyzed with rows
    /// and has no storage.
    fn is_elsewhere(&self) -> bool {
        self.is_foreign || self.blocks <= 0.0 && self.analyzed_rows > 0.0
    }

    /// None if nothing is known of it.
    fn rows(&self) -> Option<f64> {
        if self.is_elsewhere() {
            return Some(self.analyzed_rows.max(0.0));
        }
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
    let is_elsewhere = |leaf: &&Leaf| leaf.is_elsewhere();
    let here: f64 = leaves.iter().map(|leaf| leaf.blocks).sum();
    let there: f64 = leaves.iter().filter(is_elsewhere).map(|leaf| leaf.analyzed_blocks).sum();
    let known: Option<f64> = leaves.iter().map(Leaf::rows).sum();
    // A sample of foreign tables would fetch them whole.
    let n = match known {
        Some(n) => n,
        None if leaves.iter().any(|leaf| leaf.is_foreign) => {
            leaves.iter().filter_map(Leaf::rows).sum()
        }
        None => sampled(relation, column, here),
    };
    let count = |wanted: &dyn Fn(&Leaf) -> bool| leaves.iter().filter(|leaf| wanted(leaf)).count();
    Rows {
        n: n.round() as u64,
        partitions: count(&|leaf| leaf.blocks > 0.0 || leaf.is_elsewhere()).max(1) as u64,
        blocks: (here + there) as u64,
        foreign: count(&|leaf| leaf.is_foreign) as u64,
        unknown: count(&|leaf| leaf.is_foreign && leaf.analyzed_rows < 0.0) as u64,
    }
}

fn leaves(relid: pg_sys::Oid) -> Vec<Leaf> {
    // A table that is not partitioned is the only leaf of its tree; a materialized view has none.
    let sql = "SELECT coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::int8,
            c.relpages::int8, c.reltuples::float8, c.relkind = 'f'
        FROM pg_catalog.pg_class c
        WHERE c.relkind IN ('r', 'm', 'f')
          AND (c.oid = $1 OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) t WHERE t.isleaf))";
    let found = with_safe_search_path(|| {
        Spi::connect(|client| {
            let table = client.select(sql, None, &[relid.into()])?;
            table
                .map(|row| {
                    let blocks = row.get::<i64>(1)?.unwrap_or_default() as f64;
                    let analyzed_blocks = row.get::<i64>(2)?.unwrap_or_default() as f64;
                    let analyzed_rows = row.get::<f64>(3)?.unwrap_or(-1.0);
                    let is_foreign = row.get::<bool>(4)?.unwrap_or_default();
                    Ok(Leaf { is_foreign, blocks, analyzed_blocks, analyzed_rows })
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
