//! The settings `faiss.*`: what they mean, their ranges, and who wins over an index's own option.

pub mod aliases;
mod builds;
mod explicit;
#[cfg(feature = "pg_test")]
mod tests;

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};

use ann::tuning::curve::{TARGET_DEFAULT, TARGET_RANGE};
use grammar::options::{NLIST_MAX, Settings};
use pages::search::params::Iterative;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, GucValue, PostgresGucEnum};
use pgrx::pg_sys;

use super::options::IvfOptions;
pub use builds::{build_threads, debug_rebuild, training_rows};
pub use explicit::explicit_settings;

/// Smallest and largest `nprobe`, as a setting and as an index option.
pub const NPROBE_RANGE: (i32, i32) = (1, NLIST_MAX);
/// Smallest and largest `efSearch`, as a setting and as an index option.
pub const EF_SEARCH_RANGE: (i32, i32) = (1, 65_536);
/// Largest `k_factor`, as a setting and as an index option.
pub const K_FACTOR_MAX: i32 = 1024;
/// `faiss.nprobe`, `faiss.efSearch` and `faiss.k_factor` where the recall target decides.
const AUTOMATIC: i32 = 0;

/// How a scan goes on when the executor asks for more rows than the first `nprobe` lists gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PostgresGucEnum)]
pub enum IterativeScan {
    /// Goes on, rows in exact order of distance: without those that turn up nearer than one already
    /// returned.
    #[name = c"strict_order"]
    StrictOrder,
    /// Goes on, every row; those of a later stage may be nearer than rows already returned.
    #[name = c"relaxed_order"]
    RelaxedOrder,
    /// Ends after `nprobe` lists.
    #[name = c"off"]
    Off,
}

static RECALL_TARGET: Sourced<f64> = Sourced::new(GucSetting::<f64>::new(TARGET_DEFAULT));
static NPROBE: Sourced<i32> = Sourced::new(GucSetting::<i32>::new(AUTOMATIC));
static EF_SEARCH: Sourced<i32> = Sourced::new(GucSetting::<i32>::new(AUTOMATIC));
static K_FACTOR: Sourced<i32> = Sourced::new(GucSetting::<i32>::new(AUTOMATIC));
static ITERATIVE_SCAN: Sourced<IterativeScan> =
    Sourced::new(GucSetting::<IterativeScan>::new(IterativeScan::StrictOrder));
static MAX_SCAN_TUPLES: Sourced<i32> = Sourced::new(GucSetting::<i32>::new(0));

/// A setting that knows where its value came from.
struct Sourced<T: GucValue> {
    value: GucSetting<T>,
    /// Where the present value came from; written by the assign hook only.
    source: Cell<pg_sys::GucSource::Type>,
}
// SAFETY: settings are assigned and read by the backend's only server thread; worker threads never
// read settings.
unsafe impl<T: GucValue> Sync for Sourced<T> {}

impl<T: GucValue> Sourced<T> {
    const fn new(value: GucSetting<T>) -> Self {
        Self { value, source: Cell::new(pg_sys::GucSource::PGC_S_DEFAULT) }
    }

    /// Whether it was set for this database, role, connection, session or transaction.
    fn is_explicit(&self) -> bool {
        self.source.get() >= pg_sys::GucSource::PGC_S_DATABASE
    }

    /// Whether it was set anywhere, the configuration file among them.
    fn is_set(&self) -> bool {
        self.source.get() > pg_sys::GucSource::PGC_S_DYNAMIC_DEFAULT
    }

    /// # Safety
    /// `extra` is what [`keep_source`] stored for the value being assigned, or null.
    unsafe fn assign(&self, extra: *mut c_void) {
        // SAFETY: the caller's promise.
        if let Some(source) = unsafe { extra.cast::<pg_sys::GucSource::Type>().as_ref() } {
            self.source.set(*source);
        }
    }
}

/// What the setting or its alias says if that was set for this database, role, connection, session or transaction, else the
/// index's own option, else what the configuration file or the default says. Of setting and alias that one counts which
/// was set for less: for the session before for the role, and so on; else the setting. None: automatic.
fn resolved(own: &Sourced<i32>, alias: Option<&Sourced<i32>>, option: Option<u32>) -> Option<u32> {
    let setting = alias_instead(own, alias).unwrap_or(own);
    let value = setting.value.get().unsigned_abs();
    let value = if setting.is_explicit() { value } else { option.unwrap_or(value) };
    (value != AUTOMATIC.unsigned_abs()).then_some(value)
}

/// The alias that an index heeds in place of `own`, if it was set for less.
fn alias_instead<'a, T: GucValue, A: GucValue>(
    own: &Sourced<T>,
    alias: Option<&'a Sourced<A>>,
) -> Option<&'a Sourced<A>> {
    alias.filter(|alias| alias.is_set() && alias.source.get() > own.source.get())
}

/// What wins over an index's option: the setting, called `name`, or its alias.
fn winner(
    own: &Sourced<i32>,
    name: &'static CStr,
    alias: Option<&Sourced<i32>>,
    alias_name: &'static CStr,
) -> Option<&'static CStr> {
    match alias_instead(own, alias) {
        Some(alias) => alias.is_explicit().then_some(alias_name),
        None => own.is_explicit().then_some(name),
    }
}

fn nprobe_alias(settings: Settings) -> Option<&'static Sourced<i32>> {
    (settings == Settings::Ivfflat).then_some(&aliases::PROBES)
}

fn ef_search_alias(settings: Settings) -> Option<&'static Sourced<i32>> {
    (settings == Settings::Hnsw).then_some(&aliases::EF_SEARCH)
}

/// The recall that a scan aims at: `faiss.recall_target` where it wins over the index's option.
pub fn recall_target_for(options: &IvfOptions) -> f64 {
    let value = RECALL_TARGET.value.get();
    if RECALL_TARGET.is_explicit() { value } else { options.recall_target.unwrap_or(value) }
}

/// The number of lists a scan probes first: `faiss.nprobe` where it wins over the index's option; `None` = automatic.
pub fn nprobe_for(options: &IvfOptions) -> Option<u32> {
    resolved(&NPROBE, nprobe_alias(options.settings), options.nprobe)
}

/// The nodes that a search of a graph keeps in sight: `faiss.efSearch` where it wins over the index's option; `None` = automatic.
pub fn ef_search_for(options: &IvfOptions) -> Option<u32> {
    resolved(&EF_SEARCH, ef_search_alias(options.settings), options.ef_search)
}

/// How many candidates of a lossy code a scan re-ranks per row asked for: `faiss.k_factor` where it
/// wins over the index's option; `None` = automatic.
pub fn k_factor_for(options: &IvfOptions) -> Option<u32> {
    resolved(&K_FACTOR, None, options.k_factor)
}

/// The setting that wins over an index's own `nprobe` now, if one does.
pub fn nprobe_winner(settings: Settings) -> Option<&'static CStr> {
    winner(&NPROBE, c"faiss.nprobe", nprobe_alias(settings), c"ivfflat.probes")
}

/// The setting that wins over an index's own `k_factor` now, if one does.
pub fn k_factor_winner() -> Option<&'static CStr> {
    K_FACTOR.is_explicit().then_some(c"faiss.k_factor")
}

/// The setting that wins over an index's own `efSearch` now, if one does.
pub fn ef_search_winner(settings: Settings) -> Option<&'static CStr> {
    winner(&EF_SEARCH, c"faiss.efSearch", ef_search_alias(settings), c"hnsw.ef_search")
}

/// How a scan goes on, in the words of the page room.
pub fn iterative(settings: Settings) -> Iterative {
    let alias = match settings {
        Settings::Faiss => None,
        Settings::Hnsw => Some(&aliases::HNSW_SCAN),
        Settings::Ivfflat => Some(&aliases::IVFFLAT_SCAN),
    };
    let alias = alias_instead(&ITERATIVE_SCAN, alias).map(|alias| alias.value.get().into());
    match alias.unwrap_or_else(|| ITERATIVE_SCAN.value.get()) {
        IterativeScan::StrictOrder => Iterative::Strict,
        IterativeScan::RelaxedOrder => Iterative::Relaxed,
        IterativeScan::Off => Iterative::Off,
    }
}

/// The most vectors that a scan visits once it goes on beyond the first lists or nodes, and the setting that says so.
/// [`u64::MAX`] is no bound.
pub fn max_scan_tuples(settings: Settings) -> (u64, &'static str) {
    let alias = (settings == Settings::Hnsw).then_some(&aliases::MAX_SCAN_TUPLES);
    if let Some(alias) = alias_instead(&MAX_SCAN_TUPLES, alias) {
        return (u64::from(alias.value.get().unsigned_abs()), "hnsw.max_scan_tuples");
    }
    let most = match MAX_SCAN_TUPLES.value.get().unsigned_abs() {
        0 => u64::MAX,
        most => u64::from(most),
    };
    (most, "faiss.max_scan_tuples")
}

/// The most lists that a scan searches.
pub fn max_probes(settings: Settings) -> usize {
    let alias = (settings == Settings::Ivfflat).then_some(&aliases::MAX_PROBES);
    let set = alias.filter(|alias| alias.is_set());
    set.map_or(usize::MAX, |alias| alias.value.get().unsigned_abs() as usize)
}

/// `work_mem` in bytes.
pub fn work_mem() -> usize {
    // SAFETY: a plain variable of the server, changed by this thread only.
    usize::try_from(unsafe { pg_sys::work_mem }).unwrap_or(0) << 10
}

/// The worker threads of a batch of queries: as many processes as the server would give one query,
/// `max_parallel_workers_per_gather` + 1, at most the cores.
pub fn search_threads() -> usize {
    // SAFETY: as above.
    threads_beside(unsafe { pg_sys::max_parallel_workers_per_gather })
}

fn threads_beside(workers: c_int) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (workers.unsigned_abs() as usize + 1).min(cores)
}

/// Keeps the source of a new value in the hook's `extra`, which the server saves, restores and
/// frees with the value: so a rollback, RESET or the end of a function's SET brings back the source
/// of the value that comes back.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn keep_source(
    _newval: *mut c_int,
    extra: *mut *mut c_void,
    source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server's own arguments.
    unsafe { put_source(extra, source) }
}

/// As `keep_source`, for a setting that is a floating-point number.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn keep_source_of_float(
    _newval: *mut f64,
    extra: *mut *mut c_void,
    source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: as above.
    unsafe { put_source(extra, source) }
}

/// # Safety
/// `extra` is the server's place for what a check hook keeps.
unsafe fn put_source(extra: *mut *mut c_void, source: pg_sys::GucSource::Type) -> bool {
    // SAFETY: the server frees `extra` with the allocator that `alloc_extra` uses.
    let kept = unsafe { alloc_extra(size_of::<pg_sys::GucSource::Type>()) };
    if kept.is_null() {
        return false;
    }
    // SAFETY: `kept` is a fresh allocation of this size, `extra` the server's place for it.
    unsafe {
        kept.cast::<pg_sys::GucSource::Type>().write(source);
        *extra = kept;
    }
    true
}

/// The assign hook of a setting.
macro_rules! assign {
    ($name:ident => $setting:expr) => {
        assign!($name: c_int => $setting);
    };
    ($name:ident: $value:ty => $setting:expr) => {
        #[pgrx::pg_guard]
        unsafe extern "C-unwind" fn $name(_newval: $value, extra: *mut c_void) {
            // SAFETY: the setting's check hook is keep_source.
            unsafe { $setting.assign(extra) }
        }
    };
}
use assign;

assign!(assign_recall_target: f64 => RECALL_TARGET);
assign!(assign_nprobe => NPROBE);
assign!(assign_ef_search => EF_SEARCH);
assign!(assign_k_factor => K_FACTOR);
assign!(assign_iterative_scan => ITERATIVE_SCAN);
assign!(assign_max_scan_tuples => MAX_SCAN_TUPLES);

/// Memory that the server will free as a setting's `extra`; null when there is none.
#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn alloc_extra(size: usize) -> *mut c_void {
    // SAFETY: plain malloc; before 16 the server frees it with free().
    unsafe { libc::malloc(size) }
}

/// Memory that the server will free as a setting's `extra`; null when there is none.
#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe fn alloc_extra(size: usize) -> *mut c_void {
    // SAFETY: at LOG level guc_malloc returns null instead of raising an error.
    unsafe { pg_sys::guc_malloc(pg_sys::LOG as c_int, size) }
}

/// Defines the settings; called once per backend, from `_PG_init`.
pub fn register() {
    // SAFETY: the hooks have the signatures asked for and are static.
    unsafe {
        GucRegistry::define_int_guc_with_hooks(
            c"faiss.nprobe",
            c"Inverted lists that a faissivf scan searches first.",
            c"More lists find more of the true nearest rows and take proportionally more time. 0 means automatic, as many as faiss.recall_target takes. An explicit SET wins over an index's own nprobe option; as many as the index has lists gives exact results with code flat.",
            &NPROBE.value,
            AUTOMATIC,
            NPROBE_RANGE.1,
            GucContext::Userset,
            GucFlags::EXPLAIN,
            Some(keep_source),
            Some(assign_nprobe),
            None,
        );
        GucRegistry::define_int_guc_with_hooks(
            c"faiss.efSearch",
            c"Nodes that a faisshnsw scan keeps in sight, and candidates that it puts in order first.",
            c"More nodes find more of the true nearest rows and take proportionally more time. 0 means automatic, as many as faiss.recall_target takes. An explicit SET wins over an index's own efSearch option.",
            &EF_SEARCH.value,
            AUTOMATIC,
            EF_SEARCH_RANGE.1,
            GucContext::Userset,
            GucFlags::EXPLAIN,
            Some(keep_source),
            Some(assign_ef_search),
            None,
        );
        GucRegistry::define_int_guc_with_hooks(
            c"faiss.k_factor",
            c"Candidates of a lossy code that a scan re-ranks by real distances, per row asked for.",
            c"More candidates find more of the near rows that the codes misjudge and compute more real distances. 0 means automatic, as many as faiss.recall_target takes. An explicit SET wins over an index's own k_factor option; code flat has nothing to re-rank.",
            &K_FACTOR.value,
            AUTOMATIC,
            K_FACTOR_MAX,
            GucContext::Userset,
            GucFlags::EXPLAIN,
            Some(keep_source),
            Some(assign_k_factor),
            None,
        );
    }
    register_target();
    register_ends();
    builds::register();
    reserve_prefix(c"faiss");
}

/// Defines the setting by which the others are automatic.
fn register_target() {
    GucRegistry::define_float_guc_with_hooks(
            c"faiss.recall_target",
            c"The part of the true nearest rows that a scan is to find, on average.",
            c"A scan goes as far as this took when the index was built: it chooses nprobe, k_factor or efSearch where these are not set. An explicit SET wins over an index's own recall_target option.",
            &RECALL_TARGET.value,
            TARGET_RANGE.0,
            TARGET_RANGE.1,
            GucContext::Userset,
            GucFlags::EXPLAIN,
            Some(keep_source_of_float),
            Some(assign_recall_target),
            None,
        );
}

/// Defines the settings that say how a scan goes on and where it ends.
fn register_ends() {
    // SAFETY: the hooks have the signatures asked for and are static.
    unsafe {
        GucRegistry::define_enum_guc_with_hooks(
            c"faiss.iterative_scan",
            c"How an index scan goes on when the first lists did not give enough rows.",
            c"strict_order goes on in exact order of distance, and rows that turn up nearer than one already returned follow at the end; relaxed_order returns these as soon as they are found, and so out of order; off stops after nprobe lists, so that a query with a filter can return fewer rows than its LIMIT.",
            &ITERATIVE_SCAN.value,
            GucContext::Userset,
            GucFlags::EXPLAIN,
            Some(keep_source),
            Some(assign_iterative_scan),
            None,
        );
        GucRegistry::define_int_guc_with_hooks(
            c"faiss.max_scan_tuples",
            c"Vectors that one index scan visits at most when it goes on beyond the first lists.",
            c"0 sets no bound: a scan returns every row if it is asked for all. A scan that ends at its bound says so.",
            &MAX_SCAN_TUPLES.value,
            0,
            i32::MAX,
            GucContext::Userset,
            GucFlags::EXPLAIN,
            Some(keep_source),
            Some(assign_max_scan_tuples),
            None,
        );
    }
}

/// Makes a misspelt setting of this prefix an error instead of a silent placeholder.
fn reserve_prefix(prefix: &'static CStr) {
    // SAFETY: a static C string; the server copies it.
    unsafe {
        #[cfg(feature = "pg14")]
        pg_sys::EmitWarningsOnPlaceholders(prefix.as_ptr());
        #[cfg(not(feature = "pg14"))]
        pg_sys::MarkGUCPrefixReserved(prefix.as_ptr());
    }
}
