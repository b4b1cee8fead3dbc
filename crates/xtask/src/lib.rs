//! Every developer command of pgfaiss, as a library, so that the tests and the bench use the same
//! servers and the same installation steps as `cargo xtask demo`.
//!
//! In reading order: [`setup`] installs what a machine lacks, [`pg`] finds a PostgreSQL, [`account`] says who may run a server, [`build`] and
//! [`install`] put the extension into it, [`servers`] does so in a private copy, and [`cluster`] runs
//! a server of one. [`python`] and [`node`] are for what the tests take from PyPI and npm, [`markdown`] is
//! what the documentation is read by.

pub mod aarch64;
pub mod account;
pub mod asan;
pub mod bench;
pub mod browser;
pub mod build;
pub mod cluster;
pub mod demo;
pub mod fuzz;
pub mod hostile;
pub mod install;
pub mod markdown;
pub mod miri;
pub mod nightly;
pub mod node;
pub mod package;
pub mod pg;
pub mod pgvector;
pub mod prose;
pub mod python;
pub mod servers;
pub mod setup;
pub mod site;
pub mod suite;
pub mod tools;
pub mod torture;
pub mod vector;
