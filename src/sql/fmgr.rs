//! The version-1 calling convention: arguments in, a result or an `ereport` out.
//!
//! Functions exported here are declared STRICT in `sql/`, so that no argument is ever NULL; one that is not asks
//! [`Arguments::is_null`] before it looks.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};

use super::element::SqlElement;
use super::error::SqlError;
use super::rows::RowStore;
use crate::am::datum::bits::BitString;
use crate::am::datum::sparse::SparseVarlena;
use crate::am::datum::{Varlena, VarlenaBuf};

/// The arguments of one call. Only [`call`] makes them, so that every accessor may rely on the
/// DDL: the number and types of the arguments are those of the function's declaration.
pub struct Arguments {
    fcinfo: FunctionCallInfo,
}

impl Arguments {
    /// Argument `n` as the server passes it.
    #[inline]
    pub fn datum(&self, n: usize) -> Datum {
        // SAFETY: `call` got fcinfo from the server; the DDL declares more than n arguments.
        unsafe { (*(*self.fcinfo).args.as_ptr().add(n)).value }
    }

    /// Is argument `n` NULL?
    pub fn is_null(&self, n: usize) -> bool {
        // SAFETY: as in `datum`.
        unsafe { (*(*self.fcinfo).args.as_ptr().add(n)).isnull }
    }

    /// Argument `n`, declared `integer`, None for NULL.
    pub fn optional_int32(&self, n: usize) -> Option<i32> {
        (!self.is_null(n)).then(|| self.int32(n))
    }

    /// Argument `n`, declared `regclass` or `oid`.
    pub fn oid(&self, n: usize) -> pg_sys::Oid {
        pg_sys::Oid::from(self.datum(n).value() as u32)
    }

    /// Where a function declared to return a set puts its rows.
    pub fn rows(&self) -> RowStore {
        // SAFETY: `call` got fcinfo from the server.
        unsafe { RowStore::new(self.fcinfo) }
    }

    /// Argument `n`, declared as the vector type of `E`.
    #[inline]
    pub fn vector<E: SqlElement>(&self, n: usize) -> Varlena<'_, E> {
        // SAFETY: the DDL declares argument n with the type of E, and strict.
        unsafe { Varlena::from_datum(self.datum(n)) }
    }

    /// Argument `n`, declared `sparsevec`.
    pub fn sparse(&self, n: usize) -> SparseVarlena<'_> {
        // SAFETY: the DDL declares argument n as sparsevec, and strict.
        unsafe { SparseVarlena::from_datum(self.datum(n)) }
    }

    /// Argument `n`, declared `bit`.
    pub fn bits(&self, n: usize) -> BitString<'_> {
        // SAFETY: the DDL declares argument n as bit, and strict.
        unsafe { BitString::from_datum(self.datum(n)) }
    }

    /// Argument `n`, declared `cstring`.
    pub fn text(&self, n: usize) -> &CStr {
        // SAFETY: the DDL declares argument n as cstring, and strict.
        unsafe { CStr::from_ptr(self.datum(n).cast_mut_ptr::<c_char>()) }
    }

    /// Argument `n`, declared `text`.
    pub fn string(&self, n: usize) -> String {
        // SAFETY: the DDL declares argument n as text; the caller has made sure that it is not NULL.
        let text = unsafe { pgrx::FromDatum::from_datum(self.datum(n), false) };
        text.unwrap_or_default()
    }

    /// Argument `n`, declared `integer`.
    #[inline]
    pub fn int32(&self, n: usize) -> i32 {
        self.datum(n).value() as i32
    }

    /// Argument `n`, declared `bigint`.
    pub fn int64(&self, n: usize) -> i64 {
        self.datum(n).value() as i64
    }

    /// Argument `n`, declared `double precision`.
    pub fn float8(&self, n: usize) -> f64 {
        f64::from_bits(self.datum(n).value() as u64)
    }

    /// Argument `n`, declared `boolean`.
    pub fn bool(&self, n: usize) -> bool {
        self.datum(n).value() as u8 != 0
    }

    /// Is this a call of an aggregate's transition or combine function, which may change its
    /// state in place?
    pub fn in_aggregate(&self) -> bool {
        // SAFETY: fcinfo comes from the server; a null context pointer is allowed.
        unsafe { pg_sys::AggCheckCallContext(self.fcinfo, std::ptr::null_mut()) != 0 }
    }
}

/// What a function can give back.
pub trait SqlResult {
    /// The datum, or None for NULL.
    fn into_datum(self) -> Option<Datum>;
}

impl SqlResult for f64 {
    #[inline]
    fn into_datum(self) -> Option<Datum> {
        Some(Datum::from(self.to_bits()))
    }
}

impl SqlResult for i32 {
    #[inline]
    fn into_datum(self) -> Option<Datum> {
        Some(Datum::from(self))
    }
}

impl SqlResult for i64 {
    fn into_datum(self) -> Option<Datum> {
        Some(Datum::from(self))
    }
}

impl SqlResult for pg_sys::Oid {
    fn into_datum(self) -> Option<Datum> {
        Some(Datum::from(self))
    }
}

impl SqlResult for bool {
    #[inline]
    fn into_datum(self) -> Option<Datum> {
        Some(Datum::from(self))
    }
}

impl SqlResult for String {
    fn into_datum(self) -> Option<Datum> {
        pgrx::IntoDatum::into_datum(self)
    }
}

impl SqlResult for Datum {
    fn into_datum(self) -> Option<Datum> {
        Some(self)
    }
}

impl<E: SqlElement> SqlResult for VarlenaBuf<E> {
    fn into_datum(self) -> Option<Datum> {
        Some(VarlenaBuf::into_datum(self))
    }
}

impl<R: SqlResult> SqlResult for Option<R> {
    fn into_datum(self) -> Option<Datum> {
        self.and_then(R::into_datum)
    }
}

/// Runs `body` as the body of a version-1 function; its error becomes an `ereport`.
///
/// # Safety
/// Called by the server with the `fcinfo` of a function whose declaration fits `body`.
#[inline(always)]
pub unsafe fn call<R: SqlResult>(
    fcinfo: FunctionCallInfo,
    body: impl FnOnce(&Arguments) -> Result<R, SqlError>,
) -> Datum {
    let guarded = move || match body(&Arguments { fcinfo }) {
        Ok(result) => result.into_datum().unwrap_or_else(|| {
            // SAFETY: fcinfo is the server's own call frame.
            unsafe { (*fcinfo).isnull = true };
            Datum::null()
        }),
        Err(error) => error.report(),
    };
    // SAFETY: turns a Rust unwind into a server error at this, the outermost Rust frame.
    unsafe { pg_sys::panic::pgrx_extern_c_guard(guarded) }
}

/// What the server asks each exported function: version 1.
pub static VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

/// Exports functions to the server, `"name" = body;` as `pgfaiss_name`. The prefix keeps the
/// symbols apart from those of other libraries in the same backend.
macro_rules! export {
    ($($name:expr => $body:expr;)*) => {$(
        const _: () = {
            use pgrx::pg_sys::{Datum, FunctionCallInfo, Pg_finfo_record};

            #[unsafe(export_name = concat!("pg_finfo_pgfaiss_", $name))]
            extern "C" fn info() -> *const Pg_finfo_record {
                &raw const $crate::sql::fmgr::VERSION_1
            }

            #[unsafe(export_name = concat!("pgfaiss_", $name))]
            unsafe extern "C-unwind" fn entry(fcinfo: FunctionCallInfo) -> Datum {
                // SAFETY: only the server calls this, as the DDL in sql/ declares it.
                unsafe { $crate::sql::fmgr::call(fcinfo, $body) }
            }
        };
    )*};
}

/// Exports generic functions for both types: `name` as `pgfaiss_vector_name` over `f32` and as
/// `pgfaiss_halfvec_name` over `f16`.
macro_rules! export_for_both_types {
    ($($name:literal => $body:ident;)*) => {
        $crate::sql::fmgr::export! {
            $(concat!("vector_", $name) => $body::<f32>;)*
            $(concat!("halfvec_", $name) => $body::<half::f16>;)*
        }
    };
}

pub(super) use {export, export_for_both_types};
