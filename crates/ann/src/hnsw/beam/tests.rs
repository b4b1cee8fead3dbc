//! Searches of small graphs whose answers are known.

use super::super::walk::{Graph, MAX_NODES, Near, descend};
use super::descent_width;
use super::{Beam, candidate, near};
use crate::rng::Rng;

/// Nodes of a plane with links to their nearest; node i is stale where `stale` says so.
struct Plane {
    points: Vec<[f32; 2]>,
    links: Vec<Vec<u32>>,
    stale: Vec<bool>,
    query: [f32; 2],
    judged: usize,
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

impl Plane {
    fn new(n: usize, degree: usize) -> Plane {
        let mut rng = Rng::new(3);
        let points: Vec<[f32; 2]> = (0..n).map(|_| [rng.unit(), rng.unit()]).collect();
        let nearest = |p: &[f32; 2]| {
            let mut all: Vec<u32> = (0..n as u32).collect();
            all.sort_by(|a, b| {
                let key = |i: &u32| distance(*p, points[*i as usize]);
                key(a).total_cmp(&key(b))
            });
            all.into_iter().take(degree).collect()
        };
        let links = points.iter().map(nearest).collect();
        Plane { stale: vec![false; n], points, links, query: [0.4, 0.6], judged: 0 }
    }

    fn near(&self, node: u32) -> Near {
        let key = distance(self.query, self.points[node as usize]);
        Near { key: if self.stale[node as usize] { f32::INFINITY } else { key }, node }
    }

    fn all_in_order(&self) -> Vec<u32> {
        let mut all: Vec<Near> = (0..self.points.len() as u32).map(|i| self.near(i)).collect();
        all.retain(|near| near.key < f32::INFINITY);
        all.sort_by(|a, b| a.key.total_cmp(&b.key));
        all.into_iter().map(|near| near.node).collect()
    }
}

impl Graph for Plane {
    type Error = ();

    fn links(&mut self, node: u32, _level: usize, out: &mut Vec<u32>) -> Result<(), ()> {
        out.extend(self.links.get(node as usize).ok_or(())?);
        Ok(())
    }

    fn keys(&mut self, nodes: &[u32], out: &mut Vec<f32>) -> Result<(), ()> {
        self.judged += nodes.len();
        out.extend(nodes.iter().map(|node| self.near(*node).key));
        Ok(())
    }
}

fn begin(beam: &mut Beam, plane: &Plane, entry: u32) {
    beam.begin(plane.points.len());
    beam.push_entry(plane.near(entry));
}

#[test]
fn words_order_as_keys_do() {
    let keys = [f32::NEG_INFINITY, -7.5, -0.0, 0.0, 1e-40, 3.0, f32::MAX, f32::INFINITY];
    let words = keys.map(|key| candidate(Near { key, node: MAX_NODES - 1 }));
    assert!(words.is_sorted());
    for (key, word) in keys.into_iter().zip(words) {
        let back = near(word);
        assert_eq!((back.key.to_bits(), back.node), (key.to_bits(), MAX_NODES - 1));
    }
}

#[test]
fn tranches_give_every_node_once_and_the_nearest_first() {
    let mut plane = Plane::new(500, 12);
    let wanted = plane.all_in_order();
    let (mut beam, mut out, mut given) = (Beam::new(), Vec::new(), Vec::new());
    for ef in [1, 7, 50, 1000] {
        begin(&mut beam, &plane, 17);
        plane.judged = 0;
        given.clear();
        loop {
            beam.tranche(&mut plane, 0, ef, &mut out).unwrap();
            assert!(out.len() <= ef && out.is_sorted_by(|a, b| a.key <= b.key));
            if out.is_empty() {
                break;
            }
            given.extend(out.iter().map(|near| near.node));
        }
        if ef >= 50 {
            assert_eq!(given[..50], wanted[..50]);
        }
        assert_eq!((beam.visited(), plane.judged), (500, 499));
        given.sort_unstable();
        assert!(given.iter().copied().eq(0..500), "ef {ef}");
    }
}

#[test]
fn a_search_judges_few_nodes() {
    let mut plane = Plane::new(2000, 12);
    let wanted = plane.all_in_order();
    let (mut beam, mut out) = (Beam::new(), Vec::new());
    begin(&mut beam, &plane, 5);
    beam.once(&mut plane, 0, 20, &mut out).unwrap();
    assert!(out.iter().map(|near| near.node).eq(wanted.into_iter().take(20)));
    assert!(beam.visited() < 600, "{}", beam.visited());
    assert!(beam.is_visited(out[0].node));
}

#[test]
fn stale_nodes_are_passed_over() {
    let mut plane = Plane::new(300, 30);
    (0..300).filter(|i| i % 3 == 0).for_each(|i| plane.stale[i] = true);
    let wanted = plane.all_in_order();
    let (mut beam, mut out) = (Beam::new(), Vec::new());
    begin(&mut beam, &plane, wanted[0]);
    beam.push_entry(plane.near(3));
    beam.push_entry(plane.near(wanted[1]));
    beam.tranche(&mut plane, 0, 1000, &mut out).unwrap();
    assert!(out.iter().map(|near| near.node).eq(wanted));
    // Nothing but a stale entry finds nothing.
    begin(&mut beam, &plane, 3);
    beam.tranche(&mut plane, 0, 10, &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn marked_nodes_do_not_come() {
    let mut plane = Plane::new(100, 20);
    let (mut beam, mut out) = (Beam::new(), Vec::new());
    begin(&mut beam, &plane, 1);
    (10..20).for_each(|node| beam.mark(node));
    beam.mark(u32::MAX);
    beam.tranche(&mut plane, 0, 1000, &mut out).unwrap();
    assert!(!out.is_empty() && out.iter().all(|near| !(10..20).contains(&near.node)));
    assert!(beam.is_visited(12) && !beam.is_visited(u32::MAX));
}

#[test]
fn ids_beyond_what_was_announced() {
    let mut plane = Plane::new(200, 12);
    let (mut beam, mut out) = (Beam::new(), Vec::new());
    beam.begin(0);
    beam.push_entry(plane.near(150));
    beam.tranche(&mut plane, 0, 1000, &mut out).unwrap();
    assert_eq!(out.len(), 200);
}

#[test]
fn the_way_down_is_greedy() {
    let mut plane = Plane::new(400, 12);
    let nearest = plane.all_in_order()[0];
    assert_eq!(descend(&mut plane, 7, 3, 2).unwrap().node, nearest);
    let entry = plane.near(7);
    assert_eq!(descend(&mut plane, 7, 2, 2).unwrap(), entry);
    plane.stale[7] = true;
    assert_eq!(descend(&mut plane, 7, 0, 0).unwrap().key, f32::INFINITY);
}

#[test]
fn the_way_down_of_a_new_node_is_wider() {
    let mut plane = Plane::new(400, 12);
    let nearest = plane.all_in_order();
    let (mut beam, mut out) = (Beam::new(), Vec::new());
    beam.descend(&mut plane, 7, (3, 2), 400, &mut out).unwrap();
    assert_eq!(out.iter().map(|near| near.node).collect::<Vec<_>>(), nearest[..4]);
    beam.once(&mut plane, 2, 10, &mut out).unwrap();
    assert_eq!(out.iter().map(|near| near.node).collect::<Vec<_>>(), nearest[..10]);
    beam.descend(&mut plane, 7, (2, 2), 400, &mut out).unwrap();
    assert_eq!(out, [plane.near(7)]);
    plane.stale[7] = true;
    beam.descend(&mut plane, 7, (3, 2), 400, &mut out).unwrap();
    assert_eq!(out, []);
}

#[test]
fn the_way_down_of_a_query_is_as_wide_as_its_search_wants() {
    let mut plane = Plane::new(400, 12);
    let nearest = plane.all_in_order();
    let (mut beam, mut out) = (Beam::new(), Vec::new());
    for (ef, width) in [(1, 1), (10, 2), (40, 7), (200, 32), (4000, 32)] {
        assert_eq!(descent_width(ef), width);
        beam.descend_to(&mut plane, 7, (3, 2), (400, width), &mut out).unwrap();
        assert_eq!(out.iter().map(|near| near.node).collect::<Vec<_>>(), nearest[..width]);
    }
}

#[test]
fn an_error_ends_the_search() {
    let mut plane = Plane::new(50, 5);
    plane.links[20] = vec![60];
    plane.links[21] = vec![20, 51];
    plane.points.extend([[0.0; 2]; 20]);
    plane.stale.extend([false; 20]);
    let (mut beam, mut out) = (Beam::new(), Vec::new());
    begin(&mut beam, &plane, 20);
    assert_eq!(beam.tranche(&mut plane, 0, 100, &mut out), Err(()));
}
