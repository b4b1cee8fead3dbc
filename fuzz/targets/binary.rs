//! The binary form of vector and halfvec: a value or a refusal, and a value is written as it was read.
#![no_main]

use grammar::{Number, binary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    // Mostly without a type modifier, else dimensions that a short input can have.
    let modifier = if *first < 200 { -1 } else { i32::from(*first) - 200 };
    read_and_write::<f32>(rest, modifier);
    read_and_write::<half::f16>(rest, modifier);
});

fn read_and_write<E: Number>(bytes: &[u8], modifier: i32) {
    let Ok(dims) = binary::dims_of::<E>(bytes, modifier) else { return };
    assert!(modifier == -1 || usize::try_from(modifier) == Ok(dims));
    let mut elements = vec![E::from_f32(0.0); dims];
    if binary::read(bytes, &mut elements).is_ok() {
        assert!(elements.iter().all(|x| x.is_finite()));
        let mut again = vec![0; binary::size::<E>(dims)];
        binary::write(&elements, &mut again);
        assert_eq!(again, bytes[..again.len()]);
    }
}
