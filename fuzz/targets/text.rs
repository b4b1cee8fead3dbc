//! The text form of vector and halfvec: a value or a refusal, and a value survives being written and read again.
#![no_main]

mod strtof;

use std::ffi::CStr;

use grammar::{DIMS_MAX, Number, text};
use libfuzzer_sys::fuzz_target;
use strtof::strtof;

fuzz_target!(|data: &[u8]| {
    let bytes = [data, &[0]].concat();
    if let Ok(text) = CStr::from_bytes_until_nul(&bytes) {
        read_twice::<f32>(text);
        read_twice::<half::f16>(text);
    }
});

fn read_twice<E: Number + std::fmt::Debug>(text: &CStr) {
    let Ok(elements) = text::read::<E>(text, strtof) else { return };
    assert!(elements.len() <= DIMS_MAX && elements.iter().all(|x| x.is_finite()));
    let shown: Vec<String> = elements.iter().map(|x| x.to_f32().to_string()).collect();
    let shown = format!("[{}]\0", shown.join(","));
    let again = CStr::from_bytes_until_nul(shown.as_bytes()).unwrap();
    assert_eq!(text::read::<E>(again, strtof), Ok(elements));
}
