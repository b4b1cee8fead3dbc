//! Rows that come later are as well placed as the first, whatever the first were.

use ann::element::Element;
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::world::damage;
use super::{ALL, Kind, METRICS, Model, World, tid_no};
use crate::hnsw::scan::GraphParams;

const DIMS: usize = 32;

/// A graph of the first rows, around which its codes are made, that takes the others one by one.
fn grown<E: Element>(metric: Metric, first: &[Vec<f32>], rest: &[Vec<f32>]) -> World<E> {
    let kind = Kind::new(metric, DIMS, 16, 0);
    let mut world = World::<E>::around(kind, Model::new(), Rng::new(3), &first.concat());
    let vectors = first.iter().chain(rest).map(|row| E::pack(row));
    world.insert((0..).map(tid_no).zip(vectors).collect());
    world
}

/// The share of the ten nearest rows that a search at width 40 finds near some of the rows.
fn recall<E: Element>(world: &World<E>, near: &[Vec<f32>]) -> f64 {
    let mut rng = Rng::new(9);
    let mut found = 0;
    for row in near.iter().step_by(near.len() / 30) {
        let query: Vec<f32> = row.iter().map(|x| x * (1.0 + 0.02 * (rng.unit() - 0.5))).collect();
        let (rows, _) = world.search_first(&query, GraphParams { ef: 40, ..ALL }, 10);
        let worst = f64::from_bits(world.expected(&query)[9].1);
        found += rows.iter().filter(|row| row.distance <= worst).count();
    }
    found as f64 / (10 * near.iter().step_by(near.len() / 30).count()) as f64
}

/// Rows of length 1 around topics, topic after topic, so far from their topic.
fn topics(n: usize, each: usize, spread: f32) -> Vec<Vec<f32>> {
    topics_of(5, n, each, spread)
}

fn topics_of(seed: u64, n: usize, each: usize, spread: f32) -> Vec<Vec<f32>> {
    let mut rng = Rng::new(seed);
    let mut rows = Vec::new();
    for _ in 0..n {
        let mut centre: Vec<f32> = (0..DIMS).map(|_| rng.normal()).collect();
        let norm = centre.iter().map(|x| x * x).sum::<f32>().sqrt();
        centre.iter_mut().for_each(|x| *x /= norm);
        for _ in 0..each {
            rows.push(centre.iter().map(|x| x + spread * rng.normal()).collect());
        }
    }
    rows
}

#[test]
fn after_placeholders() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
        let placeholders = vec![vec![0.0; DIMS]; 300];
        let rows = topics(20, 40, 0.05);
        let world = grown::<f32>(metric, &placeholders, &rows);
        let recall = recall(&world, &rows);
        assert!(
            recall > 0.95 || metric == Metric::InnerProduct && recall > 0.8,
            "{metric:?} {recall}"
        );
        assert!(!world.by_vectors(), "{metric:?}");
    }
}

#[test]
fn topic_after_topic() {
    for metric in METRICS {
        for spread in [0.05, 0.001] {
            let recalls = [5, 6, 7].map(|seed| {
                let rows = topics_of(seed, 10, 120, spread);
                recall(&grown::<f32>(metric, &rows[..120], &rows[120..]), &rows)
            });
            let mean = recalls.iter().sum::<f64>() / recalls.len() as f64;
            assert!(
                mean > 0.95 || metric == Metric::InnerProduct,
                "{metric:?} {spread} {recalls:?}"
            );
        }
    }
    let rows = topics(10, 100, 0.05);
    let world = grown::<f16>(Metric::L2, &rows[..100], &rows[100..]);
    let recall = recall(&world, &rows);
    assert!(recall > 0.95, "{recall}");
}

#[test]
fn a_dimension_becomes_wide() {
    // Vectors longer than those that codes are made of are compared by their own length.
    for (metric, scale) in [(Metric::L2, 1.0), (Metric::L1, 1e30)] {
        let mut rows = topics(10, 120, 0.2);
        let mut rng = Rng::new(7);
        // Rows with the same number there differ in the others, of which a code keeps nothing then.
        rows[400..].iter_mut().for_each(|row| row[0] = 1000.0 * (rng.below(8) as f32 - 3.5));
        rows.iter_mut().flatten().for_each(|x| *x *= scale);
        let mut world = grown::<f32>(metric, &rows[..100], &rows[100..]);
        assert!(world.by_vectors(), "{metric:?}");
        let recall = recall(&world, &rows[400..]);
        assert!(recall > 0.95, "{metric:?} {recall}");
        world.verify_linked();
    }
}

#[test]
fn any_finite_values() {
    for metric in METRICS {
        let mut rows = topics(10, 40, 0.05);
        // What the operator calls no number is left out.
        let odd: &[f32] = match metric {
            Metric::L2 | Metric::L1 | Metric::Hamming | Metric::Jaccard => {
                &[1e38, -3e38, 1e20, 1e-20, 1e-38, -1e-44, 0.0]
            }
            Metric::InnerProduct => &[1e35, -1e35, 1e20, 1e-20, 1e-38, -1e-44, 0.0],
            Metric::Cosine => &[1e20, -1e20, 1e-18],
        };
        odd.iter().enumerate().for_each(|(i, x)| rows.insert(20 * i, vec![*x; DIMS]));
        let world = grown::<f32>(metric, &rows[..30], &rows[30..]);
        let (found, _) = world.search(&rows[205], ALL);
        assert_eq!(found.len(), rows.len(), "{metric:?}");
        assert_eq!(damage(&world.mem), [], "{metric:?}");
        let near: Vec<Vec<f32>> = rows[200..].to_vec();
        let recall = recall(&world, &near);
        assert!(recall > 0.95 || metric == Metric::InnerProduct, "{metric:?} {recall}");
    }
}

#[test]
fn a_long_first_topic() {
    // The first topic is larger than what a search looks at, so that it can only be left by links that lead far.
    let recalls = [100, 101].map(|seed| {
        let rows = topics_of(seed, 31, 300, 0.0124);
        let (first, later) = rows.split_at(900);
        let mean = first.iter().fold(vec![0.0; DIMS], |mut sum, row| {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / 900.0);
            sum
        });
        let first: Vec<Vec<f32>> = first
            .iter()
            .enumerate()
            .map(|(i, row)| {
                let own = &rows[i / 300 * 300];
                row.iter().zip(own).zip(&mean).map(|((x, own), mean)| x - own + mean).collect()
            })
            .collect();
        recall(&grown::<f32>(Metric::L2, &first, later), later)
    });
    assert!(recalls.iter().sum::<f64>() / 2.0 > 0.95, "{recalls:?}");
}

#[test]
fn a_tenth_of_the_rows_in_one_place() {
    for metric in [Metric::L2, Metric::L1] {
        for scale in [1e-40f32, 1e-10, 1e-4] {
            let mut rng = Rng::new(5);
            let topics: Vec<Vec<f32>> = topics(40, 1, 0.0);
            let rows: Vec<Vec<f32>> = (0..2000)
                .map(|i| {
                    let scale = if i % 10 == 7 { scale } else { 1.0 };
                    let topic = &topics[rng.below(40) as usize];
                    topic.iter().map(|x| scale * (x + 0.12 * rng.normal())).collect()
                })
                .collect();
            let world = grown::<f32>(metric, &rows[..1000], &rows[1000..]);
            let others = rows.iter().zip(0..).filter(|(_, i)| i % 10 != 7);
            let recall = recall(&world, &others.map(|(row, _)| row.clone()).collect::<Vec<_>>());
            assert!(recall > 0.75, "{metric:?} {scale} {recall}");
        }
    }
}
