//! The documentation's examples: every SQL block of `README.md` and `docs/` is typed into psql, a page in one session and
//! a database of its own, and what comes out must be what the page shows. `UPDATE_EXPECT=1` writes it into the page.
//! `xtask::markdown::examples` says how blocks are marked.

use std::fs;
use std::io::{Read, Write};
use std::sync::OnceLock;

use checks::watch;
use libtest_mimic::{Arguments, Failed, Trial};
use xtask::markdown::Page;
use xtask::markdown::examples::{self, Example};

/// The database that pages which begin where the demo ends are copied from.
const DEMO: &str = "demo";

fn main() {
    let pages = Page::all().unwrap_or_else(|e| panic!("{e:#}"));
    let is_shown = |page: &Page| page.path == "README.md" || page.path.starts_with("docs/");
    let trials = pages.into_iter().filter(is_shown).filter_map(|page| {
        let has_sql = page.blocks().iter().any(|block| block.language == "sql");
        has_sql.then(|| Trial::test(page.path.clone(), move || check(&page)))
    });
    // A database is only copied while nobody is connected to it.
    let args = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let conclusion = libtest_mimic::run(&args, trials.collect());
    watch::assert_calm(checks::shared());
    conclusion.exit();
}

fn check(page: &Page) -> Result<(), Failed> {
    let examples = examples::of(page)?;
    let database = database(page)?;
    let outputs = examples::outputs(&tell(&database, &examples)?);
    let run = examples.iter().filter(|example| example.not_run.is_none()).count();
    if outputs.len() != run {
        return Err(format!("{} of {run} examples were run", outputs.len()).into());
    }
    let complaints: Vec<String> = outputs
        .iter()
        .filter_map(|(number, actual)| examples::complaint(&examples[*number], actual))
        .collect();
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|v| v == "1") {
        let text = examples::updated(page, &examples, &outputs);
        fs::write(xtask::build::repository().join(&page.path), text)?;
    } else if !complaints.is_empty() {
        let advice = "if the page is wrong: UPDATE_EXPECT=1 cargo xtask test docs";
        return Err(format!("{}\n{}\n{advice}", page.path, complaints.join("\n")).into());
    }
    Ok(())
}

/// Makes the database of a page and returns its name.
fn database(page: &Page) -> Result<String, Failed> {
    let name = page.path.trim_end_matches(".md").replace('/', "_").to_lowercase();
    let template = if examples::needs_demo(page) { demo()? } else { "template1" };
    let mut client = checks::shared().connect("postgres")?;
    client.batch_execute(&format!("CREATE DATABASE \"{name}\" TEMPLATE {template}"))?;
    Ok(name)
}

/// The database as the demo leaves it, made when it is first asked for.
fn demo() -> Result<&'static str, Failed> {
    static MADE: OnceLock<Result<(), String>> = OnceLock::new();
    let make = || {
        let cluster = checks::shared();
        cluster.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {DEMO}"))?;
        xtask::demo::fill(&mut cluster.connect(DEMO)?)
    };
    match MADE.get_or_init(|| make().map_err(|e| format!("{e:#}"))) {
        Ok(()) => Ok(DEMO),
        Err(e) => Err(e.clone().into()),
    }
}

/// What psql shows for all examples of a page.
fn tell(database: &str, examples: &[Example]) -> Result<String, Failed> {
    let (mut reader, writer) = std::io::pipe()?;
    let mut psql = checks::shared().psql(database);
    psql.current_dir(checks::shared().dir());
    psql.args(["-q", "-P", "pager=off"]).env("PGCLIENTENCODING", "UTF8");
    psql.stdin(std::process::Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = psql.spawn()?;
    // Our own ends of the pipe would keep it open for ever.
    drop(psql);
    let script = examples::script(examples);
    let mut stdin = child.stdin.take().ok_or("psql has no standard input")?;
    // What is printed must be read meanwhile: a pipe does not hold it all.
    let typing = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let mut output = String::new();
    reader.read_to_string(&mut output)?;
    child.wait()?;
    typing.join().map_err(|_| "typing into psql broke off")??;
    Ok(output)
}
