//! Tables and nearest centroids on every set against the plain loop, bit for bit.

use super::BookKernel;
use crate::kernels::isa::Isa;
use crate::kernels::tests::{few, fma, is_fused, sample};

fn expected(squares: bool, x: &[f32], book: &[f32], k: usize, fused: bool) -> Vec<f32> {
    let mut sums = vec![0.0; k];
    for (x, row) in x.iter().zip(book.chunks(k)) {
        for (sum, y) in sums.iter_mut().zip(row) {
            *sum = if squares { fma(*sum, x - y, x - y, fused) } else { fma(*sum, *x, *y, fused) };
        }
    }
    sums
}

#[test]
fn tables_and_nearest_on_every_set() {
    let sizes = few(&[16, 32, 64, 256, 4096], &[16, 64]);
    let parts = few(&[1, 2, 3, 8, 13, 100], &[1, 13]);
    for (dsub, k) in parts.iter().flat_map(|d| sizes.iter().map(|k| (*d, *k))) {
        let (x, book) = (sample(dsub, 1 + dsub as u32), sample(dsub * k, 2 + k as u32));
        for set in Isa::available() {
            let kernel = BookKernel::on(set);
            let mut out = vec![f32::NAN; k];
            let wanted = expected(false, &x, &book, k, is_fused(set));
            kernel.dot(&x, &book, &mut out);
            assert_eq!(out, wanted);
            let wanted = expected(true, &x, &book, k, is_fused(set));
            kernel.l2_sqr(&x, &book, &mut out);
            assert_eq!(out, wanted);
            let least = wanted.iter().copied().reduce(f32::min).unwrap();
            let first = wanted.iter().position(|&sum| sum == least).unwrap();
            assert_eq!(kernel.nearest(&x, &book), first as u32, "{dsub} × {k} on {set:?}");
        }
    }
}

#[test]
fn the_lower_number_wins_a_tie() {
    for set in Isa::available() {
        let kernel = BookKernel::on(set);
        for duplicates in [[3, 19], [19, 20], [4, 255], [200, 201], [31, 32]] {
            let mut book = vec![5.0; 256];
            duplicates.iter().for_each(|&duplicate: &usize| book[duplicate] = 1.0);
            assert_eq!(kernel.nearest(&[2.0], &book), duplicates[0] as u32, "{set:?}");
        }
        assert_eq!(kernel.nearest(&[f32::NAN], &[1.0; 256]), 0);
    }
}
