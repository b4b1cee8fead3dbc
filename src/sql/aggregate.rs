//! `avg`: the state is `double precision[]`, a count followed by one sum per dimension; `{0}` at
//! the start. (`sum` folds with `+` and needs nothing here.)

use grammar::{Number, ValueError};
use pgrx::pg_sys::{self, Datum};

use super::array::{FlatArray, zeroed};
use super::element::SqlElement;
use super::error::SqlError;
use super::fmgr::{Arguments, export, export_for_both_types};
use crate::am::datum::VarlenaBuf;

export_for_both_types! {
    "accum" => accumulate;
    "avg" => average;
}

export! {
    "combine" => combine;
}

/// A state, whose elements are the count and the sums.
struct State<'a> {
    array: FlatArray<'a>,
    /// May the elements be changed in place? Yes in a running aggregate and for a private copy.
    mutable: bool,
}

impl State<'_> {
    /// Reads argument `n` of `function` for the type of `E`. Errors: XX000, as of other aggregates, when it is not a state.
    fn from_argument<E: SqlElement>(
        args: &Arguments,
        n: usize,
        function: &'static str,
    ) -> Result<Self, SqlError> {
        let no_state = || SqlError::State { type_name: E::TYPE_NAME, function };
        // SAFETY: the DDL declares argument n as double precision[].
        let array = unsafe { FlatArray::from_datum(args.datum(n)) };
        let array = array.map_err(|_| no_state())?;
        if array.len() == 0 || array.element_type() != pg_sys::FLOAT8OID {
            return Err(no_state());
        }
        let mutable = array.is_copy();
        Ok(State { array, mutable })
    }

    /// The empty state with room for `dims` sums.
    fn new(dims: usize) -> Self {
        // SAFETY: double precision is f64; callers take dims from a value or a checked state.
        let array = unsafe { zeroed::<f64>(pg_sys::FLOAT8OID, dims + 1) };
        State { array, mutable: true }
    }

    fn dims(&self) -> usize {
        self.array.len() - 1
    }

    fn numbers(&self) -> &[f64] {
        // SAFETY: from_argument checked the element type.
        unsafe { self.array.elements::<f64>() }
    }

    /// Itself if it may be changed, else a copy that may.
    fn into_mutable(self) -> Self {
        if self.mutable {
            return self;
        }
        let mut copy = State::new(self.dims());
        copy.numbers_mut().copy_from_slice(self.numbers());
        copy
    }

    /// Only for a state that [`State::into_mutable`] or [`State::new`] gave.
    fn numbers_mut(&mut self) -> &mut [f64] {
        // SAFETY: as numbers(); `mutable` says that nobody else sees the array.
        unsafe { self.array.elements_mut::<f64>() }
    }

    /// Adds a count and sums. Errors: 22003 when a sum overflows.
    fn add(&mut self, count: f64, sums: impl Iterator<Item = f64>) -> Result<(), SqlError> {
        if let Some((n, totals)) = self.numbers_mut().split_first_mut() {
            *n += count;
            for (total, x) in totals.iter_mut().zip(sums) {
                *total += x;
                if total.is_infinite() {
                    return Err(SqlError::Overflow);
                }
            }
        }
        Ok(())
    }
}

/// `accum(state, value)`. Errors: 22000 when the dimensions differ.
fn accumulate<E: SqlElement>(args: &Arguments) -> Result<Datum, SqlError> {
    let mut state = State::from_argument::<E>(args, 0, "accum")?;
    let value = args.vector::<E>(1);
    if state.dims() == 0 {
        let count = state.numbers().first().copied().unwrap_or(0.0);
        state = State::new(value.dims());
        // What a sum begins with so that it keeps the sign of a zero.
        state.numbers_mut().fill(-0.0);
        state.add(count, std::iter::empty())?;
    } else if state.dims() != value.dims() {
        return Err(
            ValueError::DimsExpected { expected: state.dims() as i64, dims: value.dims() }.into()
        );
    }
    state.mutable |= args.in_aggregate();
    let mut state = state.into_mutable();
    state.add(1.0, value.elements().iter().map(|x| f64::from(x.to_f32())))?;
    Ok(state.array.as_datum())
}

/// `combine(state, state)`, for parallel aggregation. Errors: 22000 when the dimensions differ, 54000 when there are too many.
fn combine(args: &Arguments) -> Result<Datum, SqlError> {
    let mut left = State::from_argument::<f32>(args, 0, "combine")?;
    let mut right = State::from_argument::<f32>(args, 1, "combine")?;
    left.mutable |= args.in_aggregate();
    if left.dims() == 0 {
        // Only the first state belongs to the running aggregate.
        std::mem::swap(&mut left, &mut right);
    }
    if left.dims() != 0 {
        f32::check_dims(left.dims())?;
    }
    if right.dims() != 0 && left.dims() != right.dims() {
        return Err(
            ValueError::DimsExpected { expected: left.dims() as i64, dims: right.dims() }.into()
        );
    }
    let mut left = left.into_mutable();
    if let Some((count, sums)) = right.numbers().split_first() {
        left.add(*count, sums.iter().copied())?;
    }
    Ok(left.array.as_datum())
}

/// `avg(state)`: the mean, or NULL of no values.
///
/// Errors: 22003 when the mean is too large for the type.
fn average<E: SqlElement>(args: &Arguments) -> Result<Option<VarlenaBuf<E>>, SqlError> {
    let state = State::from_argument::<E>(args, 0, "avg")?;
    let Some((count, sums)) = state.numbers().split_first() else { return Ok(None) };
    if *count == 0.0 {
        return Ok(None);
    }
    E::check_dims(sums.len())?;
    let mean: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
    let mut result = VarlenaBuf::<E>::zeroed(mean.len());
    E::narrow(&mean, result.elements_mut())?;
    Ok(Some(result))
}
