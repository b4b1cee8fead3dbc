//! Whatever place a row has, its estimate is what its codec says of it alone.

use ann::codec::{Coding, LANES, UNIT};
use ann::metric::Metric;

use super::{ALL, METRICS, Shape, World, kinds, tid_no};
use crate::damage::coding::point_of;
use crate::damage::search::flat_params;
use crate::lists::coded::CodedScanner;
use crate::lists::scan::Scan;
use crate::search::params::Iterative;

/// The estimate of a row by itself, in a block of its own.
fn estimate(world: &World<f32>, query: &[f32], row: &[f32], lane: usize) -> f32 {
    let (codec, coarse) = (&world.index.code.as_ref().unwrap().codec, world.coarse());
    let row = world.coded(tid_no(0), row);
    let mut distances = Vec::new();
    coarse.distances(query, &mut distances);
    let mut prepared = codec.query();
    codec.prepare(&mut prepared, query);
    let centroid = coarse.centroid(row.list_no);
    codec.enter_list(&mut prepared, centroid, distances[row.list_no as usize]);
    let mut units = vec![0; codec.units() * UNIT];
    codec.pack(&row.code, lane, 0, &mut units);
    let mut factors = vec![0.0; codec.n_factors() * LANES];
    for (f, factor) in row.factors.iter().enumerate() {
        factors[f * LANES + lane] = *factor;
    }
    let mut out = [0.0; LANES];
    codec.block(&prepared, &units, &factors, f32::INFINITY, &mut out);
    out[lane]
}

fn estimates(metric: Metric, dims: usize, attributes: &'static [u8]) {
    for kind in kinds(dims) {
        let shape = Shape::coded(kind, metric, dims, 3, 300).and_attributes(attributes);
        let mut world = World::<f32>::new(shape, 1);
        world.vacuum(|tid| tid.to_u64() % 5 == 0);
        world.insert_random(300);
        let query = world.random_query();
        let query = point_of(&world.lists().params, None, &query);
        let mut scan = Scan::<CodedScanner>::new();
        let params = flat_params(&ALL);
        scan.begin(
            &query,
            crate::search::params::SearchParams { iterative: Iterative::Off, ..params },
        );
        let mut n = 0;
        while let Some(found) = scan.next(&world.mem, &world.view()).unwrap() {
            let lane = n % LANES;
            let alone = estimate(&world, &query, &world.model[&found.tid], lane);
            let close = (f64::from(alone) - found.distance).abs() <= 1e-5 * found.distance.abs();
            assert!(close, "{kind} {metric:?} {dims}: {alone} {}", found.distance);
            n += 1;
        }
        assert_eq!(n, world.model.len());
    }
}

#[test]
fn a_place_does_not_matter() {
    for metric in METRICS {
        for (dims, attributes) in [(1, &[][..]), (7, &[2]), (40, &[]), (100, &[8, 16, 4])] {
            estimates(metric, dims, attributes);
        }
    }
    estimates(Metric::L2, 700, &[]);
}
