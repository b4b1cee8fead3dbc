//! Progress of a build, and of other long work on an index, in `pg_stat_progress_create_index`: phases and row counts.

use std::ffi::{CString, c_char};

use pgrx::{pg_guard, pg_sys};

/// What a build is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// First heap pass: drawing the training sample.
    SamplingRows,
    /// Training the coarse quantizer; `iteration` counts from 1 to `n_iter`.
    KMeans {
        /// The iteration that runs now.
        iteration: u32,
        /// How many there are.
        n_iter: u32,
    },
    /// Learning the rotation before everything else.
    TrainingRotation,
    /// Training the codebooks or ranges of the code.
    TrainingCodes,
    /// Second heap pass: assigning every row to a list.
    AssigningRows,
    /// Merging the rows by list and writing the index's pages.
    WritingPages,
    /// Second heap pass of a graph: coding every row.
    CodingRows,
    /// Linking the rows of a graph; as many are done and to do as the row counts say.
    BuildingGraph,
    /// Rows for which memory had no room go into the graph one by one.
    InsertingRows,
    /// Comparing every row with the queries that an index is measured by.
    ComparingRows,
    /// Asking the index these queries, with one setting after the other; the counts are those of the running one.
    MeasuringSettings,
    /// Finding out what recall costs on an index that has just been written.
    MeasuringRecall,
    /// Reading the rows of an index, or of a file, that becomes the other.
    ReadingRows,
    /// Reading the links of a graph.
    ReadingLinks,
    /// Writing a file.
    WritingFile,
}

/// What the server sets before the build begins.
const INITIALIZING: i64 = pg_sys::PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE as i64;
/// Where the numbers of k-means iterations begin: `KMEANS + n_iter * KMEANS_STEP + iteration`. A
/// number is all that another backend sees of a phase.
const KMEANS: i64 = 1_000_000;
const KMEANS_STEP: i64 = 1_000;

impl Phase {
    /// The number shown as the subphase.
    pub fn number(self) -> i64 {
        match self {
            Self::SamplingRows => 2,
            Self::AssigningRows => 3,
            Self::WritingPages => 4,
            Self::TrainingRotation => 5,
            Self::TrainingCodes => 6,
            Self::CodingRows => 7,
            Self::BuildingGraph => 8,
            Self::InsertingRows => 9,
            Self::ComparingRows => 10,
            Self::MeasuringSettings => 11,
            Self::ReadingRows => 12,
            Self::ReadingLinks => 13,
            Self::WritingFile => 14,
            Self::MeasuringRecall => 15,
            Self::KMeans { iteration, n_iter } => {
                KMEANS + i64::from(n_iter) * KMEANS_STEP + i64::from(iteration).min(KMEANS_STEP - 1)
            }
        }
    }

    /// The name of the phase with this number, None for a number that no phase has.
    fn name_of(number: i64) -> Option<String> {
        let name = match number {
            INITIALIZING => "initializing",
            2 => "sampling rows",
            3 => "assigning rows",
            4 => "writing pages",
            5 => "training rotation",
            6 => "training codes",
            7 => "coding rows",
            8 => "building graph",
            9 => "inserting rows",
            10 => "comparing rows",
            11 => "measuring settings",
            12 => "reading rows",
            13 => "reading links",
            14 => "writing file",
            15 => "measuring recall",
            KMEANS.. => {
                let (n_iter, i) =
                    ((number - KMEANS) / KMEANS_STEP, (number - KMEANS) % KMEANS_STEP);
                return Some(format!("k-means iteration {i} of {n_iter}"));
            }
            _ => return None,
        };
        Some(name.to_owned())
    }
}

/// The name of a phase number, allocated in the caller's memory context; null if there is no such
/// phase.
///
/// # Safety
/// Called by the server.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildphasename(phasenum: i64) -> *mut c_char {
    let name = Phase::name_of(phasenum).and_then(|name| CString::new(name).ok());
    // SAFETY: pstrdup copies a NUL-terminated string.
    name.map_or(std::ptr::null_mut(), |name| unsafe { pg_sys::pstrdup(name.as_ptr()) })
}

/// Shows `phase` as the running one.
pub fn set_phase(phase: Phase) {
    update(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, phase.number());
}

/// Shows how many rows the phase has to go through.
pub fn set_tuples_total(n: u64) {
    update(pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, n as i64);
}

/// Shows how many rows the phase has gone through.
pub fn set_tuples_done(n: u64) {
    update(pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, n as i64);
}

/// Shows work on `relation` like a build by access method `method`, until dropped; when an error unwinds, the server
/// ends it.
pub struct Shown(());

impl Shown {
    pub fn start(relation: pg_sys::Oid, method: pg_sys::Oid) -> Self {
        let command = pg_sys::ProgressCommandType::PROGRESS_COMMAND_CREATE_INDEX;
        // SAFETY: this backend's own slot; no other command of it reports progress.
        unsafe { pg_sys::pgstat_progress_start_command(command, relation) };
        update(
            pg_sys::PROGRESS_CREATEIDX_COMMAND,
            pg_sys::PROGRESS_CREATEIDX_COMMAND_CREATE.into(),
        );
        // The binding takes this parameter's number, 8, for an OID.
        let access_method = pg_sys::PROGRESS_CREATEIDX_ACCESS_METHOD_OID.to_u32();
        update(access_method, method.to_u32().into());
        update(pg_sys::PROGRESS_CREATEIDX_PHASE, pg_sys::PROGRESS_CREATEIDX_PHASE_BUILD.into());
        Self(())
    }

    /// The index that the work is about.
    pub fn about(self, index: pg_sys::Oid) -> Self {
        // As above, 6.
        update(pg_sys::PROGRESS_CREATEIDX_INDEX_OID.to_u32(), index.to_u32().into());
        self
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: started by us.
            unsafe { pg_sys::pgstat_progress_end_command() };
        }
    }
}

/// A store to this backend's slot in shared memory, with no lock; nothing when activity is not tracked, or when it is the
/// progress of another command that is shown: a VACUUM or an INSERT that builds lists anew.
fn update(index: u32, value: i64) {
    let create_index = pg_sys::ProgressCommandType::PROGRESS_COMMAND_CREATE_INDEX;
    // SAFETY: the entry is this backend's own, if there is one, and the index is one of the command's parameters; called by
    // the server's thread only.
    unsafe {
        let entry = pg_sys::MyBEEntry;
        if !entry.is_null() && (*entry).st_progress_command == create_index {
            pg_sys::pgstat_progress_update_param(index as i32, value);
        }
    }
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use pgrx::pg_test;

    use super::Phase;
    use crate::am::testing::value;

    #[pg_test]
    fn pgtest_phases_have_names() {
        let shown = |number: i64| -> String {
            value(&format!(
                "SELECT coalesce(pg_indexam_progress_phasename(oid, {number}), 'none')
                 FROM pg_am WHERE amname = 'faissivf'"
            ))
        };
        assert_eq!(shown(super::INITIALIZING), "initializing");
        assert_eq!(shown(Phase::SamplingRows.number()), "sampling rows");
        for (iteration, n_iter, name) in
            [(1, 10, "k-means iteration 1 of 10"), (10, 10, "k-means iteration 10 of 10")]
        {
            assert_eq!(shown(Phase::KMeans { iteration, n_iter }.number()), name);
        }
        assert_eq!(shown(Phase::TrainingRotation.number()), "training rotation");
        assert_eq!(shown(Phase::TrainingCodes.number()), "training codes");
        assert_eq!(shown(Phase::AssigningRows.number()), "assigning rows");
        assert_eq!(shown(Phase::WritingPages.number()), "writing pages");
        assert_eq!(shown(Phase::ComparingRows.number()), "comparing rows");
        assert_eq!(shown(Phase::MeasuringSettings.number()), "measuring settings");
        assert_eq!(shown(Phase::ReadingRows.number()), "reading rows");
        assert_eq!(shown(Phase::ReadingLinks.number()), "reading links");
        assert_eq!(shown(Phase::WritingFile.number()), "writing file");
        assert_eq!((shown(0), shown(77)), ("none".to_owned(), "none".to_owned()));
    }
}
