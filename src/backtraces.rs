//! Keeps Rust's backtraces from clients.
//!
//! The library that our calls of the server go through captures a backtrace for every error that the server raises below them,
//! and puts it into the error's detail, if the server was started with `RUST_BACKTRACE` set. The standard library looks at
//! the environment when it captures the first one, and keeps what it found there: this is the first one.

use std::backtrace::Backtrace;
use std::env;

/// Wins over `RUST_BACKTRACE` for what a program captures itself.
const VARIABLE: &str = "RUST_LIB_BACKTRACE";

/// To be called before any error is raised.
pub fn switch_off() {
    if env::var_os(VARIABLE).is_none() && env::var_os("RUST_BACKTRACE").is_none() {
        return;
    }
    let before = env::var_os(VARIABLE);
    // SAFETY: the server loads libraries from its only thread, and nothing else reads the environment meanwhile. Other
    // libraries find it as it was.
    unsafe {
        env::set_var(VARIABLE, "0");
        let _none = Backtrace::capture();
        match before {
            Some(value) => env::set_var(VARIABLE, value),
            None => env::remove_var(VARIABLE),
        }
    }
}
