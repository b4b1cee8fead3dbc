//! The options as the server knows them: one table by which they are registered for an access
//! method, parsed from `pg_class.reloptions` and read back from `rd_options`.

use std::ffi::{CStr, c_char, c_int};
use std::mem::offset_of;
use std::sync::atomic::Ordering;

use ann::codec::{M_RANGE, PQ_NBITS};
use pgrx::pg_sys;

use super::resolve::{CODE_WORDS, Given, ON_OFF_WORDS, REFINE_WORDS};
use super::{NLIST_MAX, SEED_DEFAULT};
use crate::am::guc::{K_FACTOR_MAX, NPROBE_RANGE};
use crate::am::method::{FAISSFLAT, FAISSIVF, METHODS, Method, method_of};

/// An option that was not given. Outside every option's range, so nobody can write it.
const UNSET: c_int = -1;

/// The parsed options as the server keeps them in `rd_options`: a varlena with the strings behind
/// it, at the offsets given by the string fields (0 = not given). A field whose option the method
/// lacks stays 0.
#[repr(C)]
struct RawOptions {
    vl_len_: i32,
    nlist: c_int,
    code: c_int,
    m: c_int,
    nbits: c_int,
    opq: c_int,
    refine: c_int,
    seed: c_int,
    factory: c_int,
    nprobe: c_int,
    k_factor: c_int,
}

impl RawOptions {
    /// # Safety
    /// `self` must be the start of a varlena made by build_reloptions.
    unsafe fn given(&self, method: &Method) -> Given {
        let of_lists = |value| u32::try_from(value).ok().filter(|_| method.has_lists);
        let factory =
            usize::try_from(self.factory).ok().filter(|&offset| offset > 0).map(|offset| {
                // SAFETY: build_reloptions put a NUL-terminated string at this offset of the same
                // allocation.
                unsafe { CStr::from_ptr((&raw const *self).cast::<c_char>().add(offset)) }
            });
        Given {
            nlist: of_lists(self.nlist),
            code: u8::try_from(self.code).ok(),
            m: u16::try_from(self.m).ok(),
            nbits: u8::try_from(self.nbits).ok(),
            opq: (self.opq != UNSET).then_some(self.opq == 1),
            refine: u8::try_from(self.refine).ok(),
            seed: u64::try_from(self.seed).ok(),
            factory: factory.map(|text| text.to_string_lossy().into_owned()),
            nprobe: of_lists(self.nprobe),
            k_factor: u32::try_from(self.k_factor).ok(),
        }
    }
}

/// What an option takes.
enum Values {
    /// An integer: default, smallest, largest.
    Integer(c_int, c_int, c_int),
    /// One of these words.
    Word(&'static [(&'static CStr, c_int)], &'static CStr),
    /// A string.
    Text,
}

/// An option.
struct Entry {
    name: &'static CStr,
    about: &'static CStr,
    values: Values,
    /// Where [`RawOptions`] has it.
    offset: usize,
    /// A search default may change while others read and write.
    is_search: bool,
    /// Whether only methods with inverted lists have it.
    is_of_lists: bool,
}

const STRUCTURAL: Entry = Entry {
    name: c"",
    about: c"",
    values: Values::Text,
    offset: 0,
    is_search: false,
    is_of_lists: false,
};

static ENTRIES: [Entry; 10] = [
    Entry {
        name: c"nlist",
        about: c"Inverted lists; 0 = from the row count",
        values: Values::Integer(UNSET, 0, NLIST_MAX),
        offset: offset_of!(RawOptions, nlist),
        is_of_lists: true,
        ..STRUCTURAL
    },
    Entry {
        name: c"code",
        about: c"What the index stores of a vector",
        values: Values::Word(
            CODE_WORDS,
            c"Valid values are \"flat\", \"sqfp16\", \"sq8\", \"sq4\", \"pq\", \"pqfs\" and \"rabitq\".",
        ),
        offset: offset_of!(RawOptions, code),
        ..STRUCTURAL
    },
    Entry {
        name: c"m",
        about: c"Sub-quantizers of codes pq and pqfs; must divide the dimension",
        values: Values::Integer(UNSET, *M_RANGE.start() as c_int, *M_RANGE.end() as c_int),
        offset: offset_of!(RawOptions, m),
        ..STRUCTURAL
    },
    Entry {
        name: c"nbits",
        about: c"Bits of each sub-quantizer or component of codes pq, pqfs and rabitq",
        values: Values::Integer(UNSET, 1, *PQ_NBITS.end() as c_int),
        offset: offset_of!(RawOptions, nbits),
        ..STRUCTURAL
    },
    Entry {
        name: c"opq",
        about: c"Whether a rotation is learned for the sub-quantizers of codes pq and pqfs",
        values: Values::Word(ON_OFF_WORDS, c"Valid values are \"on\" and \"off\"."),
        offset: offset_of!(RawOptions, opq),
        ..STRUCTURAL
    },
    Entry {
        name: c"refine",
        about: c"Where the real distances come from that re-rank the candidates of a lossy code",
        values: Values::Word(
            REFINE_WORDS,
            c"Valid values are \"heap\", \"flat\", \"sqfp16\" and \"sq8\".",
        ),
        offset: offset_of!(RawOptions, refine),
        ..STRUCTURAL
    },
    Entry {
        name: c"seed",
        about: c"Seed of all randomness of the build",
        values: Values::Integer(SEED_DEFAULT, 0, c_int::MAX),
        offset: offset_of!(RawOptions, seed),
        ..STRUCTURAL
    },
    Entry {
        name: c"factory",
        about: c"FAISS index_factory string instead of the other structural options",
        values: Values::Text,
        offset: offset_of!(RawOptions, factory),
        ..STRUCTURAL
    },
    Entry {
        name: c"nprobe",
        about: c"Inverted lists that a scan of this index searches first",
        values: Values::Integer(UNSET, NPROBE_RANGE.0, NPROBE_RANGE.1),
        offset: offset_of!(RawOptions, nprobe),
        is_search: true,
        is_of_lists: true,
    },
    Entry {
        name: c"k_factor",
        about: c"Candidates of a lossy code re-ranked by real distances per row asked for",
        values: Values::Integer(UNSET, 1, K_FACTOR_MAX),
        offset: offset_of!(RawOptions, k_factor),
        is_search: true,
        ..STRUCTURAL
    },
];

impl Entry {
    /// # Safety
    /// To be called by the backend's server thread; `kind` was given out by the server.
    unsafe fn register(&self, kind: pg_sys::relopt_kind::Type) {
        let lock = if self.is_search {
            pg_sys::ShareUpdateExclusiveLock
        } else {
            pg_sys::AccessExclusiveLock
        };
        let lock = lock as pg_sys::LOCKMODE;
        let (name, about) = (self.name.as_ptr(), self.about.as_ptr());
        // SAFETY: the server copies name and description; it keeps the words, which are leaked once
        // per backend, and their static description.
        unsafe {
            match self.values {
                Values::Integer(default, min, max) => {
                    pg_sys::add_int_reloption(kind, name, about, default, min, max, lock);
                }
                Values::Word(words, valid) => {
                    let words = leak_words(words);
                    let valid = valid.as_ptr();
                    pg_sys::add_enum_reloption(kind, name, about, words, UNSET, valid, lock);
                }
                Values::Text => {
                    pg_sys::add_string_reloption(kind, name, about, std::ptr::null(), None, lock);
                }
            }
        }
    }

    fn parse_element(&self) -> pg_sys::relopt_parse_elt {
        pg_sys::relopt_parse_elt {
            optname: self.name.as_ptr(),
            opttype: match self.values {
                Values::Integer(..) => pg_sys::relopt_type::RELOPT_TYPE_INT,
                Values::Word(..) => pg_sys::relopt_type::RELOPT_TYPE_ENUM,
                Values::Text => pg_sys::relopt_type::RELOPT_TYPE_STRING,
            },
            offset: self.offset as c_int,
            #[cfg(feature = "pg18")]
            isset_offset: 0,
        }
    }
}

/// The server's form of an option's words, ended by a null name, for the life of the process.
fn leak_words(words: &[(&'static CStr, c_int)]) -> *mut pg_sys::relopt_enum_elt_def {
    let element = |string_val, symbol_val| pg_sys::relopt_enum_elt_def { string_val, symbol_val };
    let mut elements: Vec<_> = words.iter().map(|(word, n)| element(word.as_ptr(), *n)).collect();
    elements.push(element(std::ptr::null(), 0));
    elements.leak().as_mut_ptr()
}

impl Method {
    fn entries(&self) -> impl Iterator<Item = &'static Entry> {
        let has_lists = self.has_lists;
        ENTRIES.iter().filter(move |entry| has_lists || !entry.is_of_lists)
    }

    fn register(&self) {
        // SAFETY: called from _PG_init, on the server's thread.
        unsafe {
            let kind = pg_sys::add_reloption_kind();
            self.option_kind.store(kind, Ordering::Relaxed);
            for entry in self.entries() {
                entry.register(kind);
            }
        }
    }

    /// Parses options; with `validate`, raises 22023 for a value or a combination that makes no
    /// sense.
    ///
    /// # Safety
    /// The server's amoptions contract: `reloptions` is null or a text array.
    unsafe fn parse(&self, reloptions: pg_sys::Datum, validate: bool) -> *mut pg_sys::bytea {
        let table: Vec<_> = self.entries().map(Entry::parse_element).collect();
        // SAFETY: the table describes RawOptions, whose size is given, field by field.
        let parsed = unsafe {
            pg_sys::build_reloptions(
                reloptions,
                validate,
                self.option_kind.load(Ordering::Relaxed),
                size_of::<RawOptions>(),
                table.as_ptr(),
                table.len() as c_int,
            )
        };
        // SAFETY: null, or a RawOptions that build_reloptions allocated.
        if let Some(raw) = unsafe { parsed.cast::<RawOptions>().as_ref() }.filter(|_| validate) {
            // SAFETY: as above.
            let given = unsafe { raw.given(self) };
            if let Err(report) = given.check(self) {
                report.error();
            }
        }
        parsed.cast()
    }
}

/// Registers the options of every access method; called once per backend, from `_PG_init`.
pub fn register() {
    METHODS.into_iter().for_each(Method::register);
}

/// amoptions of `faissivf`.
///
/// # Safety
/// The server's amoptions contract: `reloptions` is null or a text array.
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn faissivf_options(
    reloptions: pg_sys::Datum,
    validate: bool,
) -> *mut pg_sys::bytea {
    // SAFETY: the caller's promise.
    unsafe { FAISSIVF.parse(reloptions, validate) }
}

/// amoptions of `faissflat`.
///
/// # Safety
/// The server's amoptions contract: `reloptions` is null or a text array.
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn faissflat_options(
    reloptions: pg_sys::Datum,
    validate: bool,
) -> *mut pg_sys::bytea {
    // SAFETY: the caller's promise.
    unsafe { FAISSFLAT.parse(reloptions, validate) }
}

/// What was given for `index`, an open index of one of our methods.
pub fn given(index: pg_sys::Relation) -> Given {
    let Some(method) = method_of(index) else { return Given::default() };
    // SAFETY: rd_options of our indexes is what amoptions returned, or null when there are none.
    unsafe { (*index).rd_options.cast::<RawOptions>().as_ref() }
        // SAFETY: as above: made by build_reloptions.
        .map_or_else(Given::default, |raw| unsafe { raw.given(method) })
}
