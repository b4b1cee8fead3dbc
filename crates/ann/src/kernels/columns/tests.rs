//! Every scan on every set against the plain loop, bit for bit, at once and in pieces.

use super::{Column, ColumnKernel, Products, Row, Squares, Term, Unit};
use crate::kernels::isa::Isa;
use crate::kernels::tests::{few, fma, is_fused, sample};
use half::f16;

const COLUMNS: [Column; 3] = [Column::Bytes, Column::Nibbles, Column::Halves];

/// Random units for `dims` components, and the numbers in them: component by component, 32 vectors.
fn units(column: Column, dims: usize) -> (Vec<Unit>, Vec<Row>) {
    let bytes = |seed| sample(32 * dims, seed).into_iter().map(|x| (x.abs() * 60.0) as u8);
    match column {
        Column::Bytes => {
            let units: Vec<Unit> = bytes(1).collect::<Vec<_>>().as_chunks().0.to_vec();
            (units.clone(), units.iter().map(|unit| unit.map(f32::from)).collect())
        }
        Column::Nibbles => {
            let units: Vec<Unit> = bytes(2).collect::<Vec<_>>().as_chunks().0.to_vec();
            let units = units[..dims.div_ceil(2)].to_vec();
            let rows = units.iter().flat_map(|unit| {
                [unit.map(|byte| f32::from(byte & 15)), unit.map(|byte| f32::from(byte >> 4))]
            });
            (units.clone(), rows.take(dims).collect())
        }
        Column::Halves => {
            let halves: Vec<f16> = sample(32 * dims, 3).into_iter().map(f16::from_f32).collect();
            let units: &[Unit] = bytemuck::cast_slice(&halves);
            let rows = halves.as_chunks::<32>().0.iter().map(|row| row.map(f16::to_f32));
            (units.to_vec(), rows.collect())
        }
    }
}

fn expected(
    squares: bool,
    offsets: &[f32],
    scales: &[f32],
    rows: &[Row],
    start: &Row,
    fused: bool,
) -> Row {
    let mut sums = *start;
    for ((row, &offset), &scale) in rows.iter().zip(offsets).zip(scales) {
        for (sum, &x) in sums.iter_mut().zip(row) {
            let difference = fma(offset, scale, x, fused);
            *sum = if squares {
                fma(*sum, difference, difference, fused)
            } else {
                fma(*sum, offset, x, fused)
            };
        }
    }
    sums
}

fn check<T: Term>(squares: bool) {
    let sizes = few(&[1, 2, 3, 8, 17, 33], &[1, 9]);
    for (column, dims) in COLUMNS.iter().flat_map(|c| sizes.iter().map(|d| (*c, *d))) {
        let (units, rows) = units(column, dims);
        let (mut offsets, mut scales) = (sample(dims, 4), sample(dims, 5));
        if column == Column::Nibbles {
            offsets.resize(dims.next_multiple_of(2), 0.0);
            scales.resize(dims.next_multiple_of(2), 0.0);
        }
        let start: Row = std::array::from_fn(|l| l as f32);
        for set in Isa::available() {
            let wanted = expected(squares, &offsets, &scales, &rows, &start, is_fused(set));
            let kernel = ColumnKernel::on::<T>(set, column);
            for cut in 0..=units.len() {
                for second in [cut, (cut + 1).min(units.len()), (cut + 3).min(units.len())] {
                    let mut sums = start;
                    for (from, to) in [(0, cut), (cut, second), (second, units.len())] {
                        kernel.accumulate(&offsets, &scales, from, &units[from..to], &mut sums);
                    }
                    assert_eq!(
                        sums, wanted,
                        "{column:?} on {set:?}, {dims} cut at {cut}, {second}"
                    );
                }
            }
        }
    }
}

#[test]
fn squares_on_every_set() {
    check::<Squares>(true);
}

#[test]
fn products_on_every_set() {
    check::<Products>(false);
}

#[test]
fn units_past_the_last_component_add_nothing() {
    for (set, column) in Isa::available().into_iter().flat_map(|set| COLUMNS.map(|c| (set, c))) {
        let kernel = ColumnKernel::on::<Squares>(set, column);
        for first in [2, 3, 4, 5, 100] {
            let mut sums = [1.0; 32];
            kernel.accumulate(&[2.0; 2], &[1.0; 2], first.max(4), &[[7; 32]; 3], &mut sums);
            assert_eq!(sums, [1.0; 32]);
        }
    }
}
