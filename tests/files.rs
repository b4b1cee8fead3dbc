//! FAISS files, in and out of a server, held against FAISS itself: `python/files.py` has the checks, `docs/faiss-files.md` the examples.
//! `PGFAISS_FULL=1` makes a million rows of what is timed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use checks::Database;

const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy<3", "psycopg[binary]==3.3.9"];
/// Older releases of FAISS, with the packages that they do not ask for themselves.
const OLDER: [&[&str]; 2] = [
    &["faiss-cpu==1.7.4", "numpy<2", "packaging", "setuptools"],
    &["faiss-cpu==1.9.0", "numpy<2", "packaging", "setuptools"],
];

fn environment() -> PathBuf {
    xtask::python::environment("files", REQUIREMENTS).unwrap_or_else(|e| panic!("{e:#}"))
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

/// Runs a program to its end and shows what it says; panics if it fails.
fn run(command: &mut Command) -> String {
    // One thread: with more the sums of FAISS's k-means come in another order each time.
    let out = command.env("OMP_NUM_THREADS", "1").output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    println!("{said}");
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    said
}

fn part(name: &str, arguments: &[&str]) -> String {
    let db = Database::new(&format!("files_{name}"));
    let mut python = Command::new(environment().join("bin/python"));
    run(python.arg(script("files.py")).arg(db.conninfo()).arg(name).args(arguments))
}

#[test]
fn imported_models_build_what_the_file_has() {
    part("models", &[]);
}

#[test]
fn exported_files_answer_like_faiss() {
    part("exports", &[]);
}

#[test]
fn exported_graphs_keep_their_links() {
    part("graphs", &[]);
}

#[test]
fn graphs_of_faiss_are_taken_over() {
    part("adoption", &[]);
}

#[test]
fn rows_come_out_of_files() {
    part("rows", &[]);
}

#[test]
fn what_has_no_counterpart_is_refused() {
    part("refused", &[]);
}

#[test]
fn files_of_older_releases_are_read() {
    for requirements in OLDER {
        let name = requirements[0].replace("==", "-");
        let older = match xtask::python::environment(&name, requirements) {
            Ok(older) => older,
            Err(e) => {
                // A Python that is too new for the release.
                println!("skipped: {name}: {e:#}");
                continue;
            }
        };
        let dir = tempfile::tempdir().unwrap();
        run(Command::new(older.join("bin/python")).arg(script("older_files.py")).arg(dir.path()));
        let said = {
            let db = Database::new(&name);
            let mut python = Command::new(environment().join("bin/python"));
            let python = python.arg(script("files.py")).arg(db.conninfo()).arg("older");
            run(python.arg(dir.path()))
        };
        assert!(said.lines().count() >= 30, "{name}: {said}");
    }
}

/// Seconds and peak memory of each step.
#[test]
fn every_step_is_timed() {
    let rows = if std::env::var_os("PGFAISS_FULL").is_some_and(|v| v == "1") {
        "1000000"
    } else {
        "20000"
    };
    part("timed", &[rows]);
}

/// A block of the manual: its language and its lines.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let fenced = document.split("\n```").skip(1).step_by(2);
    let whole = fenced.filter_map(|block| block.split_once('\n'));
    whole.map(|(language, text)| Block { language, text }).collect()
}

/// Runs every block in turn, in one folder and one database: `python` is saved under the name in its first line, `sh` and `sql` are
/// run, `text` is what the block before it must have said.
#[test]
fn the_manual_is_true() {
    let document = xtask::build::repository().join("docs/faiss-files.md");
    let document = fs::read_to_string(document).unwrap();
    let db = Database::new("files_manual");
    let dir = tempfile::tempdir().unwrap();
    let mut said = String::new();
    let mut compared = 0;
    for Block { language, text } in blocks(&document) {
        let text = format!("{text}\n");
        match language {
            "python" => {
                let name = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap();
                fs::write(dir.path().join(name), &text).unwrap();
            }
            "sql" | "sh" => {
                fs::write(dir.path().join("block"), &text).unwrap();
                said = output(&db, dir.path(), language);
            }
            "text" => {
                assert_eq!(trimmed(&said), trimmed(&text), "what the manual says");
                compared += 1;
            }
            other => panic!("a block of {other}"),
        }
    }
    assert!(compared >= 4, "{compared} answers");
}

/// Without white space at the ends of lines, which the manual has not.
fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// What the block in the folder says when it is run there.
fn output(db: &Database, dir: &Path, language: &str) -> String {
    let psql = db.psql();
    let mut command = Command::new("sh");
    command.current_dir(dir).envs(psql.get_envs().filter_map(|(k, v)| Some((k, v?))));
    // The scripts call psql as a user does: without arguments that say where.
    let arguments: Vec<String> =
        psql.get_args().map(|a| format!("'{}'", a.to_string_lossy())).collect();
    let wrapper = dir.join("psql");
    let program = psql.get_program().to_string_lossy().into_owned();
    fs::write(&wrapper, format!("#!/bin/sh\nexec '{program}' {} \"$@\"\n", arguments.join(" ")))
        .unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = environment().join("bin");
    command.env("PATH", format!("{}:{}:{path}", dir.display(), bin.display()));
    run(Command::new("chmod").arg("+x").arg(&wrapper));
    let line = match language {
        "sql" => "psql -q -f block 2>&1 | sed 's/^psql:[^ ]* //'",
        _ => "sh -e block",
    };
    run(command.arg("-c").arg(line))
}
