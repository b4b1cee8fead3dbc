//! Type modifiers: one number in range, or a refusal.
#![no_main]

use grammar::{DIMS_MAX, typmod};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (numbers, _) = data.as_chunks();
    let modifiers: Vec<i32> = numbers.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
    match typmod::read("vector", DIMS_MAX, &modifiers) {
        Ok(dims) => {
            assert!((1..=DIMS_MAX as i32).contains(&dims) && modifiers == [dims]);
            assert_eq!(typmod::check(dims, dims as usize), Ok(()));
            assert!(typmod::check(dims, dims as usize + 1).is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
