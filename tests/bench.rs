//! The bench enters every one of its paths on tiny data: each method of ours is built, swept,
//! written to, vacuumed and reported. No figure is looked at, except that an exact scan is exact.

use std::fs;

#[test]
fn a_smoke_run_measures_and_reports_everything() {
    let out = tempfile::tempdir().unwrap();
    let report = xtask::bench::smoke(checks::release(), out.path()).unwrap();
    for part in ["Cost at a recall", "Build", "Inserts", "VACUUM", "Every point", "Kernels"] {
        assert!(report.contains(part), "no \"{part}\" in the report:\n{report}");
    }
    let exact = |line: &&str| line.starts_with("| exact (pgfaiss) |") && line.contains("1.0000");
    assert!(report.lines().any(|line| exact(&line)), "the exact scan is not exact:\n{report}");
    let failed = report.lines().find(|line| line.contains("failed while searching"));
    assert_eq!(failed, None);
    let pages = fs::read_dir(out.path()).unwrap();
    let pages =
        pages.filter(|e| e.as_ref().is_ok_and(|e| e.path().extension() == Some("html".as_ref())));
    assert_eq!(pages.count(), 1);
}
