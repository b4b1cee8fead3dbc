//! Products of f32 matrices on the calling thread, by the crate `matrixmultiply`.
//!
//! Its sums are not canonical: they depend on the instruction set, but for one CPU only on the shapes of the two
//! matrices. Callers cut their work at fixed places, so the number of threads never shows.

/// A matrix inside a slice: element (i, j) is at `i · row_step + j · column_step`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// Whole rows, one after the other.
    pub fn of_rows(data: &'a [f32], columns: usize) -> Self {
        let rows = data.len().checked_div(columns).unwrap_or(0);
        Matrix { data, rows, columns, row_step: columns, column_step: 1 }
    }

    /// How many rows and columns there are.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Rows become columns.
    pub fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_step: self.column_step,
            column_step: self.row_step,
            ..self
        }
    }

    /// `count` rows from `first` on; what lies beyond the last row is left out.
    pub fn rows(self, first: usize, count: usize) -> Self {
        self.transposed().columns(first, count).transposed()
    }

    /// `count` columns from `first` on; what lies beyond the last column is left out.
    pub fn columns(self, first: usize, count: usize) -> Self {
        let first = first.min(self.columns);
        let at = (first * self.column_step).min(self.data.len());
        Matrix { data: &self.data[at..], columns: count.min(self.columns - first), ..self }
    }

    /// One past the last place that is read.
    fn end(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_step + (self.columns - 1) * self.column_step + 1
    }
}

/// `out` = a·b + keep·`out`, where `out` holds rows of `row_step` ≥ b's columns elements and its first column
/// is the product's. With `keep` 0 nothing of `out` is read.
pub fn multiply(a: Matrix, b: Matrix, keep: f32, out: &mut [f32], row_step: usize) {
    let (rows, inner, columns) = (a.rows, a.columns.min(b.rows), b.columns);
    debug_assert_eq!(a.columns, b.rows);
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(a.end() <= a.data.len() && b.end() <= b.data.len() && columns <= row_step);
    assert!((rows - 1) * row_step + columns <= out.len());
    // SAFETY: the three matrices lie within their slices (checked above; steps are far below isize::MAX as
    // the slices are), `out` is borrowed alone and its elements are distinct since its rows do not overlap.
    unsafe {
        matrixmultiply::sgemm(
            rows,
            inner,
            columns,
            1.0,
            a.data.as_ptr(),
            a.row_step as isize,
            a.column_step as isize,
            b.data.as_ptr(),
            b.row_step as isize,
            b.column_step as isize,
            keep,
            out.as_mut_ptr(),
            row_step as isize,
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, multiply};

    #[test]
    fn equals_the_plain_loop() {
        let number = |i: usize| ((i * 37 + 11) % 19) as f32 - 9.0;
        for (rows, inner, columns) in [(1, 1, 1), (3, 5, 2), (17, 40, 33), (64, 9, 8), (4, 0, 4)] {
            let a: Vec<f32> = (0..rows * inner).map(number).collect();
            let b: Vec<f32> = (0..columns * inner).map(|i| number(i + 5)).collect();
            let old: Vec<f32> = (0..rows * (columns + 3)).map(number).collect();
            let mut out = old.clone();
            let b_rows = if inner == 0 { b.as_slice() } else { &b };
            let transposed =
                Matrix { rows: columns, ..Matrix::of_rows(b_rows, inner) }.transposed();
            let a_rows = Matrix { rows, ..Matrix::of_rows(&a, inner) };
            multiply(a_rows, transposed, 2.0, &mut out, columns + 3);
            for i in 0..rows {
                for j in 0..columns + 3 {
                    let at = i * (columns + 3) + j;
                    let sum: f32 = (0..inner)
                        .filter(|_| j < columns)
                        .map(|t| a[i * inner + t] * b[j * inner + t])
                        .sum();
                    let expected = if j < columns { 2.0 * old[at] + sum } else { old[at] };
                    assert_eq!(out[at], expected, "{rows}x{inner}x{columns} ({i}, {j})");
                }
            }
        }
    }

    #[test]
    fn a_strip_of_columns() {
        let data: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let strip = Matrix::of_rows(&data, 4).columns(1, 2).transposed();
        let mut out = [0.0; 6];
        multiply(
            strip,
            Matrix::of_rows(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], 3),
            0.0,
            &mut out,
            3,
        );
        assert_eq!(out, [1.0, 5.0, 9.0, 2.0, 6.0, 10.0]);
        assert_eq!(Matrix::of_rows(&data, 4).columns(3, 9).columns, 1);
    }
}
