//! What an index of every kind is put through on pages in memory: its verbs in any order, and a crash after every record.

use std::collections::{BTreeMap, BTreeSet};

use ann::element::Element;
use ann::rng::Rng;

use crate::ivf::check::Problem;
use crate::ivf::vacuum::VacuumStats;
use crate::mem::MemPages;
use crate::tid::Tid;

/// The rows that must be in an index.
pub type Model<E> = BTreeMap<Tid, Vec<E>>;

/// An index and its model.
pub trait Trial: Sized {
    /// Of its vectors.
    type Element: Element;

    fn mem(&self) -> &MemPages;
    fn model(&mut self) -> &mut Model<Self::Element>;
    fn rng(&mut self) -> &mut Rng;
    /// The same index on other pages, that should hold what `model` says.
    fn moved(&self, mem: MemPages, model: Model<Self::Element>) -> Self;
    /// Inserts random rows.
    fn add(&mut self, n: usize);
    /// Deletes rows for which `is_dead`.
    fn remove(&mut self, is_dead: &dyn Fn(Tid) -> bool);
    /// What a search of everything finds.
    fn found(&self) -> Vec<Tid>;
    /// What is wrong with the pages of an index, but for leaked ones.
    fn damage(mem: &MemPages) -> Vec<Problem>;
    /// Fails if pages are damaged or searches do not give the model.
    fn verify_leaky(&mut self);
    /// The same, and if pages have leaked.
    fn verify(&mut self);
}

/// Random verbs against the model.
pub fn random_verbs<W: Trial>(world: &mut W, n: usize) {
    world.verify();
    for _ in 0..n {
        match world.rng().below(4) {
            0 | 1 => {
                let n = world.rng().below(100) as usize;
                world.add(n);
            }
            2 => {
                let keep = u64::from(world.rng().below(10)) + 1;
                world.remove(&|tid| tid.to_u64() % 11 >= keep);
            }
            _ => {
                // A range of tids, so that whole blocks die.
                let first = world.rng().below(8);
                world.remove(&|tid| (first..first + 3).contains(&tid.blkno));
            }
        }
        world.verify();
    }
}

/// What must be, and what may be, in the index while an operation runs.
struct Step<E> {
    journal_end: usize,
    before: Model<E>,
    after: Model<E>,
}

fn steps<W: Trial>(world: &mut W, n: usize) -> Vec<Step<W::Element>> {
    world.mem().start_journal();
    let mut steps = Vec::new();
    for i in 0..n {
        let before = world.model().clone();
        if i % 12 == 7 {
            let first = world.rng().below(3);
            world.remove(&|tid| tid.blkno == first || tid.to_u64().is_multiple_of(7));
        } else {
            world.add(1);
        }
        let (journal_end, after) = (world.mem().journal_len(), world.model().clone());
        steps.push(Step { journal_end, before, after });
    }
    steps
}

/// A crash after every single record of `n_steps` verbs leaves a sound index that holds what was there, with or without the
/// row in flight, and on which work goes on.
pub fn crash_everywhere<W: Trial>(mut world: W, n_steps: usize) {
    let steps = steps(&mut world, n_steps);
    for n in 0..=world.mem().journal_len() {
        let step = steps.iter().find(|step| n <= step.journal_end).unwrap();
        let image = world.mem().crash_image(n);
        assert_eq!(W::damage(&image), [], "after record {n}");
        let mut all = step.before.clone();
        all.extend(step.after.clone());
        let mut crashed = world.moved(image, all);
        let rows = crashed.found();
        let found: BTreeSet<Tid> = rows.iter().copied().collect();
        assert_eq!(found.len(), rows.len());
        let mut sure = step.before.keys().filter(|tid| step.after.contains_key(tid));
        assert!(sure.all(|tid| found.contains(tid)), "lost a row after record {n}");
        crashed.model().retain(|tid, _| found.contains(tid));
        crashed.verify_leaky();
        // The free space map of a crash image offers every page: none in use may be taken.
        crashed.add(2);
        crashed.remove(&|tid| tid.to_u64().is_multiple_of(5));
        crashed.add(1);
        crashed.verify_leaky();
    }
}

/// Deletes rows for which `is_dead` from the model and, by `bulk_delete`, from the index, which is to ask about every row once.
pub fn vacuum<E>(
    model: &mut Model<E>,
    is_dead: impl Fn(Tid) -> bool,
    bulk_delete: impl FnOnce(&mut dyn FnMut(Tid) -> bool) -> VacuumStats,
) -> VacuumStats {
    let mut asked = Vec::new();
    let stats = bulk_delete(&mut |tid| {
        asked.push(tid);
        is_dead(tid)
    });
    asked.sort_unstable();
    assert_eq!(asked, model.keys().copied().collect::<Vec<_>>());
    let before = model.len();
    model.retain(|tid, _| !is_dead(*tid));
    assert_eq!(stats.live, model.len() as u64);
    assert_eq!(stats.removed, (before - model.len()) as u64);
    stats
}
