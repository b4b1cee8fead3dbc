//! The rows of each kind of hostile table, made from a seed.

use gauge::vectors::Vectors;

use super::shapes::{self, Source};
use crate::random::Random;

/// Rows drawn for a kind that does not need more or fewer.
const ROWS: usize = 2_400;
/// Rows of a kind whose vectors are long: enough for a graph.
const LONG_ROWS: usize = 1_200;
/// Of the rows that a table begins with, three in ten are deleted later, and as many are inserted.
const DELETED: [usize; 3] = [0, 3, 6];
/// The largest value of 16 bits.
const HALF_MAX: f32 = 65_504.0;
/// Every so many queries one lies halfway between two rows.
const BETWEEN: usize = 5;

/// A kind of table.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    /// `vector` or `halfvec`.
    pub element: &'static str,
    pub dims: usize,
    rows: usize,
    row: fn(&mut Source, usize) -> Vec<f32>,
}

const fn kind(name: &'static str, dims: usize, row: fn(&mut Source, usize) -> Vec<f32>) -> Kind {
    Kind { name, element: "vector", dims, rows: ROWS, row }
}

const fn long(name: &'static str, dims: usize) -> Kind {
    Kind { name, element: "vector", dims, rows: LONG_ROWS, row: shapes::topics }
}

/// Every kind. The first is an ordinary table, for comparison.
pub const KINDS: [Kind; 39] = [
    kind("ordinary", 32, shapes::topics),
    kind("magnitudes 1e-30 to 1e38", 32, shapes::any_magnitude),
    kind("magnitudes 1e-3 to 1e3", 32, shapes::some_magnitude),
    kind("all values near 1e-15", 32, shapes::tiny_values),
    kind("all values near 1e16", 32, shapes::large_values),
    kind("all values near 1e37", 32, shapes::huge_values),
    kind("denormals among ordinary rows", 32, shapes::denormal_rows),
    kind("heavy tails", 32, shapes::counts),
    kind("sparse counts", 48, shapes::sparse_counts),
    kind("constant columns", 32, shapes::constant_columns),
    kind("duplicate columns", 32, shapes::duplicate_columns),
    kind("one row x 1e3", 32, shapes::one_row_1e3),
    kind("one row x 1e5", 32, shapes::one_row_1e5),
    kind("one row x 1e20", 32, shapes::one_row_1e20),
    kind("two rows of 2e38", 32, shapes::two_rows_2e38),
    kind("two rows x 100", 32, shapes::two_far_rows),
    kind("a few rows x 100", 32, shapes::few_far_rows),
    kind("last rows x 100", 32, shapes::last_rows_far),
    kind("one dimension x 30", 32, shapes::dimension_30),
    kind("one dimension x 1000", 32, shapes::dimension_1000),
    kind("dimensions of all scales", 32, shapes::every_scale),
    kind("sorted by topic", 48, shapes::by_topic),
    kind("placeholders first", 32, shapes::placeholders),
    kind("scale grows with time", 32, shapes::growing),
    kind("all equal but one", 32, shapes::equal_but_one),
    kind("one-hot", 64, shapes::one_hot),
    kind("signs only", 32, shapes::signs),
    kind("norms lognormal .1", 32, shapes::norms_tenth),
    kind("norms lognormal .25", 32, shapes::norms_quarter),
    kind("norms lognormal .5", 32, shapes::norms_half),
    kind("products of uniforms", 10, shapes::products),
    kind("1 dimension", 1, shapes::uniform),
    kind("2 dimensions", 2, shapes::uniform),
    kind("3 dimensions", 3, shapes::products),
    long("2000 dimensions", 2_000),
    long("4500 dimensions", 4_500),
    Kind { element: "halfvec", ..kind("halfvec at its limits", 32, shapes::half_limits) },
    kind("duplicates in thousands", 32, shapes::duplicates),
    kind("clusters far apart, offset 1000", 32, shapes::far_clusters),
];

/// The rows of a table, in the order in which they come, and what is asked of it.
pub struct Table {
    pub kind: Kind,
    /// Those that the table begins with, then those that come after deletions.
    pub rows: Vectors,
    /// How many it begins with.
    pub first: usize,
    pub queries: Vectors,
}

impl Kind {
    /// `dims`, unless the kind is about its own number of dimensions.
    pub fn with_dims(&self, dims: usize) -> usize {
        if (32..=1000).contains(&self.dims) { dims } else { self.dims }
    }

    /// A table of this kind. `rows` replaces the usual number.
    pub fn table(&self, seed: u64, rows: Option<usize>, queries: usize) -> Table {
        let first =
            rows.unwrap_or(self.rows).min(if self.dims > 1_000 { self.rows } else { 1_000_000 });
        let later = (0..first).filter(|&id| is_deleted(id)).count();
        let mut source = Source::new(Random::new(seed), self.dims, first);
        let all: Vec<Vec<f32>> = (0..first + later).map(|i| (self.row)(&mut source, i)).collect();
        let mut asked: Vec<f32> =
            (0..queries).flat_map(|i| query(&mut source.random, &all, i)).collect();
        if self.element == "halfvec" {
            asked.iter_mut().for_each(|x| *x = x.clamp(-HALF_MAX, HALF_MAX));
        }
        Table {
            kind: *self,
            rows: vectors(self.dims, all.concat()),
            first,
            queries: vectors(self.dims, asked),
        }
    }
}

fn vectors(dims: usize, data: Vec<f32>) -> Vectors {
    Vectors::new(dims, data).unwrap_or_else(|e| panic!("{e:#}"))
}

/// Whether row `id` of those that a table begins with is deleted later.
pub fn is_deleted(id: usize) -> bool {
    DELETED.contains(&(id % 10))
}

/// A row, its components changed by about a hundredth; now and then the middle of two rows.
fn query(random: &mut Random, rows: &[Vec<f32>], i: usize) -> Vec<f32> {
    let mut like = || {
        // A question of zeros only would ask nothing.
        let picks: Vec<&Vec<f32>> = (0..20).map(|_| random.pick(rows)).collect();
        let told = picks.iter().find(|row| row.iter().any(|&x| x != 0.0));
        (*told.unwrap_or(&picks[0])).clone()
    };
    let (mut row, other) = (like(), like());
    if i % BETWEEN == BETWEEN - 1 {
        row.iter_mut().zip(other).for_each(|(x, y)| *x = *x / 2.0 + y / 2.0);
    }
    row.iter().map(|&x| shapes::finite(f64::from(x) * (1.0 + 0.01 * random.gaussian()))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_repeats_every_table_and_names_are_unique() {
        let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        for kind in KINDS.iter().filter(|kind| kind.dims < 1_000) {
            let (a, b) = (kind.table(7, Some(1_100), 20), kind.table(7, Some(1_100), 20));
            assert!(a.rows == b.rows && a.queries == b.queries, "{}", kind.name);
            assert_eq!((a.first, a.rows.len(), a.queries.len()), (1_100, 1_430, 20));
        }
    }
}
