//! What was done to which kind of index how often, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use checks::catalogue::Deal;

/// A table of results: a row for each kind of index, a column for each fault.
#[derive(Default)]
pub struct Account {
    cells: BTreeMap<(String, &'static str), Cell>,
    /// Fault, and index and kind, of what is under way.
    now: Option<(&'static str, Vec<(String, String)>)>,
    notes: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    done: u64,
    failed: u64,
}

impl Account {
    /// From now on a failure is one of these indexes under this fault.
    pub fn begin(&mut self, fault: &'static str, deal: &Deal) {
        let kinds = deal.kinds.iter().map(|k| (k.indexed.index.clone(), k.name.clone()));
        self.now = Some((fault, kinds.collect()));
    }

    /// What began went well.
    pub fn end(&mut self) {
        let Some((fault, kinds)) = self.now.take() else { return };
        for (_, kind) in kinds {
            self.cells.entry((kind, fault)).or_default().done += 1;
        }
    }

    /// What began failed: by the index that the message names, or all of them.
    pub fn fail(&mut self, message: &str) {
        let Some((fault, mut kinds)) = self.now.take() else {
            self.cells.entry(("(before the first)".to_owned(), "-")).or_default().failed += 1;
            return;
        };
        if kinds.iter().any(|(index, _)| message.contains(index)) {
            kinds.retain(|(index, _)| message.contains(index));
        }
        for (_, kind) in kinds {
            let cell = self.cells.entry((kind, fault)).or_default();
            cell.done += 1;
            cell.failed += 1;
        }
    }

    /// Counts something else that is worth knowing.
    pub fn note(&mut self, what: &'static str, n: u64) {
        *self.notes.entry(what).or_default() += n;
    }

    pub fn failed(&self) -> u64 {
        self.cells.values().map(|cell| cell.failed).sum()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: BTreeSet<&str> = self.cells.keys().map(|(_, fault)| *fault).collect();
        let kinds: BTreeSet<&str> = self.cells.keys().map(|(kind, _)| kind.as_str()).collect();
        write!(f, "{:<46}", "index")?;
        faults.iter().try_for_each(|fault| write!(f, " | {fault}"))?;
        writeln!(f, " | result")?;
        for kind in kinds {
            write!(f, "{kind:<46}")?;
            let mut failed = 0;
            for fault in &faults {
                let cell = self.cells.get(&(kind.to_owned(), *fault)).copied().unwrap_or_default();
                write!(f, " | {:>1$}", cell.done, fault.len())?;
                failed += cell.failed;
            }
            let result = if failed == 0 { "ok".to_owned() } else { format!("{failed} FAILED") };
            writeln!(f, " | {result}")?;
        }
        self.notes.iter().try_for_each(|(what, n)| writeln!(f, "{what}: {n}"))
    }
}
