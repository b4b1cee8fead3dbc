//! `cargo xtask asan`: the unit tests of the pure rooms with AddressSanitizer, which sees a read or write past an allocation or
//! of memory that was given back. Unlike Miri it runs the real instructions, AVX-512 among them, and takes minutes.

use anyhow::Result;

use crate::build::target_dir;
use crate::nightly;

/// Where unsafe code is, and where it is called with all that pages may hold.
const PACKAGES: [&str; 2] = ["ann", "pages"];

/// Runs the tests. An error if one failed, or touched memory out of place.
pub fn main() -> Result<()> {
    nightly::ensure(&[])?;
    let mut command = nightly::cargo();
    // With a target named, programs that run during the build are built without.
    command.args(["test", "--locked", "--no-fail-fast", "--lib", "--target", &nightly::host()?]);
    command.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    command.env("RUSTFLAGS", "-Zsanitizer=address");
    command.env("CARGO_TARGET_DIR", target_dir().join("asan"));
    nightly::execute(&mut command)
}
