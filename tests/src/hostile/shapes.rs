//! What the rows of a hostile table look like: for each kind a function that draws row `i`.

use crate::random::Random;

const TOPICS: usize = 40;
/// Rows of zeros that stand at the head of a table until the real ones are computed; and rows of the first topic of a
/// table that is loaded topic by topic. A graph is made at the thousandth row.
const HEAD: usize = 1_100;

/// Where the rows of one table come from.
pub struct Source {
    pub random: Random,
    dims: usize,
    /// How many the table begins with.
    first: usize,
    /// Centres of the topics, of unit length.
    topics: Vec<Vec<f32>>,
}

impl Source {
    pub fn new(mut random: Random, dims: usize, first: usize) -> Self {
        let topics = (0..TOPICS).map(|_| unit(&gaussians(&mut random, dims))).collect();
        Self { random, dims, first, topics }
    }

    /// A unit vector near the centre of `topic`.
    fn near(&mut self, topic: usize, spread: f64) -> Vec<f32> {
        let spread = spread / (self.dims as f64).sqrt();
        let noise = gaussians(&mut self.random, self.dims);
        let centre = &self.topics[topic % TOPICS];
        let moved =
            centre.iter().zip(noise).map(|(&c, x)| (f64::from(c) + spread * f64::from(x)) as f32);
        unit(&moved.collect::<Vec<f32>>())
    }

    fn any_topic(&mut self) -> Vec<f32> {
        let topic = self.random.below(TOPICS as u64) as usize;
        self.near(topic, 0.7)
    }

    fn each(&mut self, mut value: impl FnMut(&mut Random) -> f64) -> Vec<f32> {
        (0..self.dims).map(|_| finite(value(&mut self.random))).collect()
    }
}

/// The nearest value that the type `vector` accepts.
pub fn finite(x: f64) -> f32 {
    (x as f32).clamp(f32::MIN, f32::MAX)
}

fn gaussians(random: &mut Random, dims: usize) -> Vec<f32> {
    (0..dims).map(|_| random.gaussian() as f32).collect()
}

fn unit(v: &[f32]) -> Vec<f32> {
    let norm = v.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    v.iter().map(|&x| (f64::from(x) / norm.max(1e-9)) as f32).collect()
}

fn scaled(v: Vec<f32>, by: f64) -> Vec<f32> {
    v.into_iter().map(|x| finite(f64::from(x) * by)).collect()
}

/// Unit vectors about topics.
pub fn topics(source: &mut Source, _: usize) -> Vec<f32> {
    source.any_topic()
}

fn power_of_ten(source: &mut Source, from: f64, to: f64) -> Vec<f32> {
    let exponent = from + (to - from) * source.random.unit();
    scaled(source.any_topic(), 10f64.powf(exponent))
}

pub fn any_magnitude(source: &mut Source, _: usize) -> Vec<f32> {
    power_of_ten(source, -30.0, 38.0)
}

pub fn some_magnitude(source: &mut Source, _: usize) -> Vec<f32> {
    power_of_ten(source, -3.0, 3.0)
}

pub fn tiny_values(source: &mut Source, _: usize) -> Vec<f32> {
    scaled(source.any_topic(), 1e-15)
}

/// Their squares do not overflow, and sums of a few of them neither.
pub fn large_values(source: &mut Source, _: usize) -> Vec<f32> {
    scaled(source.any_topic(), 1e16)
}

pub fn huge_values(source: &mut Source, _: usize) -> Vec<f32> {
    scaled(source.any_topic(), 1e37)
}

pub fn denormal_rows(source: &mut Source, i: usize) -> Vec<f32> {
    let row = source.any_topic();
    if i % 10 == 7 { scaled(row, 1e-40) } else { row }
}

/// Counts of words: most of them 0 to 3, some hundreds.
pub fn counts(source: &mut Source, _: usize) -> Vec<f32> {
    source.each(|random| ((1.0 / (1.0 - random.unit())).floor() - 1.0).min(1e5))
}

pub fn sparse_counts(source: &mut Source, _: usize) -> Vec<f32> {
    source.each(|random| match random.below(10) {
        0 => (1.0 / (1.0 - random.unit())).floor().min(1e4),
        _ => 0.0,
    })
}

pub fn constant_columns(source: &mut Source, _: usize) -> Vec<f32> {
    let mut row = source.any_topic();
    row.iter_mut().step_by(2).for_each(|x| *x = 7.5);
    row
}

/// Every component of the first half occurs again in the second.
pub fn duplicate_columns(source: &mut Source, _: usize) -> Vec<f32> {
    let mut row = source.any_topic();
    let half = row.len() / 2;
    row.copy_within(..half, half);
    row
}

/// One row among the first thousand is longer than the others.
fn one_row(source: &mut Source, i: usize, by: f64) -> Vec<f32> {
    let row = source.any_topic();
    if i == 501 { scaled(row, by) } else { row }
}

pub fn one_row_1e3(source: &mut Source, i: usize) -> Vec<f32> {
    one_row(source, i, 1e3)
}

pub fn one_row_1e5(source: &mut Source, i: usize) -> Vec<f32> {
    one_row(source, i, 1e5)
}

pub fn one_row_1e20(source: &mut Source, i: usize) -> Vec<f32> {
    one_row(source, i, 1e20)
}

fn all_of(source: &Source, value: f32) -> Vec<f32> {
    vec![value; source.dims]
}

pub fn two_rows_2e38(source: &mut Source, i: usize) -> Vec<f32> {
    match i {
        501 => all_of(source, 2e38),
        502 => all_of(source, -2e38),
        _ => source.any_topic(),
    }
}

pub fn two_far_rows(source: &mut Source, i: usize) -> Vec<f32> {
    match i {
        501 => all_of(source, 100.0),
        502 => all_of(source, -100.0),
        _ => source.any_topic(),
    }
}

/// One row in two hundred was not normalised.
pub fn few_far_rows(source: &mut Source, i: usize) -> Vec<f32> {
    let row = source.any_topic();
    if i % 200 == 101 { scaled(row, 100.0) } else { row }
}

/// The last twentieth of the rows has another magnitude than all before.
pub fn last_rows_far(source: &mut Source, i: usize) -> Vec<f32> {
    let row = source.any_topic();
    if i >= source.first / 20 * 19 { scaled(row, 100.0) } else { row }
}

fn dimension(source: &mut Source, by: f64) -> Vec<f32> {
    let mut row = source.each(|random| random.unit() * 6.0 - 3.0);
    row[0] = finite(f64::from(row[0]) * by);
    row
}

pub fn dimension_30(source: &mut Source, _: usize) -> Vec<f32> {
    dimension(source, 30.0)
}

pub fn dimension_1000(source: &mut Source, _: usize) -> Vec<f32> {
    dimension(source, 1_000.0)
}

/// Each dimension in a unit of its own, from thousandths to thousands.
pub fn every_scale(source: &mut Source, _: usize) -> Vec<f32> {
    let row = source.each(|random| random.gaussian());
    let last = (row.len() - 1) as f64;
    let unit = |j: usize| 10f64.powf(6.0 * j as f64 / last - 3.0);
    row.iter().enumerate().map(|(j, &x)| finite(f64::from(x) * unit(j))).collect()
}

/// Loaded topic by topic, the first of them larger than what a graph begins with. What comes later is of the last one.
pub fn by_topic(source: &mut Source, i: usize) -> Vec<f32> {
    let per_topic = source.first.saturating_sub(HEAD) / (TOPICS - 1);
    let topic =
        i.saturating_sub(HEAD).checked_div(per_topic).map_or(0, |n| n + usize::from(i >= HEAD));
    source.near(topic.min(TOPICS - 1), 0.2)
}

pub fn placeholders(source: &mut Source, i: usize) -> Vec<f32> {
    if i < HEAD { all_of(source, 0.0) } else { source.any_topic() }
}

/// From hundredths to hundreds.
pub fn growing(source: &mut Source, i: usize) -> Vec<f32> {
    let part = i as f64 / source.first as f64;
    scaled(source.any_topic(), 10f64.powf(4.0 * part - 2.0))
}

pub fn equal_but_one(source: &mut Source, i: usize) -> Vec<f32> {
    if i == 501 { source.any_topic() } else { all_of(source, 0.25) }
}

pub fn one_hot(source: &mut Source, _: usize) -> Vec<f32> {
    let mut row = all_of(source, 0.0);
    row[source.random.below(source.dims as u64) as usize] = 1.0;
    row
}

pub fn signs(source: &mut Source, _: usize) -> Vec<f32> {
    source.each(|random| if random.below(2) == 0 { -1.0 } else { 1.0 })
}

fn lognormal(source: &mut Source, sigma: f64) -> Vec<f32> {
    let norm = (sigma * source.random.gaussian()).exp();
    scaled(source.any_topic(), norm)
}

pub fn norms_tenth(source: &mut Source, _: usize) -> Vec<f32> {
    lognormal(source, 0.1)
}

pub fn norms_quarter(source: &mut Source, _: usize) -> Vec<f32> {
    lognormal(source, 0.25)
}

pub fn norms_half(source: &mut Source, _: usize) -> Vec<f32> {
    lognormal(source, 0.5)
}

/// All components positive, and norms that differ much.
pub fn products(source: &mut Source, _: usize) -> Vec<f32> {
    source.each(|random| random.unit() * random.unit())
}

pub fn uniform(source: &mut Source, _: usize) -> Vec<f32> {
    source.each(Random::unit)
}

/// Up to the largest value of 16 bits, and down to those below its normal ones.
pub fn half_limits(source: &mut Source, i: usize) -> Vec<f32> {
    let row = source.any_topic();
    match i % 50 {
        13 => row.iter().map(|x| if *x < 0.0 { -65_504.0 } else { 65_504.0 }).collect(),
        27 => scaled(row, 1e-6),
        _ => scaled(row, 100.0),
    }
}

/// Some thirty different rows.
pub fn duplicates(source: &mut Source, _: usize) -> Vec<f32> {
    let topic = source.random.below(30) as usize;
    source.topics[topic].clone()
}

/// A thousand from the origin in every component, clusters much farther apart than they are wide.
pub fn far_clusters(source: &mut Source, _: usize) -> Vec<f32> {
    let topic = source.random.below(TOPICS as u64) as usize;
    let near = source.near(topic, 0.1);
    near.iter().map(|&x| 1_000.0 + 30.0 * x).collect()
}
