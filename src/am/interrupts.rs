//! CHECK_FOR_INTERRUPTS for Rust loops.

use pgrx::pg_sys;

/// Lets a cancel, a timeout or a termination take effect here. To be called with no content lock
/// held (a lock holds interrupts off).
///
/// The flag is set by a signal handler, so it is read as volatile: a plain read may be hoisted out
/// of a loop.
#[inline]
pub fn check_for_interrupts() {
    // SAFETY: a flag of the server that is always there; ProcessInterrupts may be called wherever
    // CHECK_FOR_INTERRUPTS may, and raises its error as a panic.
    unsafe {
        if std::ptr::read_volatile(&raw const pg_sys::InterruptPending) != 0 {
            pg_sys::ProcessInterrupts();
        }
    }
}
