//! Every set against the definition, written as a loop over vectors.

use super::super::isa::Isa;
use super::{Factored, Floats, Integers, Linear, NibbleKernel, Tables, Unit, at_most};
use crate::codec::{LANES, UNIT};
use crate::kernels::tests::few;
use crate::rng::Rng;

fn tables(n: usize, rng: &mut Rng) -> Vec<Tables> {
    let mut tables = vec![Tables::ZERO; n.div_ceil(2)];
    for byte in tables.iter_mut().flat_map(|t| t.0.iter_mut().flatten()) {
        *byte = rng.below(256) as u8;
    }
    tables
}

fn units(n: usize, rng: &mut Rng) -> Vec<Unit> {
    (0..n).map(|_| std::array::from_fn(|_| rng.below(256) as u8)).collect()
}

/// Code `which` (0 or 1) of a vector in a unit.
fn code(unit: &Unit, which: usize, v: usize) -> usize {
    let w = v % 16;
    let at = if w < 8 { 2 * w } else { 2 * (w - 8) + 1 };
    usize::from(unit[16 * which + at] >> (4 * (v / 16)) & 15)
}

fn reference(tables: &[Unit], units: &[Unit], v: usize) -> u64 {
    let picked =
        |(t, u): (&Unit, &Unit)| u64::from(t[code(u, 0, v)]) + u64::from(t[16 + code(u, 1, v)]);
    tables.iter().zip(units).map(picked).sum()
}

#[test]
fn sums_equal_the_plain_loop_however_a_block_is_cut() {
    let mut rng = Rng::new(7);
    let sizes: Vec<usize> = (0..=20).chain([32, 48, 96, 128]).collect();
    for n in few(&sizes, &[0, 1, 5, 16]) {
        let (tables, units) = (tables(n, &mut rng), units(n, &mut rng));
        let tables = Tables::of_units(&tables);
        let expected: Integers =
            std::array::from_fn(|v| u16::try_from(reference(tables, &units, v)).unwrap());
        for set in Isa::available() {
            let kernel = NibbleKernel::<Linear>::on(set);
            for cut in 0..=n {
                let mut sums = [0; LANES];
                kernel.add_units(tables, &units[..cut], &mut sums);
                kernel.add_units(&tables[cut..], &units[cut..], &mut sums);
                assert_eq!(sums, expected, "{set:?} {n} units cut at {cut}");
            }
        }
    }
}

#[test]
fn the_largest_sum_fits() {
    let tables = [Tables([[255; UNIT]; 2]); 64];
    let units = vec![[0x5A; UNIT]; 128];
    for set in Isa::available() {
        let mut sums = [0; LANES];
        let kernel = NibbleKernel::<Linear>::on(set);
        kernel.add_units(Tables::of_units(&tables), &units, &mut sums);
        assert_eq!(sums, [255 * 256; LANES], "{set:?}");
    }
}

#[test]
fn a_block_at_once_is_sums_then_estimates_then_the_mask() {
    let mut rng = Rng::new(8);
    let (tables, units) = (tables(9, &mut rng), units(9, &mut rng));
    let tables = Tables::of_units(&tables);
    let factors: Vec<f32> = (0..2 * LANES).map(|_| rng.unit() - 0.25).collect();
    let linear = Linear { scale: 0.37, bias: -11.0 };
    let factored = Factored { linear, base: 3.5 };
    for set in Isa::available() {
        let kernel = NibbleKernel::<Linear>::on(set);
        let with_factors = NibbleKernel::<Factored>::on(set);
        let mut sums = [0; LANES];
        kernel.add_units(tables, &units, &mut sums);
        let (mut out, mut at_once) = ([0.0; LANES], [0.0; LANES]);
        let floats = sums.map(f32::from);
        kernel.estimate(&floats, linear, &[], &mut out);
        let value = |v: usize| -11.0 + 0.37 * f32::from(sums[v]);
        for (v, out) in out.iter().enumerate() {
            assert!((out - value(v)).abs() < 1e-3, "{set:?}");
        }
        let limit = out[5];
        let mask = kernel.block(tables, &units, linear, &[], limit, &mut at_once);
        assert_eq!((out, at_most(&out, limit)), (at_once, mask));
        assert_eq!(mask.count_ones() as usize, out.iter().filter(|&&x| x <= limit).count());

        with_factors.estimate(&floats, factored, &factors, &mut out);
        for (v, out) in out.iter().enumerate() {
            let expected = 3.5 + factors[v] - factors[LANES + v] * value(v);
            assert!((out - expected).abs() < 1e-3, "{set:?}");
        }
        let mask = with_factors.block(tables, &units, factored, &factors, out[9], &mut at_once);
        assert_eq!((out, at_most(&out, out[9])), (at_once, mask));
        let mask = with_factors.block(tables, &units, factored, &[1.0], 0.0, &mut out);
        assert!(mask == u32::MAX && out.iter().all(|x| x.is_nan()), "too few factors");
    }
}

#[test]
fn each_plane_counts_half_of_the_one_before() {
    let mut rng = Rng::new(9);
    for n in [1, 2, 5, 16] {
        let tables = tables(n, &mut rng);
        let tables = &Tables::of_units(&tables)[..n];
        let units = units(3 * n, &mut rng);
        let planes: Vec<&[Unit]> = units.chunks(n).collect();
        for set in Isa::available() {
            let kernel = NibbleKernel::<Linear>::on(set);
            let (how, mut out) = (Linear { scale: 1.0, bias: 0.0 }, [0.0; LANES]);
            kernel.block(tables, &units, how, &[], 0.0, &mut out);
            for (v, out) in out.iter().enumerate() {
                let [a, b, c] = [0, 1, 2].map(|p| reference(tables, planes[p], v));
                assert_eq!(*out, (4 * a + 2 * b + c) as f32, "{set:?}");
            }
            assert_eq!(kernel.block(&[], &units, how, &[], 0.0, &mut out), u32::MAX);
        }
    }
}

#[test]
fn at_most_counts_nan_as_near() {
    let mut values: Floats = std::array::from_fn(|i| i as f32);
    values[31] = f32::NAN;
    values[30] = f32::INFINITY;
    values[29] = f32::NEG_INFINITY;
    assert_eq!(at_most(&values, 3.0), 0b1111 | 1 << 29 | 1 << 31);
    assert_eq!(at_most(&values, f32::INFINITY), u32::MAX);
    assert_eq!(at_most(&values, f32::NAN), u32::MAX);
    assert_eq!(at_most(&values, f32::NEG_INFINITY), 1 << 29 | 1 << 31);
}
