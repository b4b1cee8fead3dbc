//! `cargo xtask`: every developer command of pgfaiss.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::build::Flavor;
use xtask::pg::PgConfig;
use xtask::setup::{self, Extra};
use xtask::{demo, install, suite};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Builds, installs, shows and tests pgfaiss"
)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Show it at work: a reverse dictionary of 30,000 definitions on a private server
    Demo {
        /// Stop the server of an earlier demo and remove its files
        #[arg(long)]
        stop: bool,
    },
    /// Install what this machine lacks: PostgreSQL, its headers, libclang, Python
    Setup,
    /// Run every test, or the named parts (sql, pg, unit, lint, ...)
    Test {
        parts: Vec<String>,
        /// The pg_config of the PostgreSQL to test with [default: the newest that is complete]
        #[arg(long, value_name = "PATH")]
        pg_config: Option<PathBuf>,
    },
    /// Run the tests of the pure crates: seconds, no server
    Unit,
    /// Kill, copy, restore and crowd servers for as long as you like, and count what is lost
    Torture(xtask::torture::Options),
    /// Hold every index against FAISS on tables that break assumptions
    Hostile(xtask::hostile::Options),
    /// Run pgvector's own tests, from its source tree, against our extension "vector"
    PgvectorSuite(xtask::pgvector::Options),
    /// Measure recall and cost of ours, the exact scan, the peers and FAISS in one run
    Bench(Box<xtask::bench::Options>),
    /// Make packages, the source archive and the bill of materials, below target/package
    Package(xtask::package::Options),
    /// Check the licences and sources of all dependencies
    Licences,
    /// Make the documentation's site, below target/site
    Site {
        /// Where the site goes [default: target/site/book]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Run the tests of the pure crates on aarch64, in an emulator
    Aarch64 {
        /// Only these crates
        #[arg(long, short)]
        package: Vec<String>,
        /// Only tests whose name contains one of these
        filter: Vec<String>,
    },
    /// Print how dense the text of each Markdown file is
    Prose,
    /// Look for inputs that break something, with cargo-fuzz on a nightly compiler
    Fuzz(xtask::fuzz::Options),
    /// Run the unsafe code of the pure crates under Miri, an interpreter that sees what memory it touches
    Miri,
    /// Run the tests of the pure crates with AddressSanitizer, on the instruction sets of this machine
    Asan,
    /// Build the extension and install it into a PostgreSQL
    Install {
        /// The pg_config of that PostgreSQL [default: the newest that is complete]
        #[arg(long, value_name = "PATH")]
        pg_config: Option<PathBuf>,
        /// Unoptimised, with debug assertions
        #[arg(long)]
        debug: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Demo { stop } => {
            if stop {
                demo::stop()?
            } else {
                demo::run()?
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Setup => {
            let pg = setup::ensure(Extra::Python)?;
            println!("everything is there: {} ({})", pg.version, pg.program.display());
            Ok(ExitCode::SUCCESS)
        }
        Task::Test { parts, pg_config } => Ok(exit(suite::run(&parts, pg_config.as_deref())?)),
        Task::Unit => Ok(exit(suite::unit().failed == 0)),
        Task::Torture(options) => Ok(exit(xtask::torture::main(&options)?)),
        Task::Hostile(options) => Ok(exit(xtask::hostile::main(&options)?)),
        Task::PgvectorSuite(options) => Ok(exit(xtask::pgvector::main(&options)?)),
        Task::Bench(options) => done(xtask::bench::main(&options)),
        Task::Package(options) => done(xtask::package::main(&options)),
        Task::Licences => done(xtask::package::licences()),
        Task::Site { out } => done(xtask::site::main(out)),
        Task::Aarch64 { package, filter } => done(xtask::aarch64::main(&package, &filter)),
        Task::Prose => done(xtask::prose::main()),
        Task::Fuzz(options) => done(xtask::fuzz::main(&options)),
        Task::Miri => done(xtask::miri::main()),
        Task::Asan => done(xtask::asan::main()),
        Task::Install { pg_config, debug } => {
            let pg = PgConfig::locate(pg_config.as_deref())?;
            let flavor = if debug { Flavor::Debug } else { Flavor::Release };
            let vector = install::build_and_install(&pg, flavor)?;
            println!("installed pgfaiss {} into {}", install::VERSION, pg.version);
            println!("{}", vector.describe());
            println!("in a database: CREATE EXTENSION pgfaiss CASCADE;");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn done(result: Result<()>) -> Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
