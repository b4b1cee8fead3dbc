//! pgvector's TAP tests: Perl programs that start servers of their own, by the modules that PostgreSQL has for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Outcome, files};
use crate::account::Account;
use crate::build::target_dir;
use crate::pg::PgConfig;
use crate::servers;

/// Runs the wanted files of `test/t`. The programs and Perl modules of PostgreSQL's test frame come from `base`, the servers
/// from its copy `pg`.
pub fn run(
    base: &PgConfig,
    pg: &PgConfig,
    tree: &Path,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Outcome>> {
    let mut tests = files(&tree.join("test/t"), "pl")?;
    tests.retain(|(name, _)| wanted(&format!("t/{name}")));
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let frame = Frame::find(base, pg, tree)?;
    let kept = target_dir().join("pgvector-suite");
    fs::create_dir_all(&kept)?;
    tests
        .iter()
        .map(|(name, path)| {
            println!("t/{name}");
            let kept = kept.join(format!("{name}.txt"));
            Ok(Outcome { name: format!("t/{name}"), found: frame.failures(path, &kept)? })
        })
        .collect()
}

/// What the programs need.
struct Frame {
    account: Account,
    /// A folder that the account may write.
    stage: PathBuf,
    /// Folders of Perl modules.
    modules: Vec<PathBuf>,
    pg_regress: PathBuf,
    programs: PathBuf,
}

impl Frame {
    fn find(base: &PgConfig, pg: &PgConfig, tree: &Path) -> Result<Self> {
        let out = Command::new(&base.program).arg("--pgxs").output()?;
        let pgxs = PathBuf::from(String::from_utf8(out.stdout)?.trim());
        let test = pgxs.ancestors().nth(2).context("pgxs has no place")?.join("test");
        let pg_regress = test.join("regress/pg_regress");
        if !pg_regress.exists() {
            bail!("{} is missing: it comes with the headers of the server", pg_regress.display());
        }
        let has_run = Command::new("perl").args(["-MIPC::Run", "-e", "1"]).output();
        if !has_run.is_ok_and(|out| out.status.success()) {
            bail!("Perl's module IPC::Run is missing; on Debian it is in libipc-run-perl");
        }
        let account = Account::for_servers()?;
        let stage = servers::home()?.join("pgvector-suite");
        if stage.exists() {
            fs::remove_dir_all(&stage)?;
        }
        fs::create_dir(&stage)?;
        account.own(&stage)?;
        // The modules of before PostgreSQL 15 have other names, for which pgvector brings what is needed.
        let modules = vec![test.join("perl"), tree.join("test/perl")];
        let programs = pg.program("postgres").parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { account, stage, modules, pg_regress, programs })
    }

    /// The assertions of a program that fail, by their description. What it says goes to the file `kept`.
    fn failures(&self, program: &Path, kept: &Path) -> Result<Vec<String>> {
        let mut perl = Command::new("perl");
        self.account.apply(&mut perl);
        for folder in self.modules.iter().filter(|folder| folder.exists()) {
            perl.arg("-I").arg(folder);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        perl.arg(program)
            .current_dir(&self.stage)
            .env("TESTDIR", &self.stage)
            .env("TESTLOGDIR", self.stage.join("log"))
            .env("TESTDATADIR", &self.stage)
            .env("PG_REGRESS", &self.pg_regress)
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .stdin(Stdio::null());
        let out = perl.output().context("could not run perl")?;
        let said = String::from_utf8_lossy(&out.stdout);
        fs::write(kept, format!("{said}{}", String::from_utf8_lossy(&out.stderr)))?;
        let mut failures: Vec<String> = said.lines().filter_map(failed).collect();
        if !out.status.success() && failures.is_empty() {
            failures.push("the program died".to_owned());
        }
        Ok(failures)
    }
}

/// The assertion that fails: `not ok 3 - description`, or `not ok 3`.
fn failed(line: &str) -> Option<String> {
    let rest = line.strip_prefix("not ok ")?;
    let number = || format!("assertion {rest}");
    Some(rest.split_once(" - ").map_or_else(number, |(_, description)| description.to_owned()))
}
