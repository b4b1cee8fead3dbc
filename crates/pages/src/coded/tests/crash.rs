//! A crash after every single record leaves a sound index that holds what was there, with or without the row in flight,
//! and on which work goes on.

use std::collections::BTreeSet;

use ann::codec::CodeKind;
use ann::element::Element;
use ann::metric::Metric;
use half::f16;

use super::world::damage;
use super::{ALL, Model, Shape, World};
use crate::tid::Tid;

/// What must be, and what may be, in the index while an operation runs.
struct Step<E> {
    journal_end: usize,
    before: Model<E>,
    after: Model<E>,
}

fn steps<E: Element>(world: &mut World<E>, n_steps: usize) -> Vec<Step<E>> {
    world.mem.start_journal();
    let mut steps = Vec::new();
    for i in 0..n_steps {
        let before = world.model.clone();
        if i % 12 == 7 {
            let first = world.rng.below(3);
            world.vacuum(|tid| tid.blkno == first || tid.to_u64() % 7 == 0);
        } else {
            world.insert_random();
        }
        let after = world.model.clone();
        steps.push(Step { journal_end: world.mem.journal_len(), before, after });
    }
    steps
}

fn crash_everywhere<E: Element>(shape: Shape, n_steps: usize) {
    let mut world = World::<E>::new(shape, shape.dims as u64);
    let steps = steps(&mut world, n_steps);
    for n in 0..=world.mem.journal_len() {
        let step = steps.iter().find(|step| n <= step.journal_end).unwrap();
        let image = world.mem.crash_image(n);
        assert_eq!(damage(&image), [], "after record {n}");
        let mut all = step.before.clone();
        all.extend(step.after.clone());
        let crashed = world.on(image, all);
        let (rows, _) = crashed.search(&vec![0.1; shape.dims], ALL);
        let found: BTreeSet<Tid> = rows.iter().map(|row| row.tid).collect();
        assert_eq!(found.len(), rows.len());
        let sure = step.before.keys().filter(|tid| step.after.contains_key(tid));
        assert!(sure.copied().all(|tid| found.contains(&tid)), "lost a row after record {n}");
        let model = crashed.model.clone().into_iter().filter(|(t, _)| found.contains(t)).collect();
        let mut world = world.on(crashed.mem, model);
        world.verify_rows();
        // The free space map of a crash image offers every page: none in use may be taken.
        world.insert_random();
        world.insert_random();
        world.vacuum(|tid| tid.to_u64() % 5 == 0);
        world.insert_random();
        assert_eq!(damage(&world.mem), []);
        world.verify_rows();
    }
}

#[test]
fn a_crash_after_any_record_loses_nothing() {
    use CodeKind::{Pq, PqFs, RaBitQ, Sq4, Sq8, SqFp16};
    use Metric::{Cosine, InnerProduct, L2};
    crash_everywhere::<f32>(Shape::new(Sq8, L2, 100, 3, 60), 30);
    crash_everywhere::<f32>(Shape::new(RaBitQ { nbits: 1 }, L2, 100, 3, 0).flat(), 30);
    crash_everywhere::<f16>(Shape::new(SqFp16, Cosine, 700, 2, 20).flat(), 30);
    crash_everywhere::<f32>(Shape::new(Pq { m: 32, nbits: 5 }, InnerProduct, 2048, 2, 10), 20);
    crash_everywhere::<f32>(Shape::new(PqFs { m: 32 }, InnerProduct, 9056, 2, 5).flat(), 20);
    // Blocks and shelves of several pages; the first row makes a shelf.
    crash_everywhere::<f32>(Shape::new(Sq8, L2, 4000, 2, 0).flat(), 20);
    // The last lanes of a shelf, and the next one.
    crash_everywhere::<f32>(Shape::new(Sq4, Cosine, 500, 1, 30), 60);
}
