//! The options as the server knows them: one table by which they are registered for an access
//! method, parsed from `pg_class.reloptions` and read back from `rd_options`.

use std::ffi::{CStr, c_char, c_int};
use std::mem::offset_of;
use std::sync::atomic::Ordering;

use ann::codec::{M_RANGE, PQ_NBITS};
use ann::factory::LINKS_RANGE;
use ann::tuning::curve::TARGET_RANGE;
use grammar::options::{
    CODE_WORDS, EF_CONSTRUCTION_RANGE, GRAPH_CODE_WORDS, Given, NLIST_MAX, ON_OFF_WORDS,
    REFINE_WORDS, SEED_DEFAULT, unknown,
};
use pgrx::pg_sys;

use crate::am::guc::{EF_SEARCH_RANGE, K_FACTOR_MAX, NPROBE_RANGE};
use crate::am::method::{
    FAISSFLAT, FAISSHNSW, FAISSIVF, HNSW, IVFFLAT, METHODS, Method, require_method,
};
use crate::am::report::Report;

/// An option that was not given. Outside every option's range, so nobody can write it.
const UNSET: c_int = -1;

/// The parsed options as the server keeps them in `rd_options`: a varlena with the strings behind
/// it, at the offsets given by the string fields (0 = not given). A field whose option the method
/// lacks stays 0.
#[repr(C)]
struct RawOptions {
    vl_len_: i32,
    nlist: c_int,
    lists: c_int,
    code: c_int,
    m: c_int,
    nbits: c_int,
    opq: c_int,
    refine: c_int,
    seed: c_int,
    factory: c_int,
    model: c_int,
    nprobe: c_int,
    k_factor: c_int,
    efconstruction: c_int,
    ef_construction: c_int,
    ef_search: c_int,
    recall_target: f64,
}

impl RawOptions {
    /// # Safety
    /// `self` must be the start of a varlena made by build_reloptions.
    unsafe fn given(&self, method: &Method) -> Given {
        let of = |owner: Of, value| u32::try_from(value).ok().filter(|_| owner.has(method));
        let small = |owner, value| of(owner, value).and_then(|value| u8::try_from(value).ok());
        let text = |offset| {
            let offset = usize::try_from(offset).ok().filter(|&offset| offset > 0)?;
            // SAFETY: build_reloptions put a NUL-terminated string at this offset of the same
            // allocation.
            let text = unsafe { CStr::from_ptr((&raw const *self).cast::<c_char>().add(offset)) };
            Some(text.to_string_lossy().into_owned())
        };
        Given {
            nlist: of(Of::Lists, self.nlist),
            lists: of(Of::Lists, self.lists),
            code: u8::try_from(self.code).ok(),
            m: u16::try_from(self.m).ok(),
            nbits: small(Of::Codes, self.nbits),
            opq: small(Of::Codes, self.opq).map(|opq| opq == 1),
            refine: small(Of::Codes, self.refine),
            seed: u64::try_from(self.seed).ok(),
            factory: text(self.factory),
            model: text(self.model),
            recall_target: Some(self.recall_target).filter(|target| *target > 0.0),
            nprobe: of(Of::Lists, self.nprobe),
            k_factor: of(Of::Codes, self.k_factor),
            efconstruction: of(Of::Graphs, self.efconstruction),
            ef_construction: of(Of::Graphs, self.ef_construction),
            ef_search: of(Of::Graphs, self.ef_search),
            ..of_method(method)
        }
    }
}

/// Smallest and largest `lists` and `ef_construction`: pgvector's, so that pgvector takes what was stored here.
const LISTS_RANGE: (c_int, c_int) = (1, 32_768);
const PGVECTOR_EF_RANGE: (c_int, c_int) = (4, 1000);

/// What an option takes.
enum Values {
    /// An integer: default, smallest, largest.
    Integer(c_int, c_int, c_int),
    /// A number: default, smallest, largest.
    Real(f64, f64, f64),
    /// One of these words.
    Word(&'static [(&'static CStr, c_int)], &'static CStr),
    /// A string.
    Text,
}

/// Which methods have an option.
#[derive(Clone, Copy)]
enum Of {
    Every,
    /// Those with inverted lists.
    Lists,
    /// Those that scan codes, in lists or all of them.
    Codes,
    /// Those whose indexes are graphs.
    Graphs,
}

impl Of {
    fn has(self, method: &Method) -> bool {
        match self {
            Of::Every => true,
            Of::Lists => method.has_lists,
            Of::Codes => !method.is_graph,
            Of::Graphs => method.is_graph,
        }
    }
}

/// An option.
struct Entry {
    /// In small letters, as the server hands over what is not quoted.
    name: &'static CStr,
    /// As the manual spells it.
    spelling: &'static str,
    about: &'static CStr,
    values: Values,
    /// Where [`RawOptions`] has it.
    offset: usize,
    /// A search default may change while others read and write.
    is_search: bool,
    of: Of,
}

const STRUCTURAL: Entry = Entry {
    name: c"",
    spelling: "",
    about: c"",
    values: Values::Text,
    offset: 0,
    is_search: false,
    of: Of::Every,
};

static ENTRIES: [Entry; 18] = [
    Entry {
        name: c"nlist",
        spelling: "nlist",
        about: c"Inverted lists; 0 = from the row count",
        values: Values::Integer(UNSET, 0, NLIST_MAX),
        offset: offset_of!(RawOptions, nlist),
        of: Of::Lists,
        ..STRUCTURAL
    },
    Entry {
        name: c"lists",
        spelling: "lists",
        about: c"pgvector's name of nlist",
        values: Values::Integer(UNSET, LISTS_RANGE.0, LISTS_RANGE.1),
        offset: offset_of!(RawOptions, lists),
        of: Of::Lists,
        ..STRUCTURAL
    },
    Entry {
        name: c"code",
        spelling: "code",
        about: c"What the index stores of a vector",
        values: Values::Word(
            CODE_WORDS,
            c"Valid values are \"auto\", \"flat\", \"sqfp16\", \"sq8\", \"sq4\", \"pq\", \"pqfs\" and \"rabitq\".",
        ),
        offset: offset_of!(RawOptions, code),
        of: Of::Codes,
        ..STRUCTURAL
    },
    Entry {
        name: c"m",
        spelling: "m",
        about: c"Sub-quantizers of codes pq and pqfs; must divide the dimension",
        values: Values::Integer(UNSET, *M_RANGE.start() as c_int, *M_RANGE.end() as c_int),
        offset: offset_of!(RawOptions, m),
        of: Of::Codes,
        ..STRUCTURAL
    },
    Entry {
        name: c"nbits",
        spelling: "nbits",
        about: c"Bits of each sub-quantizer or component of codes pq, pqfs and rabitq",
        values: Values::Integer(UNSET, 1, *PQ_NBITS.end() as c_int),
        offset: offset_of!(RawOptions, nbits),
        of: Of::Codes,
        ..STRUCTURAL
    },
    Entry {
        name: c"opq",
        spelling: "opq",
        about: c"Whether a rotation is learned for the sub-quantizers of codes pq and pqfs",
        values: Values::Word(ON_OFF_WORDS, c"Valid values are \"on\" and \"off\"."),
        offset: offset_of!(RawOptions, opq),
        of: Of::Codes,
        ..STRUCTURAL
    },
    Entry {
        name: c"refine",
        spelling: "refine",
        about: c"Where the real distances come from that re-rank the candidates of a lossy code",
        values: Values::Word(
            REFINE_WORDS,
            c"Valid values are \"heap\", \"flat\", \"sqfp16\" and \"sq8\".",
        ),
        offset: offset_of!(RawOptions, refine),
        of: Of::Codes,
        ..STRUCTURAL
    },
    Entry {
        name: c"seed",
        spelling: "seed",
        about: c"Seed of all randomness of the build",
        values: Values::Integer(SEED_DEFAULT, 0, c_int::MAX),
        offset: offset_of!(RawOptions, seed),
        ..STRUCTURAL
    },
    Entry {
        name: c"factory",
        spelling: "factory",
        about: c"FAISS index_factory string instead of the other structural options",
        values: Values::Text,
        offset: offset_of!(RawOptions, factory),
        ..STRUCTURAL
    },
    Entry {
        name: c"model",
        spelling: "model",
        about: c"Trained model to use instead of training and of the other structural options",
        values: Values::Text,
        offset: offset_of!(RawOptions, model),
        of: Of::Codes,
        ..STRUCTURAL
    },
    Entry {
        name: c"recall_target",
        spelling: "recall_target",
        about: c"Part of the true nearest rows that a scan of this index is to find",
        values: Values::Real(UNSET as f64, TARGET_RANGE.0, TARGET_RANGE.1),
        offset: offset_of!(RawOptions, recall_target),
        is_search: true,
        of: Of::Every,
    },
    Entry {
        name: c"nprobe",
        spelling: "nprobe",
        about: c"Inverted lists that a scan of this index searches first",
        values: Values::Integer(UNSET, NPROBE_RANGE.0, NPROBE_RANGE.1),
        offset: offset_of!(RawOptions, nprobe),
        is_search: true,
        of: Of::Lists,
    },
    Entry {
        name: c"k_factor",
        spelling: "k_factor",
        about: c"Candidates of a lossy code re-ranked by real distances per row asked for",
        values: Values::Integer(UNSET, 1, K_FACTOR_MAX),
        offset: offset_of!(RawOptions, k_factor),
        is_search: true,
        of: Of::Codes,
    },
    Entry {
        name: c"code",
        spelling: "code",
        about: c"What the index stores of a vector",
        values: Values::Word(GRAPH_CODE_WORDS, c"Valid values are \"flat\", \"sqfp16\" and \"sq8\"."),
        offset: offset_of!(RawOptions, code),
        of: Of::Graphs,
        ..STRUCTURAL
    },
    Entry {
        name: c"m",
        spelling: "m",
        about: c"Links of a node; twice as many on the lowest level",
        values: Values::Integer(UNSET, *LINKS_RANGE.start() as c_int, *LINKS_RANGE.end() as c_int),
        offset: offset_of!(RawOptions, m),
        of: Of::Graphs,
        ..STRUCTURAL
    },
    Entry {
        name: c"efconstruction",
        spelling: "efConstruction",
        about: c"Nodes that the build keeps in sight while it looks for a node's neighbours",
        values: Values::Integer(UNSET, EF_CONSTRUCTION_RANGE.0, EF_CONSTRUCTION_RANGE.1),
        offset: offset_of!(RawOptions, efconstruction),
        of: Of::Graphs,
        ..STRUCTURAL
    },
    Entry {
        name: c"ef_construction",
        spelling: "ef_construction",
        about: c"pgvector's name of efConstruction",
        values: Values::Integer(UNSET, PGVECTOR_EF_RANGE.0, PGVECTOR_EF_RANGE.1),
        offset: offset_of!(RawOptions, ef_construction),
        of: Of::Graphs,
        ..STRUCTURAL
    },
    Entry {
        name: c"efsearch",
        spelling: "efSearch",
        about: c"Nodes that a search of this index keeps in sight",
        values: Values::Integer(UNSET, EF_SEARCH_RANGE.0, EF_SEARCH_RANGE.1),
        offset: offset_of!(RawOptions, ef_search),
        is_search: true,
        of: Of::Graphs,
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
                Values::Real(default, min, max) => {
                    pg_sys::add_real_reloption(kind, name, about, default, min, max, lock);
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
                Values::Real(..) => pg_sys::relopt_type::RELOPT_TYPE_REAL,
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
        ENTRIES.iter().filter(|entry| entry.of.has(self))
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

    /// Raises 22023 for an option that the method does not have, with the name that may be meant.
    ///
    /// # Safety
    /// `reloptions` is null or a text array.
    unsafe fn refuse_unknown(&self, reloptions: pg_sys::Datum) {
        // SAFETY: the caller's promise; the list holds DefElems, whose names are NUL-terminated.
        let given: Vec<&CStr> = unsafe {
            let list = pg_sys::untransformRelOptions(reloptions);
            let elements = (0..pg_sys::list_length(list)).map(|i| pg_sys::list_nth(list, i));
            let elements = elements.map(|element| &*element.cast::<pg_sys::DefElem>());
            elements.map(|element| CStr::from_ptr(element.defname)).collect()
        };
        for name in given {
            if self.entries().any(|entry| entry.name == name) {
                continue;
            }
            let known: Vec<&str> = self.entries().map(|entry| entry.spelling).collect();
            Report::from(unknown(&self.family(), &name.to_string_lossy(), &known)).error();
        }
    }

    /// Parses options; with `validate`, raises 22023 for a value or a combination that makes no
    /// sense.
    ///
    /// # Safety
    /// The server's amoptions contract: `reloptions` is null or a text array.
    unsafe fn parse(&self, reloptions: pg_sys::Datum, validate: bool) -> *mut pg_sys::bytea {
        if validate {
            // SAFETY: the caller's promise.
            unsafe { self.refuse_unknown(reloptions) };
        }
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
            if let Err(refusal) = given.check(&self.family()) {
                Report::from(refusal).error();
            }
        }
        parsed.cast()
    }
}

/// Registers the options of every access method; called once per backend, from `_PG_init`.
pub fn register() {
    METHODS.into_iter().for_each(Method::register);
}

/// Each method's amoptions: by this pointer the method of an index is known.
macro_rules! amoptions {
    ($($name:ident => $method:ident;)*) => {$(
        /// # Safety
        /// The server's amoptions contract: `reloptions` is null or a text array.
        #[pgrx::pg_guard]
        pub unsafe extern "C-unwind" fn $name(
            reloptions: pg_sys::Datum,
            validate: bool,
        ) -> *mut pg_sys::bytea {
            // SAFETY: the caller's promise.
            unsafe { $method.parse(reloptions, validate) }
        }
    )*};
}

amoptions! {
    faissivf_options => FAISSIVF;
    faissflat_options => FAISSFLAT;
    faisshnsw_options => FAISSHNSW;
    ivfflat_options => IVFFLAT;
    hnsw_options => HNSW;
}

/// Nothing given for an index of a method.
fn of_method(method: &Method) -> Given {
    let Method { is_graph, chooses_code, settings, .. } = *method;
    Given { is_graph, chooses_code, settings, ..Given::default() }
}

/// What was given for `index`, an open index of one of our methods.
pub fn given(index: pg_sys::Relation) -> Given {
    let method = require_method(index);
    // SAFETY: rd_options of our indexes is what amoptions returned, or null when there are none.
    match unsafe { (*index).rd_options.cast::<RawOptions>().as_ref() } {
        // SAFETY: as above: made by build_reloptions.
        Some(raw) => unsafe { raw.given(method) },
        None => of_method(method),
    }
}
