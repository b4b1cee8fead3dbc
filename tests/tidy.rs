//! Rules the sources keep that neither the compiler nor clippy checks; src/README.md says why.
//! Needs no server. Those of the documentation are in `tidy/manual.rs`.

#[path = "tidy/manual.rs"]
mod manual;

use std::fs;
use std::path::Path;

const MAX_LINES: usize = 500;

/// One text file of the repository.
struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        self.path.ends_with(&format!(".{extension}"))
    }

    fn within(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| self.path.starts_with(room))
    }

    /// Lines with their numbers from 1, without line comments: these may name what code may not use.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| {
            let end = line.find("//").unwrap_or(line.len());
            (i + 1, &line[..end])
        })
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(xtask::build::repository(), "", &mut found);
    assert!(found.iter().any(|s| s.path == "src/lib.rs"), "the sources were not found");
    found
}

fn collect(dir: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let skip = ["target", ".git", "data", "__pycache__", "node_modules", "out"];
        if skip.contains(&name) || name.starts_with(".venv") {
            continue;
        }
        let inner = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{inner}/"), found);
        } else if ["rs", "sql", "md", "toml", "py", "control"].iter().any(|e| inner.ends_with(e)) {
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source { path: inner, text });
        }
    }
}

/// Fails with every offence at once.
fn none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// Whether `line` holds `word` between characters that cannot be part of a name.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part)
    })
}

/// Every place in Rust code, outside the `allowed` rooms, that holds one of `words`.
fn uses(words: &[&str], among: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources() {
        // This file spells out what it forbids.
        let exempt = source.path == "tests/tidy.rs" || source.within(allowed);
        if !source.is("rs") || exempt || !source.within(among) {
            continue;
        }
        for (number, line) in source.code() {
            if let Some(word) = words.iter().find(|word| has_word(line, word)) {
                offences.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    offences
}

#[test]
fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|s| s.is("rs") && !s.text.starts_with("//! "));
    none("a file starts with //! and its purpose", silent.map(|s| s.path).collect());
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().filter(|s| s.is("rs") && s.text.lines().count() > MAX_LINES);
    none("a file has at most 500 lines", long.map(|s| s.path).collect());
}

#[test]
fn names_say_something() {
    let vague = ["utils.rs", "util.rs", "common.rs", "helpers.rs", "misc.rs"];
    let named = |s: &Source| vague.iter().any(|v| s.path.rsplit('/').next() == Some(v));
    none(
        "no drawers for odds and ends",
        sources().into_iter().filter(named).map(|s| s.path).collect(),
    );
}

#[test]
fn the_server_is_called_from_two_rooms() {
    none("pg_sys only in am and sql", uses(&["pg_sys"], &[""], &["src/am/", "src/sql/"]));
}

#[test]
fn buffers_and_wal_have_one_owner() {
    let mut raw = vec!["LockBuffer", "BufferGetPage", "LockBufferForCleanup", "ReadBufferExtended"];
    raw.extend(["GenericXLogStart", "GenericXLogRegisterBuffer", "GenericXLogFinish"]);
    let offences = uses(&raw, &[""], &["src/am/pages.rs", "src/am/pages/"]);
    none("raw buffers and WAL only in src/am/pages", offences);
}

#[test]
fn unsafe_code_has_its_places() {
    let allowed = ["src/", "crates/ann/src/kernels", "fuzz/targets/strtof.rs"];
    none("unsafe only in the extension and the kernels", uses(&["unsafe"], &[""], &allowed));
}

#[test]
fn threads_stay_away_from_the_server() {
    let offences = uses(&["rayon"], &["src/", "crates/pages/"], &[]);
    none("rayon only in ann, so that no worker can reach the server", offences);
}

#[test]
fn the_extension_touches_nothing_but_the_database() {
    let outside = ["std::fs", "OpenOptions", "File", "std::net", "std::process", "libc::open"];
    let rooms = [
        "src/",
        "crates/ann/src/",
        "crates/pages/src/",
        "crates/report/src/",
        "crates/faissfile/src/",
    ];
    none("no file, socket or program within reach of SQL", uses(&outside, &rooms, &[]));
}

#[test]
fn rooms_look_one_way() {
    none("am never uses sql", uses(&["crate::sql"], &["src/am/"], &[]));
    let pure =
        ["crates/ann/", "crates/pages/", "crates/grammar/", "crates/report/", "crates/faissfile/"];
    none("the pure rooms know no pgrx", uses(&["pgrx"], &pure, &[]));
}

#[test]
fn text_is_clean() {
    let mut offences = Vec::new();
    for source in sources() {
        for (i, line) in source.text.lines().enumerate() {
            let at = format!("{}:{}", source.path, i + 1);
            if line.ends_with([' ', '\t']) {
                offences.push(format!("{at}: white space at the end"));
            }
            if source.path != "tests/tidy.rs" && ["TODO", "FIXME"].iter().any(|w| has_word(line, w))
            {
                offences.push(format!("{at}: an open end; finish it or open an issue"));
            }
        }
        if !source.text.is_empty() && !source.text.ends_with('\n') {
            offences.push(format!("{}: no line end at the end", source.path));
        }
    }
    none("clean text", offences);
}

#[test]
fn every_page_kind_is_in_the_contract() {
    let sources = sources();
    let text = |path: &str| &sources.iter().find(|s| s.path == path).unwrap().text;
    let kinds = text("crates/pages/src/page.rs").split_once("pub enum PageKind {").unwrap().1;
    let contract = text("crates/pages/README.md");
    let mut seen = 0;
    for line in kinds.lines().take_while(|line| !line.starts_with('}')) {
        let Some((name, number)) = line.trim().trim_end_matches(',').split_once(" = ") else {
            continue;
        };
        seen += 1;
        let row = format!("| {} | {number} |", name.to_uppercase());
        assert!(contract.contains(&row), "crates/pages/README.md has no row \"{row}\"");
    }
    assert!(seen > 0, "no page kinds found");
}

/// The functions a script makes for users: those of schema `faiss` but what the server calls.
fn functions(script: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in script.lines() {
        let upper = line.to_uppercase();
        let made = upper.starts_with("CREATE FUNCTION") || upper.starts_with("CREATE PROCEDURE");
        let Some(at) = line.find("faiss.").filter(|_| made) else { continue };
        let rest = &line[at..];
        let end = rest.find('(').unwrap_or(rest.len());
        let name = rest[..end].trim();
        if !name.ends_with("_handler") && !name.ends_with("_support") {
            names.push(name.to_owned());
        }
    }
    names
}

/// The settings and index options a source file defines: C strings of one word such as
/// `c"faiss.nprobe"` and, where options are made, `c"nlist"`.
fn settings(source: &Source) -> Vec<String> {
    let options = source.path == "src/am/options/registry.rs";
    let starts = source.text.match_indices("c\"").map(|(at, _)| at + 2);
    let word = |at: usize| source.text[at..].split('"').next().unwrap_or("").to_owned();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let wanted = |w: &String| {
        w.chars().all(is_name) && (w.starts_with("faiss.") || options && !w.is_empty())
    };
    starts.map(word).filter(wanted).collect()
}
