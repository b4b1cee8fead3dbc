//! Which search settings an index has, which values are worth trying, and how to set them for a moment.

use std::ffi::{CStr, CString};

use ann::tuning::Axis;
use grammar::options::Settings;
use pgrx::pg_sys;

use crate::am::guc;
use crate::am::method::method_of;
use crate::am::options::options_of;
use crate::am::pages::PgPages;
use crate::am::recall_target;
use crate::am::relation::{Index, cached_index};
use crate::am::rights::set_for_level;

/// The largest `k_factor` tried, above which reading candidates from the table takes longer than any scan of codes.
const K_FACTOR_TRIED: u32 = 256;

/// The values of `efSearch` tried first.
const EF_SEARCH_TRIED: [u32; 9] = [4, 8, 16, 32, 64, 128, 256, 512, 1000];

/// A setting that trades recall for time, also an option of the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SearchSetting {
    /// Lists searched.
    Nprobe,
    /// Candidates re-ranked per row.
    KFactor,
    /// Nodes of a graph kept in sight.
    EfSearch,
}

impl SearchSetting {
    /// The option's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nprobe => "nprobe",
            Self::KFactor => "k_factor",
            Self::EfSearch => "efsearch",
        }
    }

    /// The setting's name.
    pub fn guc(self) -> &'static CStr {
        match self {
            Self::Nprobe => c"faiss.nprobe",
            Self::KFactor => c"faiss.k_factor",
            Self::EfSearch => c"faiss.efSearch",
        }
    }

    /// What wins over the option of an index that heeds `settings` now, if anything does.
    pub fn winner(self, settings: Settings) -> Option<&'static CStr> {
        match self {
            Self::Nprobe => guc::nprobe_winner(settings),
            Self::KFactor => guc::k_factor_winner(),
            Self::EfSearch => guc::ef_search_winner(settings),
        }
    }

    /// Gives it a value, as SET LOCAL would, until the measurement ends.
    pub fn set(self, value: u32) {
        if let Ok(value) = CString::new(value.to_string()) {
            set_for_level(self.guc(), &value);
        }
    }
}

/// A setting that an index has.
pub struct IndexSetting {
    pub setting: SearchSetting,
    /// The values worth trying.
    pub axis: Axis,
    /// What a scan uses now. It is a fraction where it was measured, and the mean number of lists where each query has its own.
    pub now: f64,
}

/// The settings of `index`, an open index of ours, as a scan for `k` rows has them, what is searched first. None where there is nothing to choose: every row
/// is compared exactly.
pub fn settings_of(index: pg_sys::Relation, k: usize) -> Vec<IndexSetting> {
    let (options, tuples) = (options_of(index), recall_target::tuples_of(index));
    let (method, rows) = (method_of(index), Some(k as u64));
    // SAFETY: the index stays open during the call.
    let pages = unsafe { PgPages::new(index) };
    let cached = cached_index(index, &pages);
    if method.is_some_and(|method| method.is_graph) {
        let axis = Axis { ladder: EF_SEARCH_TRIED.to_vec(), start: 0 };
        let meta = match &cached {
            Index::Graph(graph) => Some(&graph.meta),
            // Too few rows to be a graph yet.
            Index::Lists(_) => None,
        };
        let now = recall_target::ef_search(&options, meta, rows, tuples);
        return vec![IndexSetting { setting: SearchSetting::EfSearch, axis, now: now.into() }];
    }
    let Index::Lists(ivf) = cached else { return Vec::new() };
    let choice = recall_target::of_lists(&options, &ivf.meta, rows, tuples);
    let has_lists = method.is_some_and(|method| method.has_lists);
    let nlist = ivf.meta.nlist() as u32;
    let lists = (has_lists && ivf.meta.is_trained()).then(|| IndexSetting {
        setting: SearchSetting::Nprobe,
        axis: doubling(nlist, 1),
        now: choice.nprobe.min(nlist).into(),
    });
    let code = ivf.code.as_ref().map(|code| {
        let automatic = code.params.kind.k_factor(ivf.meta.dims()) as u32;
        IndexSetting {
            setting: SearchSetting::KFactor,
            axis: doubling(K_FACTOR_TRIED, automatic),
            now: choice.budget.per_row,
        }
    });
    lists.into_iter().chain(code).collect()
}

/// 1, 2, 4 … `last`, and `usual` among them.
fn doubling(last: u32, usual: u32) -> Axis {
    let mut ladder: Vec<u32> = (0..31).map(|i| 1 << i).take_while(|&value| value < last).collect();
    ladder.extend([last, usual.clamp(1, last)]);
    ladder.sort_unstable();
    ladder.dedup();
    let start = ladder.iter().position(|&value| value >= usual).unwrap_or(0);
    Axis { ladder, start }
}

/// As FAISS writes settings: `nprobe=16,k_factor=4`.
pub fn text<'a>(settings: impl Iterator<Item = (&'a IndexSetting, f64)>) -> String {
    let texts: Vec<String> = settings
        .map(|(index, value)| format!("{}={}", index.setting.name(), shown(value)))
        .collect();
    texts.join(",")
}

/// A value with two digits behind the point at most.
fn shown(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
