//! Support function 1 of operator classes, as SQL finds it in the library.

/// Defines a version-1 C function that answers with a static descriptor.
macro_rules! support_function {
    ($name:ident, $finfo:ident, $support:ty, $value:expr) => {
        #[doc = concat!("Support function 1 for `", stringify!($name), "`.")]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $name(_fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            static SUPPORT: $support = $value;
            pg_sys::Datum::from(&raw const SUPPORT)
        }

        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $finfo() -> &'static pg_sys::Pg_finfo_record {
            static INFO: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &INFO
        }
    };
}

pub(crate) use support_function;
