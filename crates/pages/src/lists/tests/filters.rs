//! A filtered scan gives the rows that pass, each once and in order, whatever the verbs did: against the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::{ALL, METRICS, REFINES, Shape, World, params};
use crate::damage::search::ListSearch;
use crate::lists::candidates::RerankParams;
use crate::search::exact::ExactQuery;
use crate::search::filter::{Condition, Filter, Intervals};
use crate::search::params::{Found, Iterative};
use crate::search::rerank::Budget;
use crate::tid::Tid;
use crate::trials::filters::{conditions, passes, some_rows, values};
use crate::trials::{crash_everywhere, random_verbs};

fn tids(world: &World<impl Element>) -> Vec<Tid> {
    world.model.keys().copied().collect()
}

impl<E: Element> World<E> {
    /// All that a filtered search finds.
    fn search_where(
        &self,
        query: &[f32],
        params: &RerankParams,
        filter: &Filter,
    ) -> (Vec<Found>, ListSearch<E>) {
        let mut search = ListSearch::new(&self.index);
        search.begin(&self.index, query, params);
        let exact = ExactQuery::new(self.shape.metric, query);
        let mut table = super::rows::ModelRows { rows: &self.model, query: &exact };
        let view = self.view().filtered(Some(filter));
        let mut rows = Vec::new();
        while let Some(row) =
            search.next(&self.mem, &self.index, &view, &exact, &mut table).unwrap()
        {
            rows.push(row);
            assert!(rows.len() <= self.model.len(), "more rows than there are");
        }
        (rows, search)
    }

    /// What a sort of the rows that pass gives.
    fn expected_where(&self, query: &[f32], conditions: &[(usize, Condition)]) -> Vec<(Tid, u64)> {
        let mut rows = self.expected(query);
        let attributes = &self.lists().params.attributes;
        rows.retain(|(tid, _)| passes(&values(*tid, attributes), conditions));
        rows
    }
}

/// Searches among random rows find those, and no others.
pub fn verify_among<E: Element>(world: &World<E>) {
    let mut rng = Rng::new(world.mem.n_writes() as u64 + 3);
    for _ in 0..2 {
        let rows = some_rows(&tids(world), &mut rng);
        let filter = Filter::among(Arc::clone(&rows));
        let query = super::random_query::<E>(&mut rng, world.shape.dims);
        let (found, search) = world.search_where(&query, &ALL, &filter);
        let found: Vec<_> = found.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        let mut expected = world.expected(&query);
        expected.retain(|(tid, _)| rows.contains(*tid));
        assert_eq!(found, expected, "{:?} among {rows:?}", world.shape);
        assert_eq!(search.visited(), found.len() as u64);
    }
}

/// Searches under random filters find what they should.
pub fn verify<E: Element>(world: &World<E>) {
    let mut rng = Rng::new(world.mem.n_writes() as u64 + world.model.len() as u64);
    for _ in 0..3 {
        let conditions = conditions(&tids(world), &world.lists().params.attributes, &mut rng);
        let attributes = &world.lists().params.attributes;
        let filter = Filter::new(attributes, conditions.iter().cloned()).unwrap();
        let set = some_rows(&tids(world), &mut rng);
        let filter = filter.and_among(Arc::clone(&set));
        let query = super::random_query::<E>(&mut rng, world.shape.dims);
        let (rows, search) = world.search_where(&query, &ALL, &filter);
        let found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        let mut expected = world.expected_where(&query, &conditions);
        expected.retain(|(tid, _)| set.contains(*tid));
        assert_eq!(found, expected, "{:?} {conditions:?}", world.shape);
        assert!(!filter.is_never() || found.is_empty());
        assert_eq!(search.visited(), found.len() as u64);
    }
}

const WIDTHS: [&[u8]; 4] = [&[4], &[8, 1, 2], &[16, 8], &[1, 2, 4, 8, 16, 1, 2, 4]];

fn shapes() -> impl Iterator<Item = Shape> {
    let shapes = [
        Shape::flat(Metric::L2, 6, 12, 900),
        Shape::flat(Metric::Cosine, 700, 4, 200),
        Shape::flat(Metric::L1, 6, 0, 500),
        Shape::coded(CodeKind::PqFs { m: 4 }, Metric::L2, 8, 12, 900),
        Shape::coded(CodeKind::RaBitQ { nbits: 1 }, Metric::Cosine, 100, 5, 400).and_vectors(),
        Shape::coded(CodeKind::Sq8, Metric::InnerProduct, 300, 3, 200),
        // A block of these goes over several pages.
        Shape::coded(CodeKind::SqFp16, Metric::L2, 2000, 2, 70),
    ];
    shapes.into_iter().flat_map(|shape| WIDTHS.map(|widths| shape.and_attributes(widths)))
}

#[test]
fn rows_that_pass_are_found_after_every_verb() {
    for (seed, shape) in (0..).zip(shapes()) {
        random_verbs(&mut World::<f32>::new(shape, seed), 4);
    }
    for widths in WIDTHS {
        let shape = Shape::flat(Metric::Hamming, 70, 3, 200).and_attributes(widths);
        random_verbs(&mut World::<Bits>::new(shape, 1), 4);
        random_verbs(&mut World::<f16>::new(Shape { metric: Metric::L2, ..shape }, 1), 4);
    }
}

#[test]
fn rows_that_pass_are_found_after_a_crash() {
    for shape in shapes().step_by(3) {
        crash_everywhere(World::<f32>::new(Shape { n_rows: 30, ..shape }, 5), 16);
    }
}

/// However many lists are first, whatever the order and the LIMIT, every row that passes comes once.
#[test]
fn every_row_that_passes_comes_once() {
    let shapes = METRICS.into_iter().flat_map(|metric| {
        let coded = REFINES.map(|refine| Shape {
            refine,
            ..Shape::coded(CodeKind::PqFs { m: 4 }, metric, 8, 12, 800)
        });
        coded.into_iter().chain([Shape::flat(metric, 6, 40, 1500)])
    });
    let wanted = [None, Some(1), Some(40), Some(u64::MAX)];
    let mut rng = Rng::new(17);
    for shape in shapes {
        let mut world = World::<f32>::new(shape.and_attributes(&[1, 8]), 31);
        world.vacuum(|tid| tid.offset.is_multiple_of(9));
        world.insert_random(80);
        for (rows_wanted, memory) in wanted.into_iter().flat_map(|k| [(k, 0), (k, 1 << 20)]) {
            for (iterative, nprobe) in
                [(Iterative::Strict, 1), (Iterative::Relaxed, 1), (Iterative::Strict, 5)]
            {
                let conditions =
                    conditions(&tids(&world), &world.lists().params.attributes, &mut rng);
                let attributes = &world.lists().params.attributes;
                let filter = Filter::new(attributes, conditions.iter().cloned()).unwrap();
                let query = world.random_query();
                let budget = Budget::fixed(3);
                let params = params(nprobe, iterative, u64::MAX);
                let params = RerankParams { budget, rows_wanted, memory, ..params };
                let (rows, search) = world.search_where(&query, &params, &filter);
                let expected: BTreeMap<Tid, u64> =
                    world.expected_where(&query, &conditions).into_iter().collect();
                let found: BTreeMap<Tid, u64> =
                    rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
                assert_eq!(rows.len(), expected.len(), "{shape:?} {params:?} {conditions:?}");
                assert_eq!(found, expected, "{shape:?} {params:?} {conditions:?}");
                let visited = (search.visited(), search.is_cut_short());
                assert_eq!(visited, (expected.len() as u64, false));
            }
        }
    }
}

/// A scan that does not go on has at least the rows wanted, if so many pass; and it does not look at every list for them.
#[test]
fn rows_wanted_are_found_among_few_that_pass() {
    for shape in
        [Shape::flat(Metric::L2, 6, 60, 6000), Shape::coded(CodeKind::Sq8, Metric::L2, 8, 60, 6000)]
    {
        let mut world = World::<f32>::new(shape.and_attributes(&[1, 8]), 41);
        let mut visited = Vec::new();
        // Of 256 values, and a quarter of the rows null or nearly so.
        for high in [0, 3, 30, 255] {
            let condition = Condition::Within(Intervals::from_to(0, high));
            let conditions = vec![(0, condition)];
            let attributes = &world.lists().params.attributes;
            let filter = Filter::new(attributes, conditions.iter().cloned()).unwrap();
            let query = world.random_query();
            let off = RerankParams { rows_wanted: Some(10), ..params(2, Iterative::Off, u64::MAX) };
            let (rows, search) = world.search_where(&query, &off, &filter);
            let all = world.expected_where(&query, &conditions).len();
            assert!(rows.len() >= all.min(10), "{shape:?} up to {high}: {} of {all}", rows.len());
            visited.push((search.visited() as usize, all));
        }
        let [few, .., many] = visited[..] else { unreachable!() };
        // The nearest of few are spread over more lists.
        assert!(few.0 * many.1 > 4 * many.0 * few.1, "{few:?} {many:?}");
        assert!(many.0 < many.1 / 4, "{many:?}");
    }
}

#[test]
fn a_filter_on_what_is_not_there_is_refused() {
    let world = World::<f32>::new(Shape::flat(Metric::L2, 6, 2, 9).and_attributes(&[4]), 1);
    let attributes = &world.lists().params.attributes;
    assert!(Filter::new(attributes, [(1, Condition::Null)]).is_none());
    assert!(Filter::new(attributes, [(0, Condition::AnyOf(1))]).is_none());
    let never = Filter::new(attributes, [(0, Condition::Within(Intervals::NONE))]).unwrap();
    assert!(never.is_never());
    let apart = [(0, 5), (9, 12)].map(|(a, b)| (0, Condition::Within(Intervals::from_to(a, b))));
    assert!(Filter::new(attributes, apart).unwrap().is_never());
}
