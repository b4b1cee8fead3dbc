//! Factory strings: what one asks for, or a refusal; the canonical string asks for the same.
#![no_main]

use ann::factory::Factory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Factory::parse(text) {
        Ok(factory) => assert_eq!(Factory::parse(&factory.to_string()), Ok(factory)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
