//! What was measured before: `baselines.txt`, a line per measurement.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

/// The same rows and seed train the same centroids on one machine; another one's kernels may add up
/// in another order.
const SLACK: f64 = 0.005;
/// Tests that write at the same time.
static FILE: Mutex<()> = Mutex::new(());

/// The stored figures of one index.
pub struct Baseline {
    key: String,
}

/// The baseline of a data set, and a code if it is one of those, under one name, cut to so many rows and queries.
pub fn of(name: &str, rows: usize, queries: usize, nlist: u32) -> Baseline {
    Baseline { key: format!("{name} rows={rows} queries={queries} nlist={nlist}") }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("recall/baselines.txt")
}

impl Baseline {
    fn line(&self, nprobe: u32) -> String {
        format!("{} nprobe={nprobe} recall@10=", self.key)
    }

    /// Fails if a figure fell, or rose, beyond `SLACK`; both mean that something changed.
    pub fn check(&self, measured: &[(u32, f64)]) {
        let _one_at_a_time = FILE.lock();
        let text = fs::read_to_string(path()).unwrap_or_default();
        if std::env::var_os("UPDATE_EXPECT").is_some_and(|v| v == "1") {
            self.write(&text, measured);
            return;
        }
        for &(nprobe, recall) in measured {
            let start = self.line(nprobe);
            let stored = text.lines().find_map(|line| line.strip_prefix(&start));
            let Some(stored) = stored.and_then(|s| s.parse::<f64>().ok()) else {
                panic!("no baseline {start}; write it by UPDATE_EXPECT=1 cargo xtask test recall");
            };
            assert!(
                (recall - stored).abs() <= SLACK,
                "{start}{recall:.4}, the baseline says {stored}; if that is right: \
                 UPDATE_EXPECT=1 cargo xtask test recall"
            );
        }
    }

    fn write(&self, text: &str, measured: &[(u32, f64)]) {
        let stale = format!("{} ", self.key);
        let mut lines: Vec<String> =
            text.lines().filter(|l| !l.starts_with(&stale)).map(str::to_owned).collect();
        let new = measured.iter().map(|&(n, recall)| format!("{}{recall:.4}", self.line(n)));
        lines.extend(new);
        fs::write(path(), lines.join("\n") + "\n").unwrap();
    }
}
