//! Whatever place a row has, its estimate is what its codec says of it alone.

use ann::codec::{Coding, LANES, UNIT};
use ann::metric::Metric;

use super::rows::point_of;
use super::{METRICS, Shape, World, kinds};
use crate::coded::probe::CodedProbe;
use crate::ivf::scan::{Iterative, Scan, SearchParams};

/// The estimate of a row by itself, in a block of its own.
fn estimate(world: &World<f32>, query: &[f32], row: &[f32], lane: usize) -> f32 {
    let (codec, coarse, row) = (&world.codec, world.coarse(), world.coded(row));
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

fn estimates(metric: Metric, dims: usize) {
    for kind in kinds(dims) {
        let mut world = World::<f32>::new(Shape::new(kind, metric, dims, 3, 300), 1);
        world.vacuum(|tid| tid.to_u64() % 5 == 0);
        for _ in 0..300 {
            world.insert_random();
        }
        let query = point_of(metric, &world.random_query());
        let (nprobe, max_scan_tuples) = (usize::MAX, 0);
        let mut scan = Scan::<CodedProbe>::new();
        let iterative = Iterative::Off;
        scan.begin(
            &query,
            SearchParams {
                nprobe,
                iterative,
                max_scan_tuples,
                max_probes: usize::MAX,
                rows_wanted: None,
                memory: 0,
            },
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
        for dims in [1, 7, 40, 100] {
            estimates(metric, dims);
        }
    }
    estimates(Metric::L2, 700);
}
