//! Values of filter columns as the numbers that entries keep, and comparisons with a value as sets of such numbers.

use pages::search::attributes::Attributes;
use pages::search::filter::Intervals;
use pgrx::{PgSqlErrorCode, direct_function_call_as_datum, pg_sys};

use super::columns::{Columns, FilterColumn};
use super::kind::{EQUAL, GREATER, GREATER_EQUAL, Kind, LESS, LESS_EQUAL};
use super::memory::Memory;
use crate::am::report::Report;

/// What makes the attributes of a row from the values of its columns.
pub struct Encoder {
    columns: Columns,
    /// Which are null, one bit each, then the values: as [`pages::lists::insert::Row`] has them.
    bytes: Vec<u8>,
    /// For what computing a number takes.
    memory: Memory,
}

impl Encoder {
    /// For the rows of an open index.
    pub fn new(index: pg_sys::Relation) -> Self {
        Self { columns: Columns::of(index), bytes: Vec::new(), memory: Memory::new() }
    }

    /// The widths of the attributes.
    pub fn attributes(&self) -> Attributes {
        self.columns.attributes()
    }

    /// The attributes of a row.
    ///
    /// # Safety
    /// `values` and `is_null` must be those of the index's columns, and alive.
    pub unsafe fn encode(&mut self, values: &[pg_sys::Datum], is_null: &[bool]) -> &[u8] {
        self.bytes.clear();
        let filters = &self.columns.filters;
        if filters.is_empty() {
            return &self.bytes;
        }
        self.bytes.push(0);
        let caller = self.memory.enter();
        for (i, column) in filters.iter().enumerate() {
            let value = values
                .get(column.number)
                .filter(|_| !is_null.get(column.number).copied().unwrap_or(true));
            // SAFETY: the caller's promise: a value of the column, not null.
            let number = value.map(|value| unsafe { number_of(column, *value) });
            if let (None, Some(nulls)) = (number, self.bytes.first_mut()) {
                *nulls |= 1 << i;
            }
            let width = usize::from(column.kind.width());
            let bytes = number.unwrap_or(0).to_le_bytes();
            self.bytes.extend_from_slice(bytes.get(..width).unwrap_or_default());
        }
        self.memory.leave(caller);
        &self.bytes
    }
}

/// The number that an entry keeps for a value of a column.
///
/// # Safety
/// `value` must be a non-null value of the column, and alive.
unsafe fn number_of(column: &FilterColumn, value: pg_sys::Datum) -> u128 {
    // SAFETY: the caller's promise.
    unsafe {
        match column.kind {
            Kind::Hash => hash(column.input, column.collation, value).into(),
            Kind::Array => Elements::of(value).signature(column.collation).into(),
            kind => Comparand::read(kind, value).number(kind),
        }
    }
}

/// The hash of a value by its type's function, which stays the same for good: hash partitions live by it.
///
/// # Safety
/// `value` must be a non-null value of type `of`.
pub unsafe fn hash(of: pg_sys::Oid, collation: pg_sys::Oid, value: pg_sys::Datum) -> u64 {
    let flags = pg_sys::TYPECACHE_HASH_EXTENDED_PROC_FINFO as i32;
    // SAFETY: the type exists; its entry and the function in it live as long as the backend.
    unsafe {
        let entry = pg_sys::lookup_type_cache(of, flags);
        let function = &raw mut (*entry).hash_extended_proc_finfo;
        if (*function).fn_oid == pg_sys::InvalidOid {
            not_hashable(of);
        }
        let seed = pg_sys::Datum::from(0i64);
        pg_sys::FunctionCall2Coll(function, collation, value, seed).value() as u64
    }
}

fn not_hashable(of: pg_sys::Oid) -> ! {
    // SAFETY: format_type_be answers any OID with a palloc'ed string.
    let name = unsafe { std::ffi::CStr::from_ptr(pg_sys::format_type_be(of)) };
    Report::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_FUNCTION,
        format!("type {} has no hash function", name.to_string_lossy()),
    )
    .hint("A filter column of this type needs one: leave the column out of the index.")
    .error()
}

/// The elements of an array.
pub struct Elements {
    pub kind: pg_sys::Oid,
    values: *mut pg_sys::Datum,
    is_null: *mut bool,
    n: i32,
}

impl Elements {
    /// Takes an array apart, in the current memory context.
    ///
    /// # Safety
    /// `array` must be a non-null array, and alive as long as the elements.
    pub unsafe fn of(array: pg_sys::Datum) -> Self {
        let (mut values, mut is_null, mut n) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let (mut length, mut by_value, mut align) = (0, false, 0);
        // SAFETY: the caller's promise; the out-parameters are ours.
        unsafe {
            let array = pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            let kind = (*array).elemtype;
            pg_sys::get_typlenbyvalalign(kind, &mut length, &mut by_value, &mut align);
            let (length, values_to, is_null_to) = (length.into(), &mut values, &mut is_null);
            pg_sys::deconstruct_array(
                array, kind, length, by_value, align, values_to, is_null_to, &mut n,
            );
            Self { kind, values, is_null, n }
        }
    }

    /// Each, None for NULL.
    pub fn iter(&self) -> impl Iterator<Item = Option<pg_sys::Datum>> {
        let n = if self.values.is_null() { 0 } else { usize::try_from(self.n).unwrap_or(0) };
        // SAFETY: both arrays have n elements.
        (0..n).map(|i| unsafe { (!*self.is_null.add(i)).then(|| *self.values.add(i)) })
    }

    /// A bit for each element but NULL.
    ///
    /// # Safety
    /// The array must be alive.
    pub unsafe fn signature(&self, collation: pg_sys::Oid) -> u64 {
        // SAFETY: the caller's promise: values of the element type.
        let bit = |value| 1 << (unsafe { hash(self.kind, collation, value) } % 64);
        self.iter().flatten().fold(0, |bits, value| bits | bit(value))
    }
}

/// A value to compare with, as far as its kind matters to a column of another: an integer of any width, a float of either.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparand {
    Integer(i64),
    Float(f64),
    /// Whatever has a number by itself.
    Number(u128),
}

impl Comparand {
    /// Reads a value of a kind that has an order. Of others, hashes among them, there is none.
    ///
    /// # Safety
    /// `value` must be a non-null value of the kind, and alive.
    pub unsafe fn read(kind: Kind, value: pg_sys::Datum) -> Self {
        let bits = value.value() as u64;
        match kind {
            Kind::Bool => Self::Number(u128::from(bits as u8 != 0)),
            Kind::Int2 => Self::Integer(i64::from(bits as i16)),
            Kind::Int4 => Self::Integer(i64::from(bits as i32)),
            Kind::Int8 => Self::Integer(bits as i64),
            Kind::Float4 => Self::Float(f64::from(f32::from_bits(bits as u32))),
            Kind::Float8 => Self::Float(f64::from_bits(bits)),
            Kind::Oid => Self::Number(u128::from(bits as u32)),
            // SAFETY: the caller's promise: a pointer to 16 bytes.
            Kind::Uuid => Self::Number(u128::from_be_bytes(unsafe { *value.cast_mut_ptr() })),
            Kind::Numeric => {
                // SAFETY: the caller's promise. It rounds to the nearest float, which keeps the order.
                let float = unsafe {
                    direct_function_call_as_datum(
                        pg_sys::numeric_float8_no_overflow,
                        &[Some(value)],
                    )
                };
                Self::Float(f64::from_bits(float.map_or(0, |float| float.value() as u64)))
            }
            Kind::Hash | Kind::Array => Self::Number(0),
        }
    }

    /// The number that an entry of a column of this kind keeps for it.
    fn number(self, kind: Kind) -> u128 {
        self.at_least(kind).unwrap_or(0)
    }

    /// The smallest number whose values are not less; None if there is none.
    fn at_least(self, kind: Kind) -> Option<u128> {
        match self {
            Self::Number(number) => Some(number),
            Self::Integer(integer) => {
                let number = i128::from(integer) - least(kind);
                let number = u128::try_from(number).unwrap_or(0);
                (number <= kind.most()).then_some(number)
            }
            Self::Float(float) if kind == Kind::Float4 => {
                let nearest = float as f32;
                let number = u128::from(order_of_f32(nearest));
                if f64::from(nearest) < float { number.checked_add(1) } else { Some(number) }
            }
            Self::Float(float) => Some(order_of_f64(float).into()),
        }
    }

    /// The largest number whose values are not greater; None if there is none.
    fn at_most(self, kind: Kind) -> Option<u128> {
        match self {
            Self::Number(number) => Some(number),
            Self::Integer(integer) => {
                let number = u128::try_from(i128::from(integer) - least(kind)).ok()?;
                Some(number.min(kind.most()))
            }
            Self::Float(float) if kind == Kind::Float4 => {
                let nearest = float as f32;
                let number = u128::from(order_of_f32(nearest));
                if f64::from(nearest) > float { number.checked_sub(1) } else { Some(number) }
            }
            Self::Float(float) => Some(order_of_f64(float).into()),
        }
    }

    /// The numbers of the values of a column of `kind` that compare so with this one. Where several values have a number, those of
    /// all that may be meant.
    pub fn compared(self, kind: Kind, strategy: u16) -> Intervals {
        let most = kind.most();
        let (at_least, at_most) = (self.at_least(kind), self.at_most(kind));
        let up_to =
            |high: Option<u128>| high.map_or(Intervals::NONE, |high| Intervals::from_to(0, high));
        let from =
            |low: Option<u128>| low.map_or(Intervals::NONE, |low| Intervals::from_to(low, most));
        let strategy = match strategy {
            LESS if kind.is_lossy() => LESS_EQUAL,
            GREATER if kind.is_lossy() => GREATER_EQUAL,
            strategy => strategy,
        };
        match strategy {
            LESS => up_to(at_least.map_or(Some(most), |low| low.checked_sub(1))),
            LESS_EQUAL => up_to(at_most),
            EQUAL if at_least == at_most => {
                at_least.map_or(Intervals::NONE, |number| Intervals::from_to(number, number))
            }
            GREATER_EQUAL => from(at_least),
            GREATER => from(at_most.map_or(Some(0), |high| high.checked_add(1))),
            _ => Intervals::NONE,
        }
    }
}

/// The least integer of a kind.
fn least(kind: Kind) -> i128 {
    match kind {
        Kind::Int2 => i16::MIN.into(),
        Kind::Int4 => i32::MIN.into(),
        _ => i64::MIN.into(),
    }
}

/// Orders as the server orders floats: zeros are equal, and so are NaNs, which are the largest.
fn order_of_f64(float: f64) -> u64 {
    if float.is_nan() {
        return u64::MAX;
    }
    // Adding zero takes the sign from a zero.
    let bits = (float + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn order_of_f32(float: f32) -> u32 {
    if float.is_nan() {
        return u32::MAX;
    }
    let bits = (float + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}
