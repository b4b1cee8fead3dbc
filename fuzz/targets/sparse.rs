//! The text and binary forms of sparsevec: a value or a refusal, and a value is written as it was read.
#![no_main]

mod strtof;

use std::ffi::CStr;

use grammar::sparse::{DIMS_MAX, STORED_MAX, Sparse, are_indices, binary, text};
use libfuzzer_sys::fuzz_target;
use strtof::strtof;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    // Mostly without a type modifier, else dimensions that a short input can have.
    let modifier = if *first < 200 { -1 } else { i32::from(*first) - 200 };
    if let Ok(value) = binary::read(rest, modifier) {
        check(&value, modifier);
        let mut again = vec![0; binary::size(value.indices.len())];
        binary::write(value.dims as i32, &value.indices, &value.values, &mut again);
        assert_eq!(again, rest[..again.len()]);
    }
    let terminated = [rest, &[0]].concat();
    let Ok(written) = CStr::from_bytes_until_nul(&terminated) else { return };
    if let Ok(value) = text::read(written, modifier, strtof) {
        check(&value, modifier);
        let pairs = value.indices.iter().zip(&value.values);
        let shown: Vec<String> = pairs.map(|(index, x)| format!("{}:{x}", index + 1)).collect();
        let shown = format!("{{{}}}/{}\0", shown.join(","), value.dims);
        let again = CStr::from_bytes_until_nul(shown.as_bytes()).unwrap();
        assert_eq!(text::read(again, modifier, strtof), Ok(value));
    }
});

fn check(value: &Sparse, modifier: i32) {
    assert!((1..=DIMS_MAX).contains(&value.dims) && value.values.len() <= STORED_MAX);
    assert!(modifier == -1 || usize::try_from(modifier) == Ok(value.dims));
    assert_eq!(value.indices.len(), value.values.len());
    assert!(are_indices(&value.indices, value.dims));
    assert!(value.values.iter().all(|x| x.is_finite() && *x != 0.0));
}
