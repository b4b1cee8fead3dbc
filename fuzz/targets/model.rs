//! Trained models as bytes: one that makes sense, or an error. Mostly the checksum is right, so that what lies behind it is
//! looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pages::damage::models;

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, bytes)) => drop(models::ask(bytes)),
        Some((_, body)) => drop(models::ask(&models::with_body(body))),
        None => {}
    }
});
