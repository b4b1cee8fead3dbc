//! `cargo xtask miri`: the unsafe code of the pure rooms, interpreted, so that a read or write out of place is seen. The
//! plain kernels, and with the features named here those of the instruction set that Miri knows.

use anyhow::Result;

use crate::build::target_dir;
use crate::nightly;

/// The kernels are the only unsafe code of the pure rooms.
const TESTS: &str = "kernels::";
/// An instruction set, as the compiler's flags name it.
const SETS: [(&str, &str); 2] = [("plain", ""), ("avx2", "-Ctarget-feature=+avx2,+fma,+f16c")];

/// Runs the tests of the kernels under Miri, once for each instruction set.
pub fn main() -> Result<()> {
    nightly::ensure(&["miri", "rust-src"])?;
    for (set, flags) in SETS {
        println!("kernels: {set}");
        let mut command = nightly::cargo();
        command.args(["miri", "test", "--package", "ann", "--lib", TESTS]);
        // Floats must round as on the machine: the kernels promise every bit.
        command.env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-deterministic-floats");
        command
            .env("RUSTFLAGS", flags)
            .env("CARGO_TARGET_DIR", target_dir().join("miri").join(set));
        nightly::execute(&mut command)?;
    }
    Ok(())
}
