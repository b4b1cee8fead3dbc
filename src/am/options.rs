//! Options in `CREATE INDEX … WITH (…)` of `faissivf`: what there is, which combinations make
//! sense, and how the other callbacks read them.
//!
//! Structural options are frozen in the metapage at build; changing one takes effect at REINDEX.
//! The search default `nprobe` is read at every scan.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::mem::offset_of;

use ann::factory::{self, Factory, FactoryError};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::guc::NPROBE_RANGE;
use super::report::Report;

/// Most inverted lists an index can have.
pub const NLIST_MAX: i32 = ann::rules::MAX_NLIST as i32;
/// The seed when none is given, as in FAISS.
pub const SEED_DEFAULT: i32 = 1234;
/// An integer option that was not given. Outside every option's range, so nobody can write it.
const UNSET: c_int = -1;

/// What the inverted lists store of a vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Code {
    /// The vector as the column has it.
    #[default]
    Flat,
}

impl Code {
    /// The names, in the order of the documentation.
    const NAMES: &'static str = "flat";

    fn parse(name: &str) -> Option<Self> {
        name.eq_ignore_ascii_case("flat").then_some(Self::Flat)
    }
}

/// The options of one index with the defaults filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IvfOptions {
    /// Inverted lists asked for; 0 = from the row count.
    pub nlist: u32,
    /// What the lists store.
    pub code: Code,
    /// Seed of all randomness of the build.
    pub seed: u64,
    /// This index's own search default.
    pub nprobe: Option<u32>,
}

impl Default for IvfOptions {
    fn default() -> Self {
        Self { nlist: 0, code: Code::Flat, seed: SEED_DEFAULT as u64, nprobe: None }
    }
}

/// The parsed options as the server keeps them in `rd_options`: a varlena with the strings behind
/// it, at the offsets given by the string fields (0 = not given).
#[repr(C)]
struct RawOptions {
    vl_len_: i32,
    nlist: c_int,
    code: c_int,
    seed: c_int,
    factory: c_int,
    nprobe: c_int,
}

impl RawOptions {
    /// The string option whose offset field this is.
    ///
    /// # Safety
    /// `self` must be the start of a varlena made by build_reloptions, and `offset` one of its
    /// string fields.
    unsafe fn string(&self, offset: c_int) -> Option<&str> {
        let offset = usize::try_from(offset).ok().filter(|&o| o > 0)?;
        // SAFETY: build_reloptions put a NUL-terminated string at this offset of the same
        // allocation.
        let value = unsafe { CStr::from_ptr((&raw const *self).cast::<c_char>().add(offset)) };
        // Not UTF-8 (another server encoding): no name of ours, so an empty name stands for it.
        Some(value.to_str().unwrap_or(""))
    }
}

impl IvfOptions {
    /// The options of `index`, an open faissivf index.
    pub fn of(index: pg_sys::Relation) -> Self {
        // SAFETY: rd_options of our indexes is what amoptions returned, or null when there are
        // none.
        unsafe { (*index).rd_options.cast::<RawOptions>().as_ref() }
            // SAFETY: as above: made by build_reloptions.
            .map_or_else(Self::default, |raw| unsafe { Self::from_raw(raw) })
    }

    /// # Safety
    /// `raw` must be the start of a varlena made by build_reloptions.
    unsafe fn from_raw(raw: &RawOptions) -> Self {
        let mut options = Self::default();
        // SAFETY: the caller's promise.
        if let Some(code) = unsafe { raw.string(raw.code) } {
            options.code = Code::parse(code).unwrap_or_else(|| unsupported_code(code));
        }
        // SAFETY: the caller's promise.
        if let Some(text) = unsafe { raw.string(raw.factory) } {
            options.nlist = lists_of(text).unwrap_or_else(|e| bad_factory(&e));
            options.code = Code::Flat;
        }
        options.nlist = u32::try_from(raw.nlist).unwrap_or(options.nlist);
        options.seed = u64::try_from(raw.seed).unwrap_or(options.seed);
        options.nprobe = u32::try_from(raw.nprobe).ok();
        options
    }
}

thread_local! {
    /// The option kind of faissivf, given by the server at registration. The server runs on one
    /// thread.
    static KIND: Cell<pg_sys::relopt_kind::Type> = const { Cell::new(0) };
}

/// Registers the options; called once per backend, from `_PG_init`.
pub fn register() {
    // SAFETY: the server copies names and descriptions; the validators have the signature asked
    // for.
    unsafe {
        let kind = pg_sys::add_reloption_kind();
        KIND.set(kind);
        let structural = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
        let search = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;
        pg_sys::add_int_reloption(
            kind,
            c"nlist".as_ptr(),
            c"Inverted lists; 0 = from the row count".as_ptr(),
            UNSET,
            0,
            NLIST_MAX,
            structural,
        );
        pg_sys::add_string_reloption(
            kind,
            c"code".as_ptr(),
            c"What the inverted lists store of a vector".as_ptr(),
            std::ptr::null(),
            Some(validate_code),
            structural,
        );
        pg_sys::add_int_reloption(
            kind,
            c"seed".as_ptr(),
            c"Seed of all randomness of the build".as_ptr(),
            SEED_DEFAULT,
            0,
            i32::MAX,
            structural,
        );
        pg_sys::add_string_reloption(
            kind,
            c"factory".as_ptr(),
            c"FAISS index_factory string instead of nlist and code".as_ptr(),
            std::ptr::null(),
            Some(validate_factory),
            structural,
        );
        pg_sys::add_int_reloption(
            kind,
            c"nprobe".as_ptr(),
            c"Inverted lists that a scan of this index searches first".as_ptr(),
            UNSET,
            NPROBE_RANGE.0,
            NPROBE_RANGE.1,
            search,
        );
    }
}

/// Parses the options of an index; with `validate`, raises 22023 for a value or a combination that
/// makes no sense.
///
/// # Safety
/// The server's amoptions contract: `reloptions` is null or a text array.
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn amoptions(
    reloptions: pg_sys::Datum,
    validate: bool,
) -> *mut pg_sys::bytea {
    let element = |name: &CStr, opttype, offset: usize| pg_sys::relopt_parse_elt {
        optname: name.as_ptr(),
        opttype,
        offset: offset as c_int,
        #[cfg(feature = "pg18")]
        isset_offset: 0,
    };
    let int = pg_sys::relopt_type::RELOPT_TYPE_INT;
    let string = pg_sys::relopt_type::RELOPT_TYPE_STRING;
    let table = [
        element(c"nlist", int, offset_of!(RawOptions, nlist)),
        element(c"code", string, offset_of!(RawOptions, code)),
        element(c"seed", int, offset_of!(RawOptions, seed)),
        element(c"factory", string, offset_of!(RawOptions, factory)),
        element(c"nprobe", int, offset_of!(RawOptions, nprobe)),
    ];
    // SAFETY: the table describes RawOptions, whose size is given, field by field.
    let parsed = unsafe {
        pg_sys::build_reloptions(
            reloptions,
            validate,
            KIND.get(),
            size_of::<RawOptions>(),
            table.as_ptr(),
            table.len() as c_int,
        )
    };
    // SAFETY: null, or a RawOptions that build_reloptions allocated.
    if let Some(raw) = unsafe { parsed.cast::<RawOptions>().as_ref() }.filter(|_| validate) {
        refuse_conflict(raw);
    }
    parsed.cast()
}

/// A factory string already says what `nlist` and `code` would say.
fn refuse_conflict(raw: &RawOptions) {
    if raw.factory == 0 {
        return;
    }
    let given: Vec<&str> = [("nlist", raw.nlist != UNSET), ("code", raw.code != 0)]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect();
    if let Some(first) = given.first() {
        Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("options \"factory\" and \"{first}\" cannot be used together"),
        )
        .detail(format!("The factory string already determines {}.", given.join(" and ")))
        .hint("Leave out either the factory string or the structural options.")
        .error();
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn validate_code(value: *const c_char) {
    // SAFETY: null for the default at registration, else a NUL-terminated string.
    if let Some(name) = unsafe { option_text(value) }
        && Code::parse(&name).is_none()
    {
        unsupported_code(&name);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn validate_factory(value: *const c_char) {
    // SAFETY: null for the default at registration, else a NUL-terminated string.
    if let Some(text) = unsafe { option_text(value) }
        && let Err(e) = lists_of(&text)
    {
        bad_factory(&e);
    }
}

/// The lists of a factory string, which must be `IVFn,Flat`: a build knows no other code yet.
fn lists_of(text: &str) -> Result<u32, FactoryError> {
    let factory = Factory::parse(text)?;
    match factory.nlist {
        Some(nlist) if factory.to_string() == format!("IVF{nlist},Flat") => Ok(nlist),
        _ => Err(FactoryError::Unsupported {
            whole: text.to_owned(),
            part: text.to_owned(),
            why: "Only IVFn,Flat is supported.",
        }),
    }
}

/// # Safety
/// `value` is null or a NUL-terminated string.
unsafe fn option_text(value: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned())
}

fn unsupported_code(name: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("code \"{name}\" is not supported by access method \"faissivf\""),
    )
    .detail(format!("Supported codes: {}.", Code::NAMES))
    .error()
}

fn bad_factory(e: &FactoryError) -> ! {
    let report = Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, e.to_string())
        .hint(format!("Supported: {}.", factory::SUPPORTED));
    match e.why() {
        Some(why) => report.detail(why).error(),
        None => report.error(),
    }
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use pgrx::{pg_sys, pg_test};

    use super::{Code, IvfOptions};
    use crate::am::testing::{refusal, run, with_index};

    fn index_with(options: &str) -> IvfOptions {
        run("DROP TABLE IF EXISTS t; CREATE TABLE t (v vector(3))");
        run(&format!("CREATE INDEX i ON t USING faissivf (v) {options}"));
        with_index("i", IvfOptions::of)
    }

    #[pg_test]
    fn pgtest_options_reach_the_callbacks() {
        assert_eq!(index_with(""), IvfOptions::default());
        let all = index_with("WITH (nlist = 65536, code = FLAT, seed = 0, nprobe = 3)");
        let expected = IvfOptions { nlist: 65_536, code: Code::Flat, seed: 0, nprobe: Some(3) };
        assert_eq!(all, expected);
        let factory = index_with("WITH (factory = 'IVF12,Flat', nprobe = 3, seed = 5)");
        assert_eq!(factory, IvfOptions { nlist: 12, code: Code::Flat, seed: 5, nprobe: Some(3) });
    }

    #[pg_test]
    fn pgtest_options_outside_their_range_are_refused() {
        run("CREATE TABLE t (v vector(3))");
        for bad in ["nlist = -1", "nlist = 65537", "seed = -1", "nprobe = 0", "nprobe = 65537"] {
            let refused = refusal(&format!("CREATE INDEX ON t USING faissivf (v) WITH ({bad})"));
            assert!(refused.starts_with("22023\nvalue "), "{bad}: {refused}");
        }
        for (bad, part) in [
            ("code = pq", "code \"pq\" is not supported"),
            ("nlists = 1", "unrecognized parameter \"nlists\""),
            ("factory = 'IVF12,Flat', nlist = 12", "\"factory\" and \"nlist\""),
            ("factory = 'IVF12,Flat', code = flat", "\"factory\" and \"code\""),
            ("factory = 'IVF12,FooBar'", "is not understood: \"FooBar\""),
        ] {
            let refused = refusal(&format!("CREATE INDEX ON t USING faissivf (v) WITH ({bad})"));
            assert!(refused.starts_with("22023\n") && refused.contains(part), "{bad}: {refused}");
        }
    }

    #[pg_test]
    fn pgtest_search_options_take_effect_at_once() {
        index_with("WITH (nlist = 4)");
        run("ALTER INDEX i SET (nprobe = 2)");
        assert_eq!(with_index("i", IvfOptions::of).nprobe, Some(2));
        run("ALTER INDEX i RESET (nprobe)");
        assert_eq!(with_index("i", IvfOptions::of).nprobe, None);
        let refused = refusal("ALTER INDEX i SET (factory = 'IVF12,Flat')");
        assert!(refused.contains("cannot be used together"), "{refused}");
    }

    #[pg_test]
    fn pgtest_changing_a_search_option_lets_others_read_and_write() {
        let lock_of = |name: &std::ffi::CStr| {
            // SAFETY: a list of one DefElem, as ALTER INDEX … SET makes it; the name is only read.
            unsafe {
                let name = name.as_ptr().cast_mut();
                let option = pg_sys::makeDefElem(name, std::ptr::null_mut(), -1);
                let list = pg_sys::lappend(std::ptr::null_mut(), option.cast());
                pg_sys::AlterTableGetRelOptionsLockLevel(list)
            }
        };
        assert_eq!(lock_of(c"nprobe"), pg_sys::ShareUpdateExclusiveLock as i32);
        assert_eq!(lock_of(c"nlist"), pg_sys::AccessExclusiveLock as i32);
    }
}
