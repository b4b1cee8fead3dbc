//! Clients made for pgvector work unchanged: each script of `python/` and `node/` uses one, as it comes from PyPI or npm at
//! a pinned version, in an empty database of a server with our extension `vector`. Some also run beside pgvector itself.
//! What cannot be installed is skipped, and the reason printed.

mod dump;
mod packages;
mod place;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};

use packages::Group;
use place::Place;
use xtask::markdown::Page;

/// A script and what it runs with.
struct Client {
    name: &'static str,
    group: Group,
    /// Whether it also runs beside pgvector, with our index in the place of its own.
    beside: bool,
}

const fn client(name: &'static str, group: Group) -> Client {
    Client { name, group, beside: false }
}

const fn beside_too(name: &'static str, group: Group) -> Client {
    Client { name, group, beside: true }
}

const CLIENTS: &[Client] = &[
    client("psycopg", Group::Drivers),
    client("psycopg2", Group::Drivers),
    client("asyncpg", Group::Drivers),
    client("pg8000", Group::Drivers),
    beside_too("sqlalchemy", Group::Drivers),
    client("sqlmodel", Group::Drivers),
    client("peewee", Group::Drivers),
    beside_too("django", Group::Drivers),
    beside_too("langchain", Group::Frameworks),
    beside_too("llamaindex", Group::Frameworks),
    beside_too("haystack", Group::Frameworks),
    beside_too("mem0", Group::Frameworks),
    beside_too("vecs", Group::Frameworks),
    client("agno", Group::Frameworks),
    client("pgvector_node", Group::Node),
    client("langchain_js", Group::Node),
    client("drizzle", Group::Node),
    client("prisma", Group::Node),
    client("typeorm", Group::Node),
];

fn main() {
    let arguments = Arguments::from_args();
    install_wanted(&arguments);
    let mut trials = vec![Trial::test("docs", || Ok(every_block_of_the_docs_is_run()?))];
    trials.push(dump_trial(&arguments));
    for place in Place::ALL {
        trials.extend(trials_in(place, &arguments));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Installs what the chosen tests need, all of it at once: most of that time is spent waiting for the network. What cannot
/// be had is said with the tests that it would have been for.
fn install_wanted(arguments: &Arguments) {
    let is_chosen = |client: &&Client| {
        Place::ALL.iter().any(|place| is_wanted(arguments, &name_of(client, *place)))
    };
    thread::scope(|scope| {
        for client in CLIENTS.iter().filter(is_chosen) {
            scope.spawn(|| client.group.hindrance());
        }
    });
}

fn name_of(client: &Client, place: Place) -> String {
    format!("{}::{}", place.name(), client.name)
}

/// Moving a database from pgvector to ours and back, if there is a server with pgvector.
fn dump_trial(arguments: &Arguments) -> Trial {
    let name = "beside::dump";
    let hindrance = is_wanted(arguments, name).then(|| Place::Beside.hindrance()).flatten();
    if let Some(reason) = &hindrance {
        println!("skipped: {name}: {reason}");
    }
    let run = || dump::both_ways().map_err(|e| format!("{e:#}").into());
    Trial::test(name, run).with_ignored_flag(hindrance.is_some())
}

/// A test for each client that can run in `place`.
fn trials_in(place: Place, arguments: &Arguments) -> Vec<Trial> {
    let chosen = CLIENTS.iter().filter(|client| place == Place::DropIn || client.beside);
    let mut trials = Vec::new();
    for client in chosen {
        let name = name_of(client, place);
        let wanted = is_wanted(arguments, &name);
        let hindrance =
            wanted.then(|| place.hindrance().or_else(|| client.group.hindrance())).flatten();
        if let Some(reason) = &hindrance {
            println!("skipped: {name}: {reason}");
        }
        let trial = Trial::test(name, move || run(client, place));
        trials.push(trial.with_ignored_flag(hindrance.is_some()));
    }
    trials
}

/// Whether the command line asks for this test, so that its packages are needed.
fn is_wanted(arguments: &Arguments, name: &str) -> bool {
    let matches = |pattern: &String| match arguments.exact {
        true => name == pattern,
        false => name.contains(pattern.as_str()),
    };
    !arguments.list
        && arguments.filter.as_ref().is_none_or(matches)
        && !arguments.skip.iter().any(matches)
}

/// Runs the script in a database of its own; what it printed is shown if it failed.
fn run(client: &Client, place: Place) -> Result<(), Failed> {
    let installed = client.group.installed().as_ref().map_err(String::as_str)?;
    let mut script = installed.script(client.name);
    place.database(client.name)?.describe_to(&mut script);
    let out = script.output()?;
    let (said, complained) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if !out.status.success() {
        return Err(format!("{}\n{said}{complained}", out.status).into());
    }
    // What a script leaves out it says; that a test passed must not hide it.
    for line in said.lines().filter(|line| line.starts_with("left out")) {
        println!("{}: {line}", name_of(client, place));
    }
    if std::env::var_os("PGFAISS_VERBOSE").is_some() {
        println!("{said}");
    }
    Ok(())
}

/// What the pages of `docs` show of clients is part of a script.
fn every_block_of_the_docs_is_run() -> Result<(), String> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let scripts: Vec<String> = texts(packages::SCRIPT_DIRS.map(|dir| scripts.join(dir)))?
        .iter()
        .map(|text| essence(text))
        .collect();
    let pages = Page::all().map_err(|e| format!("{e:#}"))?;
    let mut count = 0;
    for page in pages.iter().filter(|page| page.path.starts_with("docs/")) {
        for block in page.blocks() {
            // The chapter on FAISS files is run by `tests/files.rs`, other SQL by `tests/docs.rs`.
            if block.note.as_deref().is_some_and(|note| note.contains("tests/files")) {
                continue;
            }
            let is_ours = block.note.as_deref().is_some_and(|n| n.contains("tests/clients"));
            if !is_ours && ["sql", "sh", "text"].contains(&block.language.as_str()) {
                continue;
            }
            count += 1;
            let wanted = essence(&block.text);
            if !scripts.iter().any(|script| script.contains(&wanted)) {
                return Err(format!("{}: no script runs this:\n{}", page.path, block.text));
            }
        }
    }
    if count == 0 {
        return Err("docs/ shows nothing of the clients".to_owned());
    }
    Ok(())
}

/// The files that lie in these folders.
fn texts(dirs: impl IntoIterator<Item = PathBuf>) -> Result<Vec<String>, String> {
    let read = |dir: &Path| -> std::io::Result<Vec<String>> {
        let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
        let paths: Vec<PathBuf> = paths.collect::<std::io::Result<_>>()?;
        paths.iter().filter(|path| path.is_file()).map(fs::read_to_string).collect()
    };
    let mut found = Vec::new();
    for dir in dirs {
        found.extend(read(&dir).map_err(|e| format!("{}: {e}", dir.display()))?);
    }
    Ok(found)
}

/// The lines of a text without indentation and empty lines.
fn essence(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}
