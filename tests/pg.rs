//! Tests that run inside a backend: functions `pgtest_*` of the library built with feature
//! `pg_test`. Each is called in a transaction that is rolled back; an ERROR is a failure.

use std::fs;

use anyhow::{Context, Result};
use checks::{Followed, describe};
use libtest_mimic::{Arguments, Failed, Trial};
use object::Object;
use xtask::cluster::Cluster;

const DATABASE: &str = "pg_tests";
const PREFIX: &str = "pgtest_";
const SUFFIX: &str = "_wrapper";

fn main() {
    let arguments = Arguments::from_args();
    let (cluster, names) = prepare().unwrap_or_else(|e| panic!("{e:#}"));
    // Lives as long as the program; the guardian of the cluster ends it after that.
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let standby = Followed::new(cluster);
    let trials =
        names.into_iter().map(|name| Trial::test(name.clone(), move || run(cluster, &name)));
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    standby.assert_replayed();
    conclusion.exit();
}

fn prepare() -> Result<(Cluster, Vec<String>)> {
    let pg = checks::pg_test();
    let names = tests_in(&fs::read(xtask::install::library_path(pg))?)?;
    let cluster = Followed::prepared(Cluster::builder(pg)).start()?;
    checks::create_database(&cluster, DATABASE);
    let mut client = cluster.connect(DATABASE)?;
    client.batch_execute("CREATE SCHEMA tests")?;
    for name in &names {
        client.batch_execute(&format!(
            "CREATE FUNCTION tests.{name}() RETURNS void LANGUAGE c \
             AS '$libdir/pgfaiss', '{name}{SUFFIX}'"
        ))?;
    }
    Ok((cluster, names))
}

/// The names of the test functions a library exports.
fn tests_in(library: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(library).context("reading the library")?;
    let mut names = Vec::new();
    for export in file.exports().context("reading its symbols")? {
        let symbol = String::from_utf8_lossy(export.name());
        let symbol = if cfg!(target_os = "macos") { &symbol[1..] } else { &symbol[..] };
        if let Some(name) = symbol.strip_suffix(SUFFIX)
            && name.starts_with(PREFIX)
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn run(cluster: &Cluster, name: &str) -> Result<(), Failed> {
    let mut client = cluster.connect(DATABASE).map_err(|e| format!("{e:#}"))?;
    let mut transaction = client.transaction()?;
    let outcome = transaction.batch_execute(&format!("SELECT tests.{name}()"));
    if let Err(e) = &outcome
        && e.is_closed()
    {
        return Err(format!("{}\n{}", describe(e), cluster.log_tail(40)).into());
    }
    transaction.rollback()?;
    outcome.map_err(|e| describe(&e).into())
}
