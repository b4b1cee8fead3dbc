//! Built graphs: their shape, and what searches find in them.

use super::super::beam::Beam;
use super::super::distance::{NodeQuery, Points, VectorQuery, Vectors};
use super::super::grid::{Codes, Factors};
use super::super::levels::links_max;
use super::super::order::order;
use super::super::walk::{Graph, descend};
use super::{BuiltGraph, Cancelled, Grid, HnswParams, NO_NODE, build, build_bytes};
use crate::kmeans::tests::ellipsoid;
use crate::metric::Metric;
use crate::parallel::{Job, run};
use crate::rng::Rng;

const K: usize = 10;

struct Coded {
    grid: Grid,
    codes: Vec<u8>,
    factors: Vec<Factors>,
}

impl Coded {
    fn new(metric: Metric, dims: usize, rows: &[f32]) -> Coded {
        let grid = Grid::train(metric, dims, rows);
        let mut codes = vec![0; rows.len() / dims * grid.size()];
        let of = rows.chunks(dims).zip(codes.chunks_mut(grid.size()));
        let factors = of.map(|(x, code)| grid.encode(x, code)).collect();
        Coded { grid, codes, factors }
    }

    fn of(&self) -> Codes<'_> {
        Codes { codes: &self.codes, stride: self.grid.size(), factors: &self.factors }
    }

    fn build(&self, m: usize, ef_construction: usize) -> BuiltGraph {
        let params = HnswParams { m, ef_construction, seed: 1234 };
        build(&self.grid, Points::Codes(self.of()), &params, &Job::default()).unwrap()
    }

    /// The share of the nodes nearest by code that a search with `ef` finds.
    fn recall(&self, graph: &BuiltGraph, dims: usize, queries: &[f32], ef: usize) -> f64 {
        let n = self.factors.len() as u32;
        let (mut beam, mut found, mut hits) = (Beam::new(), Vec::new(), 0);
        for q in queries.chunks(dims) {
            let query = self.grid.query(q);
            let mut keys = Vec::new();
            query.keys(self.of(), &(0..n).collect::<Vec<_>>(), &mut Vec::new(), &mut keys);
            let (of, query) = (Points::Codes(self.of()), NodeQuery::Code(query));
            let mut walk = Walk { graph, of, query: &query };
            let entry = descend(&mut walk, graph.entry, graph.level(graph.entry), 0).unwrap();
            beam.begin(n as usize);
            beam.push_entry(entry);
            beam.tranche(&mut walk, 0, ef, &mut found).unwrap();
            keys.sort_by(f32::total_cmp);
            hits += found.iter().take(K).filter(|near| near.key <= keys[K - 1]).count();
        }
        hits as f64 / (K * queries.len() / dims) as f64
    }
}

struct Walk<'a> {
    graph: &'a BuiltGraph,
    of: Points<'a>,
    query: &'a NodeQuery,
}

impl Graph for Walk<'_> {
    type Error = ();

    fn links(&mut self, node: u32, level: usize, out: &mut Vec<u32>) -> Result<(), ()> {
        out.extend(self.graph.links(node, level));
        Ok(())
    }

    fn keys(&mut self, nodes: &[u32], out: &mut Vec<f32>) -> Result<(), ()> {
        self.query.keys(self.of, nodes, &mut Vec::new(), out);
        Ok(())
    }
}

/// Every rule that a graph keeps, and reachability at level 0.
fn assert_sound(graph: &BuiltGraph, m: usize) {
    let n = graph.len() as u32;
    for node in 0..n {
        for level in 0..=graph.level(node) {
            let mut links = graph.links(node, level).to_vec();
            assert!(links.len() <= links_max(m, level));
            assert!(links.iter().all(|to| graph.level(*to) >= level && *to != node && *to < n));
            links.sort_unstable();
            assert!(links.windows(2).all(|pair| pair[0] != pair[1]), "{node} twice to a node");
        }
        assert!(graph.links(node, graph.level(node) + 1).is_empty());
    }
    let mut reached = vec![false; n as usize];
    let mut queue = vec![graph.entry];
    while let Some(node) = queue.pop() {
        if !std::mem::replace(&mut reached[node as usize], true) {
            queue.extend(graph.links(node, 0));
        }
    }
    assert!(reached.iter().all(|reached| *reached), "of {n} nodes some are not reached");
    let mut places = order(graph);
    places.sort_unstable();
    assert!(places.into_iter().eq(0..n));
}

#[test]
fn a_search_finds_what_is_near() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
        let (all, dims) = (ellipsoid(5100, 7), 32);
        let (queries, rows) = all.split_at(100 * dims);
        let coded = Coded::new(metric, dims, rows);
        let graph = coded.build(16, 100);
        assert_sound(&graph, 16);
        let recall = |ef| coded.recall(&graph, dims, queries, ef);
        let recalls = [10, 32, 64, 256].map(recall);
        println!("{metric:?} {recalls:?}");
        assert!(recalls[1] > 0.9 && recalls[2] > 0.96 && recalls[3] > 0.995, "{recalls:?}");
        assert!(recalls.is_sorted());
    }
}

/// Bits of 60 topics, each row of which has one bit in sixteen turned: many are as near as others.
#[test]
fn a_search_finds_bits_that_are_near() {
    const DIMS: usize = 128;
    let mut rng = Rng::new(8);
    let topics: Vec<f32> = (0..60 * DIMS).map(|_| rng.below(2) as f32).collect();
    let mut bits = |n: usize| -> Vec<f32> {
        let row = |rng: &mut Rng| -> Vec<f32> {
            let topic = rng.below(60) as usize * DIMS;
            let of = topics[topic..topic + DIMS].iter();
            of.map(|x| if rng.below(16) == 0 { 1.0 - x } else { *x }).collect()
        };
        (0..n).flat_map(|_| row(&mut rng)).collect()
    };
    let (rows, queries) = (bits(5000), bits(100));
    for metric in [Metric::Hamming, Metric::Jaccard] {
        let coded = Coded::new(metric, DIMS, &rows);
        let graph = coded.build(16, 64);
        assert_sound(&graph, 16);
        let recalls = [10, 40, 200].map(|ef| coded.recall(&graph, DIMS, &queries, ef));
        println!("{metric:?} {recalls:?}");
        assert!(recalls[1] > 0.97 && recalls[2] > 0.995, "{recalls:?}");
    }
}

/// Rows so close together, and so far from the others, that their codes are all alike.
#[test]
fn a_graph_of_vectors_finds_what_codes_cannot() {
    let (dims, n) = (16, 2000);
    let mut rng = Rng::new(6);
    let near = |i: usize, rng: &mut Rng| -> Vec<f32> {
        (0..dims).map(|j| (i % 4 * (j + 7) * 5 % 13) as f32 + 1e-4 * rng.unit()).collect()
    };
    let rows: Vec<f32> = (0..n).flat_map(|i| near(i, &mut rng)).collect();
    let grid = Grid::train(Metric::L2, dims, &rows);
    let of = Points::Vectors(Vectors { metric: Metric::L2, dims, rows: &rows });
    let params = HnswParams { m: 16, ef_construction: 64, seed: 1234 };
    let graph = build(&grid, of, &params, &Job::default()).unwrap();
    assert_sound(&graph, 16);
    let (mut beam, mut found, mut hits) = (Beam::new(), Vec::new(), 0);
    for i in 0..50 {
        let query = VectorQuery::new(Metric::L2, &near(i, &mut rng));
        let mut keys: Vec<f32> = rows.chunks(dims).map(|row| query.key(row)).collect();
        keys.sort_by(f32::total_cmp);
        let query = NodeQuery::Vector(query);
        let mut walk = Walk { graph: &graph, of, query: &query };
        let entry = descend(&mut walk, graph.entry, graph.level(graph.entry), 0).unwrap();
        beam.begin(n);
        beam.push_entry(entry);
        beam.tranche(&mut walk, 0, 40, &mut found).unwrap();
        hits += found.iter().take(K).filter(|near| near.key <= keys[K - 1]).count();
    }
    assert!(hits >= 480, "{hits} of 500");
}

#[test]
fn threads_find_as_much() {
    let (all, dims) = (ellipsoid(5100, 8), 32);
    let (queries, rows) = all.split_at(100 * dims);
    let coded = Coded::new(Metric::L2, dims, rows);
    let alone = coded.build(8, 40);
    assert_eq!(alone, coded.build(8, 40));
    let recall = |graph: &BuiltGraph| coded.recall(graph, dims, queries, 40);
    for threads in [1, 4] {
        let graph = run(threads, |_| (), |_| coded.build(8, 40)).unwrap();
        assert_sound(&graph, 8);
        assert!(threads > 1 || graph == alone);
        assert!((recall(&graph) - recall(&alone)).abs() < 0.03);
    }
}

#[test]
fn few_nodes() {
    for n in [0, 1, 2, 3, 7, 40] {
        let coded = Coded::new(Metric::L2, 32, &ellipsoid(n, 1));
        for m in [2, 16] {
            let graph = coded.build(m, 4);
            assert_eq!((graph.len(), graph.is_empty()), (n, n == 0));
            if n == 0 {
                assert_eq!(graph.entry, NO_NODE);
                assert!(order(&graph).is_empty());
            } else {
                assert_sound(&graph, m);
            }
        }
    }
}

#[test]
fn crowds_are_reached() {
    let mut rng = Rng::new(5);
    let equal = vec![1.0; 3000 * 4];
    let near_equal: Vec<f32> = (0..3000 * 4).map(|_| 1.0 + 1e-7 * rng.unit()).collect();
    // Far apart, each of hundreds of nodes with one code.
    let clumps: Vec<f32> =
        (0..3000 * 4).map(|i| (i / 4 % 7 * 100) as f32 + 1e-3 * rng.unit()).collect();
    for rows in [&equal, &near_equal, &clumps] {
        for m in [2, 8] {
            assert_sound(&Coded::new(Metric::L2, 4, rows).build(m, 20), m);
        }
    }
}

#[test]
fn a_cancelled_build_ends() {
    let coded = Coded::new(Metric::L2, 32, &ellipsoid(2000, 1));
    let params = HnswParams { m: 8, ef_construction: 40, seed: 1 };
    let job = Job::default();
    job.cancel();
    let built = build(&coded.grid, Points::Codes(coded.of()), &params, &job);
    assert_eq!(built, Err(Cancelled));
}

#[test]
fn progress_is_told() {
    let coded = Coded::new(Metric::L2, 32, &ellipsoid(3000, 1));
    let params = HnswParams { m: 4, ef_construction: 10, seed: 1 };
    let job = Job::default();
    build(&coded.grid, Points::Codes(coded.of()), &params, &job).unwrap();
    assert!(job.step() > 1000 && job.total() == 3000);
}

#[test]
fn neighbours_stand_together() {
    let coded = Coded::new(Metric::L2, 32, &ellipsoid(5000, 3));
    let graph = coded.build(8, 40);
    let mut place = vec![0; 5000];
    order(&graph).iter().zip(0u32..).for_each(|(node, at)| place[*node as usize] = at);
    let pages = |place: &dyn Fn(u32) -> u32| {
        let of = |node: u32| {
            let mut pages: Vec<u32> = graph.links(node, 0).iter().map(|to| place(*to)).collect();
            pages.sort_unstable();
            pages.dedup();
            pages.len()
        };
        (0..5000).map(of).sum::<usize>()
    };
    let (ordered, random) = (pages(&|node| place[node as usize] / 50), pages(&|node| node / 50));
    assert!(ordered * 10 < random * 9, "{ordered} {random}");
}

#[test]
fn memory_is_foretold() {
    assert_eq!(build_bytes(0, 128, 16), 0);
    let per_node = build_bytes(1000, 128, 16) / 1000;
    assert!((128 + 8 + 128 + 4..300).contains(&per_node), "{per_node}");
    assert_eq!(build_bytes(usize::MAX, 128, 16), usize::MAX);
}
