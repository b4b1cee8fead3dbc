//! The conditions of a scan, as the executor gives them, made a filter of the lists.

use pages::search::attributes::Attributes;
use pages::search::filter::{Condition, Filter, Intervals};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::columns::{Columns, FilterColumn};
use super::encode::{Comparand, Elements, hash};
use super::kind::{CONTAINS, EQUAL, Kind, OVERLAPS};
use super::memory::Memory;
use crate::am::opclass::kind_of;
use crate::am::rel;
use crate::am::report::Report;

/// What a scan wants of the rows' filter columns.
#[derive(Default)]
pub struct Conditions {
    /// None: anything.
    pub filter: Option<Filter>,
    /// Whether no row can satisfy them.
    pub is_never: bool,
    /// Whether the table's row has the last word.
    pub has_recheck: bool,
}

impl Conditions {
    /// Those of the keys of a scan.
    ///
    /// # Safety
    /// `keys` are those of a scan of the open index, whose entries have `attributes`.
    pub unsafe fn of(
        index: pg_sys::Relation,
        attributes: &Attributes,
        keys: &[pg_sys::ScanKeyData],
    ) -> Self {
        let mut conditions = Self::default();
        if keys.is_empty() {
            return conditions;
        }
        let columns = Columns::of(index);
        if columns.attributes() != *attributes {
            changed(index);
        }
        let mut all = Vec::new();
        // For arrays taken apart, and the like: a scan may be started over many times.
        let memory = Memory::new();
        let caller = memory.enter();
        for key in keys {
            let number = usize::try_from(key.sk_attno - 1).unwrap_or(0);
            let column = columns.filters.iter().position(|column| column.number == number);
            let Some(attribute) = column else {
                // The vector itself: no entry is without one.
                conditions.is_never |= key.sk_flags & pg_sys::SK_SEARCHNULL as i32 != 0;
                continue;
            };
            let Some(column) = columns.filters.get(attribute) else { continue };
            // SAFETY: the caller's promise.
            match unsafe { condition(column, key) } {
                Meant::Never => conditions.is_never = true,
                Meant::Exactly(condition) => all.push((attribute, condition)),
                Meant::AtLeast(condition) => {
                    conditions.has_recheck = true;
                    all.push((attribute, condition));
                }
            }
        }
        memory.leave(caller);
        conditions.filter = Filter::new(attributes, all);
        conditions.is_never |= conditions.filter.as_ref().is_none_or(Filter::is_never);
        conditions
    }
}

/// What a key says of its column.
enum Meant {
    /// No row satisfies it.
    Never,
    /// Those rows that pass.
    Exactly(Condition),
    /// Some of those that pass.
    AtLeast(Condition),
}

/// # Safety
/// `key` must be a key of a scan on this column.
unsafe fn condition(column: &FilterColumn, key: &pg_sys::ScanKeyData) -> Meant {
    let has = |flag: u32| key.sk_flags & flag as i32 != 0;
    if has(pg_sys::SK_SEARCHNULL) {
        return Meant::Exactly(Condition::Null);
    }
    if has(pg_sys::SK_SEARCHNOTNULL) {
        return Meant::Exactly(Condition::NotNull);
    }
    // Every operator of ours is strict.
    if has(pg_sys::SK_ISNULL) {
        return Meant::Never;
    }
    // SAFETY: the caller's promise: the operator's right argument, or an array of such.
    unsafe {
        if has(pg_sys::SK_SEARCHARRAY) {
            let elements = Elements::of(key.sk_argument);
            return any_of(column, key, elements.iter().flatten());
        }
        match column.kind {
            Kind::Array => of_array(column, key),
            _ => any_of(column, key, std::iter::once(key.sk_argument)),
        }
    }
}

/// A comparison that is to be true of one of some values at least.
///
/// # Safety
/// As [`condition`]; `values` are right arguments of the key's operator.
unsafe fn any_of(
    column: &FilterColumn,
    key: &pg_sys::ScanKeyData,
    values: impl Iterator<Item = pg_sys::Datum>,
) -> Meant {
    // An array of arrays is none; what else the server may think of is left to it.
    let Some(kind) = kind_of_argument(column, key).filter(|_| column.kind != Kind::Array) else {
        return Meant::AtLeast(Condition::NotNull);
    };
    let numbers = |value| {
        // SAFETY: the caller's promise.
        unsafe {
            if kind == Kind::Hash {
                let number = hash(column.input, column.collation, value).into();
                return Intervals::from_to(number, number);
            }
            Comparand::read(kind, value).compared(column.kind, key.sk_strategy)
        }
    };
    let is_hash = column.kind == Kind::Hash;
    if is_hash != (kind == Kind::Hash) || is_hash && key.sk_strategy != EQUAL {
        return Meant::AtLeast(Condition::NotNull);
    }
    let condition = Condition::Within(Intervals::union(values.map(numbers)));
    if column.kind.is_lossy() { Meant::AtLeast(condition) } else { Meant::Exactly(condition) }
}

/// The kind of what a column is compared with: its own, or that of another type of its family.
fn kind_of_argument(column: &FilterColumn, key: &pg_sys::ScanKeyData) -> Option<Kind> {
    match key.sk_subtype {
        pg_sys::InvalidOid => Some(column.kind),
        same if same == column.input => Some(column.kind),
        other => kind_of(column.family, other),
    }
}

/// `&&` or `@>` with an array.
///
/// # Safety
/// As [`condition`].
unsafe fn of_array(column: &FilterColumn, key: &pg_sys::ScanKeyData) -> Meant {
    // SAFETY: the caller's promise: the right argument is an array of the same type.
    let (elements, bits) = unsafe {
        let elements = Elements::of(key.sk_argument);
        let bits = elements.signature(column.collation);
        (elements, bits)
    };
    match key.sk_strategy {
        // Nothing has an element in common with no elements.
        OVERLAPS if bits == 0 => Meant::Never,
        OVERLAPS => Meant::AtLeast(Condition::AnyOf(bits)),
        // No element is NULL, as the operator has it.
        CONTAINS if elements.iter().any(|element| element.is_none()) => Meant::Never,
        CONTAINS => Meant::AtLeast(Condition::AllOf(bits)),
        _ => Meant::AtLeast(Condition::NotNull),
    }
}

/// Raises 55000 where the operator classes are others than at the build.
fn changed(index: pg_sys::Relation) -> ! {
    let name = rel::name(index);
    Report::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("index \"{name}\" has other filter columns than its operator classes say"),
    )
    .hint(format!("REINDEX INDEX {name}."))
    .error()
}
