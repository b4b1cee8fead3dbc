//! The columns of an index: the vector, and the filters.

use pages::search::attributes::ATTRIBUTES_MAX;
use pages::search::attributes::Attributes;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::kind::Kind;
use crate::am::opclass::{Described, described, n_columns};
use crate::am::report::Report;

/// A filter column.
#[derive(Debug, Clone, Copy)]
pub struct FilterColumn {
    /// Its number among the index's columns, from 0.
    pub number: usize,
    pub kind: Kind,
    /// The type that its operator class is for, its family, and the collation.
    pub input: pg_sys::Oid,
    pub family: pg_sys::Oid,
    pub collation: pg_sys::Oid,
}

/// The filter columns of an index, in their order.
#[derive(Debug)]
pub struct Columns {
    pub filters: Vec<FilterColumn>,
}

impl Columns {
    /// Those of an open index.
    pub fn of(index: pg_sys::Relation) -> Self {
        let filter = |number| match described(index, number) {
            // SAFETY: an open index has these of every column.
            Described::Attribute(kind) => Some(unsafe {
                FilterColumn {
                    number,
                    kind,
                    input: *(*index).rd_opcintype.add(number),
                    family: *(*index).rd_opfamily.add(number),
                    collation: *(*index).rd_indcollation.add(number),
                }
            }),
            Described::Vector(_) => None,
        };
        Self { filters: (0..n_columns(index)).filter_map(filter).collect() }
    }

    /// The widths of the attributes that entries have; none if there are too many columns, which a build refuses.
    pub fn attributes(&self) -> Attributes {
        let widths: Vec<u8> = self.filters.iter().map(|column| column.kind.width()).collect();
        Attributes::new(&widths).unwrap_or_default()
    }
}

/// Raises 0A000, 42P17 or 54011 for columns that an index cannot have.
pub fn require_columns(index: pg_sys::Relation) {
    let columns = Columns::of(index);
    match n_columns(index) - columns.filters.len() {
        1 => {}
        0 => without_vector(),
        n => too_many_vectors(n),
    }
    if columns.filters.len() > ATTRIBUTES_MAX {
        too_many_filters(columns.filters.len());
    }
    // SAFETY: looks up a collation of the catalog.
    let is_deterministic = |collation| unsafe {
        collation == pg_sys::InvalidOid || pg_sys::get_collation_isdeterministic(collation)
    };
    if columns.filters.iter().any(|column| !is_deterministic(column.collation)) {
        not_deterministic();
    }
}

fn without_vector() -> ! {
    Report::new(PgSqlErrorCode::ERRCODE_INVALID_OBJECT_DEFINITION, "index has no vector column")
        .hint("Name the vector column, too; for filters alone use a btree index.")
        .error()
}

fn too_many_vectors(n: usize) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        "index cannot have more than one vector column",
    )
    .detail(format!("It has {n}."))
    .hint("Create an index for each of them.")
    .error()
}

fn too_many_filters(n: usize) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_TOO_MANY_COLUMNS,
        format!("index cannot have more than {ATTRIBUTES_MAX} filter columns"),
    )
    .detail(format!("It has {n} beside the vector column."))
    .hint("Leave out those that queries filter by least often: they are compared with the table's rows.")
    .error()
}

fn not_deterministic() -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        "nondeterministic collations are not supported for filter columns",
    )
    .hint("Leave the column out of the index, or give it a deterministic collation.")
    .error()
}
