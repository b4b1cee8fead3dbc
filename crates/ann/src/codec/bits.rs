//! Little-endian bit streams: the first number in the lowest bits, as FAISS packs codes.

/// The `n` (≤ 16) bits from bit `at` on; bits past the end are 0.
pub fn read(bytes: &[u8], at: usize, n: u8) -> u16 {
    let byte = |i: usize| u32::from(bytes.get(at / 8 + i).copied().unwrap_or(0));
    let window = byte(0) | byte(1) << 8 | byte(2) << 16;
    (window >> (at % 8) & ((1 << n) - 1)) as u16
}

/// Sets the `n` (≤ 16) bits from bit `at` on, which are 0 so far; bits past the end are lost.
pub fn write(bytes: &mut [u8], at: usize, n: u8, value: u16) {
    let window = (u32::from(value) & ((1 << n) - 1)) << (at % 8);
    for (byte, bits) in bytes.iter_mut().skip(at / 8).zip(window.to_le_bytes()) {
        *byte |= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn what_was_written_is_read() {
        for n in 1..=16u8 {
            let values: Vec<u16> = (0..50u32).map(|i| (i * 40503) as u16 >> (16 - n)).collect();
            let mut bytes = vec![0; (50 * usize::from(n)).div_ceil(8)];
            for (i, &value) in values.iter().enumerate() {
                write(&mut bytes, i * usize::from(n), n, value);
            }
            let back: Vec<u16> = (0..50).map(|i| read(&bytes, i * usize::from(n), n)).collect();
            assert_eq!(back, values);
        }
        assert_eq!(read(&[], 3, 7), 0);
    }
}
