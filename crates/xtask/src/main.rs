//! `cargo xtask`: every developer command of pgfaiss.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::build::Flavor;
use xtask::install;
use xtask::pg::PgConfig;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, installs, shows and tests pgfaiss")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
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

fn main() -> Result<()> {
    match Arguments::parse().command {
        Task::Install { pg_config, debug } => {
            let pg = PgConfig::locate(pg_config.as_deref())?;
            let flavor = if debug { Flavor::Debug } else { Flavor::Release };
            install::build_and_install(&pg, flavor)?;
            println!("installed pgfaiss {} into {}", install::VERSION, pg.version);
            println!("in a database: CREATE EXTENSION pgfaiss;");
            Ok(())
        }
    }
}
