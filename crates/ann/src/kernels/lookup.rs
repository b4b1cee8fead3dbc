//! Scans of product codes in blocks: every code of 32 vectors is a place in a table. A vector's sum is one chain in
//! the order of the sub-quantizers. Loads by computed address are no faster as gathers, so these
//! loops are the same on every CPU.

use super::columns::{Row, Unit};

/// Vectors whose sums are kept in registers at a time.
const GROUP: usize = 8;

/// A code is a byte, a unit a sub-quantizer: adds `tables[u][code]`.
pub fn bytes(tables: &[[f32; 256]], units: &[Unit], sums: &mut Row) {
    for (group, sums) in sums.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let mut acc = *sums;
        for (table, unit) in tables.iter().zip(units) {
            let codes = &unit.as_chunks::<GROUP>().0[group];
            for (acc, &code) in acc.iter_mut().zip(codes) {
                *acc += table[usize::from(code)];
            }
        }
        *sums = acc;
    }
}

/// Codes are nibbles, a unit two sub-quantizers, the first in the low nibbles.
pub fn nibbles(tables: &[[[f32; 16]; 2]], units: &[Unit], sums: &mut Row) {
    for (group, sums) in sums.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let mut acc = *sums;
        for ([low, high], unit) in tables.iter().zip(units) {
            let codes = &unit.as_chunks::<GROUP>().0[group];
            for (acc, &code) in acc.iter_mut().zip(codes) {
                *acc += low[usize::from(code & 15)];
                *acc += high[usize::from(code >> 4)];
            }
        }
        *sums = acc;
    }
}

/// A code of 9 to 12 bits: its low byte in `low`, its high bits in the low or (`shift` 4) the high nibble of `high`.
/// Places past the table's end (there are none in sound codes) add nothing.
pub fn wide(table: &[f32], low: &[u8; 32], high: &Unit, shift: u8, sums: &mut Row) {
    for ((sum, &low), &high) in sums.iter_mut().zip(low).zip(high) {
        let code = usize::from(low) | usize::from(high >> shift & 15) << 8;
        *sum += table.get(code).copied().unwrap_or(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, nibbles, wide};
    use crate::kernels::tests::sample;

    #[test]
    fn every_code_finds_its_entry() {
        let unit: [u8; 32] = std::array::from_fn(|l| (l * 37 + 5) as u8);
        let values = sample(1024, 5);
        let start: [f32; 32] = std::array::from_fn(|l| l as f32);
        let entry = |l: usize, code: usize| start[l] + values[code];

        let mut sums = start;
        bytes(values.as_chunks().0, &[unit], &mut sums);
        assert_eq!(sums, std::array::from_fn(|l| entry(l, unit[l].into())));

        let mut sums = start;
        nibbles(values.as_chunks().0.as_chunks().0, &[unit], &mut sums);
        let both = |l: usize| {
            let code = usize::from(unit[l]);
            entry(l, code & 15) + values[16 + (code >> 4)]
        };
        assert_eq!(sums, std::array::from_fn(both));

        let high: [u8; 32] = std::array::from_fn(|l| (l % 4 * 16 + (l + 1) % 4) as u8);
        for shift in [0, 4] {
            let mut sums = start;
            wide(&values, &unit, &high, shift, &mut sums);
            let code = |l: usize| usize::from(unit[l]) + usize::from(high[l] >> shift & 15) * 256;
            assert_eq!(sums, std::array::from_fn(|l| entry(l, code(l))));
        }
        let mut sums = start;
        wide(&values, &unit, &[255; 32], 0, &mut sums);
        assert_eq!(sums, start);
    }
}
