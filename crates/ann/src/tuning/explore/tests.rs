//! The search for the cheapest setting against models of an index that can be measured exhaustively.

use super::{Axis, between, explore};
use crate::rng::Rng;
use crate::tuning::{Point, Tally, cheapest};

/// A model of an index: lists hold the nearest rows with falling probability, codes lose rows that more candidates
/// bring back.
#[derive(Clone, Copy)]
struct Model {
    /// Part of the rows within the first list.
    first: f64,
    /// Part that a code loses with one candidate a row; 0 = flat.
    loss: f64,
    nlist: u32,
    noise: f64,
}

impl Model {
    fn recall(&self, n: u32, factor: u32) -> f64 {
        let (n, all) = (f64::from(n), f64::from(self.nlist));
        let found = 1.0 - (1.0 - self.first).powf(n.sqrt()) * (1.0 - n / all);
        found * (1.0 - self.loss / f64::from(factor).powf(1.2))
    }

    fn ms(n: u32, factor: u32) -> f64 {
        0.05 + 0.004 * f64::from(n) + 0.008 * f64::from(factor)
    }

    fn point(&self, values: &[u32], rng: &mut Rng) -> Point {
        let (n, factor) = (values[0], values.get(1).copied().unwrap_or(1));
        let mut tally = Tally::default();
        tally.add((self.recall(n, factor) * 100_000.0) as usize, 100_000);
        let noise = 1.0 + self.noise * (f64::from(rng.unit()) - 0.5);
        Point { values: values.to_vec(), tally, ms: Self::ms(n, factor) * noise }
    }

    fn main(&self) -> Axis {
        let doubled = (0..).map(|i| 1 << i).take_while(|&n| n < self.nlist);
        Axis { ladder: doubled.chain([self.nlist]).collect(), start: 0 }
    }
}

fn factors(start: usize) -> Axis {
    Axis { ladder: (0..9).map(|i| 1 << i).collect(), start }
}

#[test]
fn one_axis_is_climbed_and_the_last_step_halved() {
    let mut rng = Rng::new(1);
    for nlist in [1, 2, 3, 100, 1024, 5000] {
        for target in [0.0, 0.5, 0.9, 0.95, 0.99, 1.0] {
            let model = Model { first: 0.3, loss: 0.0, nlist, noise: 0.3 };
            let points = explore(&[model.main()], target, |v| model.point(v, &mut rng));
            let chosen = &points[cheapest(&points, target).unwrap()];
            let least = (1..=nlist).find(|&n| model.recall(n, 1) >= target).unwrap();
            let n = chosen.values[0];
            assert!(n >= least, "{nlist} {target}: {n} of {least}");
            let is_tight =
                chosen.recall() - target < 0.0021 || f64::from(n) <= 1.05 * f64::from(least) + 1.0;
            // With noise a neighbour can look faster.
            let is_near = f64::from(n) <= 1.3 * f64::from(least) + 1.0;
            assert!(is_tight || is_near, "{nlist} {target}: {n} of {least}");
            assert!(points.len() <= 20, "{}", points.len());
            assert!(points.iter().all(|p| p.values[0] <= 2 * least.max(1)), "{nlist} {target}");
        }
    }
}

#[test]
fn a_target_that_nothing_reaches_ends_at_the_dearest() {
    let model = Model { first: 0.3, loss: 0.0, nlist: 64, noise: 0.0 };
    let points = explore(&[model.main()], 1.1, |v| model.point(v, &mut Rng::new(1)));
    assert_eq!((cheapest(&points, 1.1), points.len()), (None, 7));
    let points =
        explore(&[], 0.9, |v| Point { values: v.to_vec(), tally: Tally::default(), ms: 1.0 });
    assert_eq!(points.len(), 1);
    let lossy = Model { loss: 300.0, ..model };
    let points = explore(&[model.main(), factors(3)], 0.9, |v| lossy.point(v, &mut Rng::new(1)));
    assert_eq!(cheapest(&points, 0.9), None);
    assert!(points.iter().any(|p| p.values == [64, 256]));
}

#[test]
fn two_axes_come_near_the_best_of_all_settings() {
    let mut rng = Rng::new(5);
    for (first, loss) in [(0.3, 0.05), (0.3, 0.6), (0.15, 0.3), (0.5, 0.9), (0.1, 2.0), (0.3, 8.0)]
    {
        for start in [0, 1, 3, 4] {
            for target in [0.8, 0.95, 0.99] {
                let model = Model { first, loss, nlist: 1000, noise: 0.0 };
                let axes = [model.main(), factors(start)];
                let points = explore(&axes, target, |v| model.point(v, &mut rng));
                let chosen = cheapest(&points, target).map_or(f64::INFINITY, |i| points[i].ms);
                let all =
                    factors(0).ladder.into_iter().flat_map(|f| (1..=1000).map(move |n| (n, f)));
                let best = all
                    .filter(|&(n, f)| model.recall(n, f) >= target)
                    .map(|(n, f)| Model::ms(n, f))
                    .fold(f64::INFINITY, f64::min);
                assert!(
                    chosen <= 1.12 * best,
                    "{first} {loss} {start} {target}: {chosen} of {best}"
                );
                assert!(points.len() <= 60, "{first} {loss} {start} {target}: {}", points.len());
            }
        }
    }
}

#[test]
fn steps_between_two_values() {
    let ladder = [1, 2, 4, 8, 16];
    assert_eq!(between(&ladder, 0, 16), ladder);
    assert_eq!(between(&ladder, 3, 9), [3, 4, 8, 9]);
    assert_eq!(between(&ladder, 4, 4), [4]);
    assert_eq!(between(&[4, 8], 1, 4), [4]);
}
