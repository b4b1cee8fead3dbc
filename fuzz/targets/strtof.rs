//! The C library's reader of numbers, as the server's part of the text forms passes it to the grammar.

use std::ffi::c_char;

/// The number that a text begins with, and how many bytes of it are that number.
pub fn strtof(text: &[u8]) -> (f32, usize) {
    assert_eq!(text.last(), Some(&0));
    let start = text.as_ptr().cast::<c_char>();
    let mut end = std::ptr::null_mut();
    // SAFETY: the text ends with NUL.
    unsafe {
        let value = libc::strtof(start, &raw mut end);
        (value, end.offset_from(start).cast_unsigned())
    }
}
