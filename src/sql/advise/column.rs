//! The column that is to be indexed: whether it can be, and what the choice depends on.

use std::ffi::{CStr, CString};

use ann::Metric;
use pgrx::{AnyElement, PgSqlErrorCode, Spi, pg_sys};

use super::rows::rows_of;
use crate::am::datum::bits::BitString;
use crate::am::datum::sparse::SparseVarlena;
use crate::am::datum::{MAX_DIMS, Varlena};
use crate::am::method::Method;
use crate::am::opclass::{ElementType, OpclassInfo, said_by};
use crate::am::report::Report;
use crate::am::rights::with_safe_search_path;
use crate::sql::elsewhere::is_distributed;
use crate::sql::open_index::relation_name;

/// The length from which on the server moves values out of line (TOAST_TUPLE_THRESHOLD, on 8 kB pages).
const OUT_OF_LINE_BYTES: usize = 2032;

/// A column of vectors.
pub struct Column {
    /// Schema and name, quoted.
    pub relation: String,
    /// What stands between the parentheses of CREATE INDEX: the quoted name, or a cast where dimensions are not declared.
    pub key: String,
    /// The cast, if the key is one: queries must use it, too.
    pub is_cast: bool,
    pub type_oid: pg_sys::Oid,
    pub dims: usize,
    pub rows: u64,
    pub partitions: u64,
    /// Partitions that are foreign tables, and those of them whose rows are not known.
    pub foreign: u64,
    pub unknown: u64,
    /// Whether Citus keeps the rows in shards of its own.
    pub is_distributed: bool,
    /// Whether vectors lie in the TOAST table.
    pub out_of_line: bool,
    attribute: Attribute,
}

/// What the catalog says of it.
struct Attribute {
    relid: pg_sys::Oid,
    number: pg_sys::AttrNumber,
    /// Quoted.
    name: String,
    storage: u8,
    /// As `format_type` names it, without a number of dimensions.
    type_name: String,
    typmod: i32,
    /// Whether the column's type, or the type below a domain, says the dimensions.
    is_declared: bool,
}

impl Column {
    /// Looks at the column; `rows`: the number to plan for, in place of the table's own.
    ///
    /// Errors: 42P01 and 42809 for what is no table, 42703 without such a column, 42501 without SELECT on it, 42804 if no
    /// operator class is for its type or if it is bit, 22023 if nothing says how many dimensions it has.
    pub fn new(relid: pg_sys::Oid, name: &CStr, rows: Option<u64>) -> Self {
        let relation = require_table(relid);
        let (attribute, type_oid) = Attribute::new(relid, name);
        let Some(element) = element_of(type_oid) else { unfit_type(&attribute, type_oid) };
        if let Some(type_name) = unknown_type(element) {
            type_unknown(&attribute, type_name);
        }
        let found = rows_of(relid, &relation, &attribute.name);
        let dims = attribute.dims().or_else(|| dims_of_a_row(&relation, &attribute.name, element));
        let Some(dims) = dims else { no_dims(&attribute) };
        let vector_bytes = dims * element_bytes(element);
        let row_bytes = found.blocks * u64::from(pg_sys::BLCKSZ) / found.n.max(1);
        let out_of_line = match found.n.min(found.blocks) {
            0 => attribute.storage != b'p' && vector_bytes > OUT_OF_LINE_BYTES,
            // Too little room in the table for its vectors: they are elsewhere.
            _ => row_bytes < vector_bytes as u64,
        };
        let (key, is_cast) = match attribute.is_declared {
            true => (attribute.name.clone(), false),
            false => (format!("({}::{}({dims}))", attribute.name, attribute.type_name), true),
        };
        let (rows, partitions) = (rows.unwrap_or(found.n), found.partitions);
        let (foreign, unknown) = (found.foreign, found.unknown);
        let is_distributed = is_distributed(relid);
        Self {
            relation,
            key,
            is_cast,
            type_oid,
            dims,
            rows,
            partitions,
            foreign,
            unknown,
            is_distributed,
            out_of_line,
            attribute,
        }
    }

    /// The metric of an index of ours that the column already has, else Euclidean distance.
    pub fn metric(&self) -> Metric {
        let sql = "SELECT i.indclass[k] FROM pg_catalog.pg_index i
            CROSS JOIN pg_catalog.generate_series(0, i.indnkeyatts - 1) k
            JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
            JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = ANY ($3)
            WHERE i.indrelid = $1 AND i.indkey[k] = $2 ORDER BY i.indexrelid LIMIT 1";
        let methods: Vec<&str> = crate::am::method::FAISS_METHODS.iter().map(|m| m.name).collect();
        let arguments = [self.attribute.relid.into(), self.attribute.number.into(), methods.into()];
        let class =
            with_safe_search_path(|| Spi::get_one_with_args::<pg_sys::Oid>(sql, &arguments));
        let class = class.ok().flatten();
        class.and_then(said_by).map_or(Metric::L2, |info| info.metric)
    }

    /// The operator class of `method` for the column under this metric, quoted and named so that it is found; with what it
    /// says of the elements.
    pub fn opclass(&self, method: &Method, metric: Metric) -> Option<(String, OpclassInfo)> {
        opclasses(self.type_oid).into_iter().find_map(|(class, of)| {
            let info = said_by(class).filter(|info| info.metric == metric)?;
            (of == method.name).then(|| (opclass_name(class), info))
        })
    }
}

impl Attribute {
    fn new(relid: pg_sys::Oid, name: &CStr) -> (Self, pg_sys::Oid) {
        // SAFETY: catalog look-ups by number and by a NUL-terminated name.
        let number = unsafe { pg_sys::get_attnum(relid, name.as_ptr()) };
        if number <= 0 {
            let relation = relation_name(relid).unwrap_or_default();
            Report::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                format!(
                    "column \"{}\" of relation \"{relation}\" does not exist",
                    name.to_string_lossy()
                ),
            )
            .error();
        }
        require_select(relid, number);
        let (mut type_oid, mut typmod, mut collation) =
            (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
        // SAFETY: the attribute exists; three out-parameters. The strings are NUL-terminated copies.
        unsafe {
            pg_sys::get_atttypetypmodcoll(
                relid,
                number,
                &mut type_oid,
                &mut typmod,
                &mut collation,
            );
            let base = pg_sys::getBaseTypeAndTypmod(type_oid, &mut typmod);
            let is_declared = typmod > 0;
            let type_name = text(pg_sys::format_type_be(base));
            let name = quoted(name);
            let storage = storage_of(relid, number);
            (Self { relid, number, name, storage, type_name, typmod, is_declared }, base)
        }
    }

    /// The declared number of dimensions.
    fn dims(&self) -> Option<usize> {
        usize::try_from(self.typmod).ok().filter(|dims| (1..=MAX_DIMS).contains(dims))
    }
}

fn storage_of(relid: pg_sys::Oid, number: pg_sys::AttrNumber) -> u8 {
    let sql =
        "SELECT attstorage::text FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum = $2";
    let storage = with_safe_search_path(|| {
        Spi::get_one_with_args::<String>(sql, &[relid.into(), number.into()])
    });
    storage.ok().flatten().and_then(|s| s.bytes().next()).unwrap_or(b'p')
}

/// Schema and name of what an index can be built on.
fn require_table(relid: pg_sys::Oid) -> String {
    let Some(name) = relation_name(relid) else {
        Report::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            format!("relation with OID {} does not exist", relid.to_u32()),
        )
        .error();
    };
    // SAFETY: a catalog look-up.
    let kind = unsafe { pg_sys::get_rel_relkind(relid) } as u8;
    let kinds = [
        pg_sys::RELKIND_RELATION,
        pg_sys::RELKIND_MATVIEW,
        pg_sys::RELKIND_PARTITIONED_TABLE,
        pg_sys::RELKIND_FOREIGN_TABLE,
    ];
    if !kinds.contains(&kind) {
        Report::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("\"{name}\" is not a table or materialized view"),
        )
        .hint("Name the table whose column is to be indexed.")
        .error();
    }
    // SAFETY: both names are NUL-terminated copies; the relation exists.
    unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relid));
        text(pg_sys::quote_qualified_identifier(schema, pg_sys::get_rel_name(relid)))
    }
}

/// SELECT on the table or on the column, else 42501.
fn require_select(relid: pg_sys::Oid, number: pg_sys::AttrNumber) {
    let mode = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
    // SAFETY: look up catalogs only.
    let allowed = unsafe {
        let role = pg_sys::GetUserId();
        pg_sys::pg_class_aclcheck(relid, role, mode) == pg_sys::AclResult::ACLCHECK_OK
            || pg_sys::pg_attribute_aclcheck(relid, number, role, mode)
                == pg_sys::AclResult::ACLCHECK_OK
    };
    if !allowed {
        crate::sql::open_index::require_privilege(relid);
    }
}

/// Operator classes of our methods for a type, each with its method's name.
fn opclasses(type_oid: pg_sys::Oid) -> Vec<(pg_sys::Oid, String)> {
    let sql = "SELECT o.oid, m.amname::text FROM pg_catalog.pg_opclass o
        JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod WHERE o.opcintype = $1 ORDER BY o.oid";
    let found = with_safe_search_path(|| {
        Spi::connect(|client| {
            let table = client.select(sql, None, &[type_oid.into()])?;
            table
                .map(|row| Ok(row.get::<pg_sys::Oid>(1)?.zip(row.get::<String>(2)?)))
                .filter_map(Result::transpose)
                .collect::<pgrx::spi::SpiResult<Vec<_>>>()
        })
    });
    found
        .unwrap_or_else(|e| unreadable(&e.to_string()))
        .into_iter()
        .filter(|(_, method)| crate::am::method::FAISS_METHODS.iter().any(|m| m.name == method))
        .collect()
}

fn element_of(type_oid: pg_sys::Oid) -> Option<ElementType> {
    opclasses(type_oid).into_iter().find_map(|(class, _)| said_by(class)).map(|i| i.element)
}

fn opclass_name(class: pg_sys::Oid) -> String {
    // Visible to the caller, so in the caller's search_path.
    let sql = "SELECT pg_catalog.quote_ident(o.opcname), pg_catalog.quote_ident(n.nspname),
            pg_catalog.pg_opclass_is_visible(o.oid)
        FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.opcnamespace
        WHERE o.oid OPERATOR(pg_catalog.=) $1";
    let found = Spi::get_three_with_args::<String, String, bool>(sql, &[class.into()]);
    match found.unwrap_or_else(|e| unreadable(&e.to_string())) {
        (Some(name), _, Some(true)) => name,
        (Some(name), Some(schema), _) => format!("{schema}.{name}"),
        _ => String::new(),
    }
}

/// Bytes of an element.
pub fn element_bytes(element: ElementType) -> usize {
    match element {
        ElementType::F32 => 4,
        ElementType::F16 => 2,
        ElementType::Bit => 1,
        ElementType::Sparse => 8,
    }
}

/// The dimensions of the first row that has a value.
fn dims_of_a_row(relation: &str, column: &str, element: ElementType) -> Option<usize> {
    let sql = format!("SELECT {column} FROM {relation} WHERE {column} IS NOT NULL LIMIT 1");
    let found = Spi::connect(|client| {
        let mut rows = client.select(&sql, Some(1), &[])?;
        let Some(row) = rows.next() else { return Ok(None) };
        let value = row.get::<AnyElement>(1)?;
        // SAFETY: an operator class of ours is for the column's type and says what its elements are. The value lives
        // as long as the rows.
        Ok(value.map(|value| unsafe {
            match element {
                ElementType::F32 => Varlena::<f32>::from_datum(value.datum()).dims(),
                ElementType::F16 => Varlena::<half::f16>::from_datum(value.datum()).dims(),
                ElementType::Bit => BitString::from_datum(value.datum()).length(),
                ElementType::Sparse => SparseVarlena::from_datum(value.datum()).dims(),
            }
        }))
    });
    found.unwrap_or_else(|e: pgrx::spi::SpiError| unreadable(&e.to_string()))
}

fn unfit_type(attribute: &Attribute, type_oid: pg_sys::Oid) -> ! {
    // SAFETY: a NUL-terminated copy.
    let type_name = unsafe { text(pg_sys::format_type_be(type_oid)) };
    Report::new(
        PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
        format!(
            "column {} has type {type_name}, which has no FAISS operator class",
            attribute.name
        ),
    )
    .hint("FAISS indexes are for columns of type vector or halfvec.")
    .error()
}

/// The name of a type without codes to choose among.
fn unknown_type(element: ElementType) -> Option<&'static str> {
    match element {
        ElementType::F32 | ElementType::F16 => None,
        ElementType::Bit => Some("bit"),
        ElementType::Sparse => Some("sparsevec"),
    }
}

fn type_unknown(attribute: &Attribute, type_name: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
        format!("column {} has type {type_name}, which recommendations are not for", attribute.name),
    )
    .hint(format!(
        "There are operator classes for {type_name}; for a large table choose access method faisshnsw."
    ))
    .error()
}

fn no_dims(attribute: &Attribute) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("column {} does not have dimensions", attribute.name),
    )
    .detail("Its type declares none, and there is no row to see them from.")
    .hint(format!(
        "Declare the column with a number of dimensions, as in {}(384).",
        attribute.type_name
    ))
    .error()
}

/// A query of ours that the server would not answer.
pub fn unreadable(what: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        format!("could not read the rows to judge by: {what}"),
    )
    .error()
}

/// # Safety
/// A NUL-terminated string of the server, or null.
unsafe fn text(string: *const std::ffi::c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

fn quoted(name: &CStr) -> String {
    // SAFETY: answers with its argument or a quoted copy.
    unsafe { text(pg_sys::quote_identifier(name.as_ptr())) }
}

/// A name as the server takes it; None if it holds a NUL.
pub fn c_name(name: &str) -> Option<CString> {
    CString::new(name).ok()
}
