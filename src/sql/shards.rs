//! What the extension `pgfaiss_shards` needs of the library: the settings that a search takes along to other servers, and a wait
//! that is shorter than a millisecond.

use std::thread::sleep;
use std::time::Duration;

use super::error::SqlError;
use super::fmgr::{Arguments, SqlResult, export};
use crate::am::guc;
use crate::am::interrupts::check_for_interrupts;

export! {
    "explicit_settings" => explicit_settings;
    "pause" => pause;
}

/// The longest pause: a cancel is answered within 100 ms.
const LONGEST: Duration = Duration::from_millis(10);

/// `faiss.explicit_settings()`: name and value of the settings that were set for this session.
fn explicit_settings(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    let mut rows = arguments.rows();
    for (name, setting) in guc::explicit_settings() {
        rows.put([name.into_datum(), setting.into_datum()]);
    }
    Ok(None)
}

/// `faiss.pause(microseconds integer)`: waits, at most 10 ms, and returns how long. `pg_sleep` waits whole milliseconds, and
/// `dblink` of PostgreSQL 16 and older cannot be cancelled while it waits for an answer.
fn pause(arguments: &Arguments) -> Result<i32, SqlError> {
    let wanted = u64::try_from(arguments.int32(0)).unwrap_or(0);
    let pause = Duration::from_micros(wanted).min(LONGEST);
    sleep(pause);
    check_for_interrupts();
    Ok(pause.as_micros() as i32)
}
