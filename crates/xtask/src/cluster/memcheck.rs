//! A server under valgrind, which looks at every access to memory that its processes make: with `PGFAISS_VALGRIND=1`, some
//! thirty times slower. Its CPU has AVX2 at most.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Reports of a cluster's processes are files of its directory that begin so; the process id follows.
const REPORT: &str = "memcheck.";

/// Whether servers run under valgrind.
pub fn is_wanted() -> bool {
    std::env::var_os("PGFAISS_VALGRIND").is_some_and(|value| value == "1")
}

/// Valgrind, for the cluster in `dir`; the program and its arguments come after.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new("valgrind");
    // Sessions are forks of the server: those are followed. What a process holds at its end is no leak.
    command.args(["--quiet", "--leak-check=no", "--num-callers=60", "--error-limit=no"]);
    command.arg("--xml=yes").arg(format!("--xml-file={}/{REPORT}%p", dir.display()));
    command
}

/// What valgrind found wrong in the cluster in `dir` where `library` was among the callers. Bytes without a value that reach a file
/// do not count: whoever fills the WAL writes out what others left in it, padding of the server's own records too.
pub fn faults(dir: &Path, library: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(REPORT) {
            let report = fs::read(entry.path())?;
            faults.extend(faults_of(&String::from_utf8_lossy(&report), library));
        }
    }
    Ok(faults)
}

fn faults_of(report: &str, library: &str) -> Vec<String> {
    let errors = report.split("<error>").skip(1);
    let errors = errors.map(|rest| rest.split("</error>").next().unwrap_or(rest));
    let is_ours = |error: &&str| {
        error.contains(library) && element(error, "kind").is_none_or(|kind| kind != "SyscallParam")
    };
    errors.filter(is_ours).map(told).collect()
}

/// A kind, what happened, and the callers, a line each.
fn told(error: &str) -> String {
    let mut lines = vec![element(error, "kind").unwrap_or_default().to_owned()];
    lines.extend(element(error, "what").or_else(|| element(error, "text")).map(str::to_owned));
    for frame in error.split("<frame>").skip(1) {
        let part = |name| element(frame, name).unwrap_or("?");
        lines.push(format!("  {} ({}:{})", part("fn"), part("file"), part("line")));
    }
    lines.join("\n")
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::faults_of;

    #[test]
    fn faults_of_the_library_are_told() {
        let error = |kind: &str, library: &str| {
            format!(
                "<error><kind>{kind}</kind><what>Invalid read of size 4</what><stack>
                 <frame><obj>/lib/{library}</obj><fn>sum</fn><file>rows.rs</file><line>7</line></frame>
                 <frame><obj>/bin/postgres</obj></frame></stack></error>"
            )
        };
        let read = |library| error("InvalidRead", library);
        let report = [read("other.so"), error("SyscallParam", "ours.so"), read("ours.so")].concat();
        let told = "InvalidRead\nInvalid read of size 4\n  sum (rows.rs:7)\n  ? (?:?)";
        assert_eq!(faults_of(&report, "/ours.so"), [told]);
    }
}
