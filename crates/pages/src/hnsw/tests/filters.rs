//! A filtered scan gives the rows that pass, each once and in order, whatever the verbs did: against the model.

use std::sync::Arc;

use ann::element::{Bits, Element};
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::{ALL, Kind, METRICS, World};
use crate::hnsw::Code;
use crate::hnsw::scan::GraphParams;
use crate::search::filter::{Condition, Filter, Intervals};
use crate::search::params::Iterative;
use crate::tid::Tid;
use crate::trials::filters::{conditions, passes, some_rows, values};
use crate::trials::{crash_everywhere, random_verbs};

/// Searches under random filters and among random rows find what they should.
pub fn verify<E: Element>(world: &mut World<E>) {
    let mut rng = Rng::new(world.mem.n_writes() as u64 + world.model.len() as u64);
    let tids: Vec<Tid> = world.model.keys().copied().collect();
    let attributes = world.meta.params.attributes;
    for ef in [ALL.ef, 5] {
        let conditions = match world.kind.attributes {
            [] => Vec::new(),
            _ => conditions(&tids, &attributes, &mut rng),
        };
        let set = some_rows(&tids, &mut rng);
        let mut filter = Filter::new(&attributes, conditions.iter().cloned()).unwrap();
        let has_set = conditions.is_empty() || rng.below(2) == 0;
        if has_set {
            filter = filter.and_among(Arc::clone(&set));
        }
        let query = world.random_query();
        let params = GraphParams { ef, ef_of_tenfold: 5 * ef, ..ALL };
        let (rows, _) = world.search_where(&query, params, usize::MAX, Some(&filter));
        let mut found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        let mut expected = world.expected(&query);
        expected.retain(|(tid, _)| {
            (!has_set || set.contains(*tid))
                && (conditions.is_empty() || passes(&values(*tid, &attributes), &conditions))
        });
        if ef < ALL.ef {
            // A narrow search has them in the order in which it comes upon them.
            found.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(found, expected, "{:?} {conditions:?}", world.kind);
    }
}

const WIDTHS: [&[u8]; 4] = [&[4], &[8, 1, 2], &[16, 8], &[1, 2, 4, 8, 16, 1, 2, 4]];

fn kinds() -> impl Iterator<Item = Kind> {
    let kinds = [
        Kind::new(Metric::L2, 8, 4, 300).duplicates(4),
        Kind::new(Metric::Cosine, 40, 6, 0).duplicates(3),
        Kind::new(Metric::InnerProduct, 300, 8, 150).code(Code::SqFp16),
        Kind::new(Metric::L1, 8, 4, 200).by_vectors().duplicates(5),
        // A vector of these goes over several pages.
        Kind::new(Metric::L2, 3000, 4, 30),
    ];
    kinds.into_iter().flat_map(|kind| WIDTHS.map(|widths| kind.attributes(widths)))
}

#[test]
fn rows_that_pass_are_found_after_every_verb() {
    for (seed, kind) in (0..).zip(kinds()) {
        random_verbs(&mut World::<f32>::new(kind, seed), 4);
    }
    for widths in WIDTHS {
        let kind = Kind::new(Metric::Hamming, 70, 4, 200).duplicates(4).attributes(widths);
        random_verbs(&mut World::<Bits>::new(kind, 1), 4);
        random_verbs(&mut World::<f16>::new(Kind { metric: Metric::L2, ..kind }, 1), 4);
    }
}

#[test]
fn rows_that_pass_are_found_after_a_crash() {
    for kind in kinds().step_by(3) {
        crash_everywhere(World::<f32>::new(Kind { n_rows: 30, ..kind }, 5), 16);
    }
}

/// A scan that does not return every row that passes says that it ended at its bound.
#[test]
fn a_bound_is_said() {
    let kind = Kind::new(Metric::L2, 16, 8, 3000).attributes(&[1, 8]);
    let mut world = World::<f32>::new(kind, 3);
    let attributes = world.meta.params.attributes;
    let mut counts = [0, 0];
    for (high, max_scan_tuples) in
        [0, 5, 30, 255].into_iter().flat_map(|high| [1, 60, 700, 1 << 20].map(|most| (high, most)))
    {
        let conditions = [(0, Condition::Within(Intervals::from_to(0, high)))];
        let filter = Filter::new(&attributes, conditions.iter().cloned()).unwrap();
        let query = world.random_query();
        let params = GraphParams { ef: 10, ef_of_tenfold: 60, max_scan_tuples, ..ALL };
        let (rows, scan) = world.search_where(&query, params, usize::MAX, Some(&filter));
        let mut expected = world.expected(&query);
        expected.retain(|(tid, _)| passes(&values(*tid, &attributes), &conditions));
        let is_short = rows.len() < expected.len();
        assert!(scan.is_cut_short() || !is_short, "up to {high}, bound {max_scan_tuples}");
        counts[usize::from(is_short)] += 1;
    }
    assert!(counts.iter().all(|n| *n > 0), "{counts:?}");
}

/// A scan that does not go on has as many rows as a search is wide, if so many pass, and they are the nearest: however few pass.
#[test]
fn the_nearest_that_pass_are_found() {
    for metric in METRICS {
        let kind = Kind::new(metric, 16, 8, 3000).attributes(&[1, 8]);
        let mut world = World::<f32>::new(kind, 3);
        let attributes = world.meta.params.attributes;
        let (mut found, mut wanted) = (0, 0);
        for high in [0, 5, 30, 100, 255].repeat(4) {
            let within = Condition::Within(Intervals::from_to(0, high));
            let conditions = [(0, within)];
            let filter = Filter::new(&attributes, conditions.iter().cloned()).unwrap();
            let query = world.random_query();
            let off = GraphParams { ef: 40, ef_of_tenfold: 200, iterative: Iterative::Off, ..ALL };
            let (rows, _) = world.search_where(&query, off, 10, Some(&filter));
            let mut expected = world.expected(&query);
            expected.retain(|(tid, _)| passes(&values(*tid, &attributes), &conditions));
            assert_eq!(rows.len(), expected.len().min(10), "{metric:?} up to {high}");
            let worst =
                expected.get(9).or(expected.last()).map_or(0.0, |row| f64::from_bits(row.1));
            found += rows.iter().filter(|row| row.distance <= worst).count();
            wanted += rows.len();
        }
        assert!(found * 100 >= wanted * 95, "{metric:?}: {found} of {wanted}");
    }
}
