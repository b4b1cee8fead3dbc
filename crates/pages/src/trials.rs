//! What an index of every kind is put through on pages in memory: its verbs in any order, and a crash after every record.

pub mod filters;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use ann::element::Element;
use ann::rng::Rng;
use ann::topk::Hit;

use crate::checker::Problem;
use crate::mem::MemPages;
use crate::tid::Tid;
use crate::vacuum::VacuumStats;

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
    /// As `verify_leaky`; also fails if pages have leaked.
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

/// An index whose scans mark what is dead to all.
pub trait Marked: Trial + Sync {
    /// All rows that a scan meets, with their places.
    fn hits(&self, trusts_marks: bool) -> Vec<Hit>;
    /// Marks.
    fn mark(&self, hits: Vec<Hit>, is_dead: &mut dyn FnMut(Tid) -> bool) -> u64;
    /// Inserts a row and leaves the model as it is.
    fn put_row(&self, tid: Tid, vector: &[Self::Element]);
    /// VACUUM that leaves the model as it is.
    fn clear(&self, is_dead: &mut dyn FnMut(Tid) -> bool);
}

fn tids(hits: &[Hit]) -> BTreeSet<Tid> {
    let tids: BTreeSet<Tid> = hits.iter().map(|hit| Tid::from_u64(hit.id)).collect();
    assert_eq!(tids.len(), hits.len(), "a row came twice");
    tids
}

/// Marked entries are no rows of a scan that trusts marks, and rows to all others: to VACUUM, to inserts, to who counts.
pub fn marks<W: Marked>(mut world: W) {
    let is_dead = |tid: Tid| !tid.to_u64().is_multiple_of(3);
    let all = world.hits(true);
    let rows: BTreeSet<Tid> = world.model().keys().copied().collect();
    assert_eq!(tids(&all), rows);
    let dead = rows.iter().filter(|tid| is_dead(**tid)).count();
    let n_writes = world.mem().n_writes();
    assert_eq!(world.mark(all.clone(), &mut |tid| is_dead(tid)), dead as u64);
    assert_eq!(world.mark(all.clone(), &mut |tid| is_dead(tid)), 0, "nothing is marked twice");
    assert_eq!((world.mem().n_writes(), world.mem().n_hints()), (n_writes, dead));
    assert_eq!(W::damage(world.mem()), []);
    // Inserts take other places, and settle the hints of the pages they change.
    let live = |rows: &BTreeSet<Tid>| rows.iter().filter(|t| !is_dead(**t)).copied().collect();
    let mut seen: BTreeSet<Tid> = live(&rows);
    assert_eq!(tids(&world.hits(true)), seen);
    assert_eq!(tids(&world.hits(false)), rows);
    let n_hints = world.mem().n_hints();
    world.add(40);
    assert!(world.mem().n_hints() < n_hints);
    let with_new: BTreeSet<Tid> = world.model().keys().copied().collect();
    seen.extend(with_new.difference(&rows));
    assert_eq!(tids(&world.hits(true)), seen);
    assert_eq!(tids(&world.hits(false)), with_new);
    // It asks about every row, as the trial sees to.
    let gone: BTreeSet<Tid> = rows.iter().filter(|tid| is_dead(**tid)).copied().collect();
    world.remove(&|tid| gone.contains(&tid));
    world.verify();
    assert_eq!(tids(&world.hits(false)), seen);
    // Others are in the places of those that are gone.
    world.add(dead.min(100));
    let late = all.into_iter().filter(|hit| gone.contains(&Tid::from_u64(hit.id))).collect();
    assert_eq!(world.mark(late, &mut |tid| unreachable!("{tid} is not there")), 0);
    world.verify();
}

/// A scan marks while VACUUM gives the tids of dead rows to new ones: none of these is ever marked.
pub fn marks_meet_vacuum<W: Marked>(mut world: W, seed: u64) {
    let model = world.model().clone();
    let is_dead = |tid: Tid| !tid.to_u64().is_multiple_of(3);
    // What the table says: a place without a row is as dead as one with a dead row.
    let live: BTreeSet<Tid> = model.keys().filter(|tid| !is_dead(**tid)).copied().collect();
    let live = Mutex::new(live);
    let is_live = |tid: Tid| live.lock().is_ok_and(|live| live.contains(&tid));
    // New rows come in the order of the places that are free then: many get that of the row whose tid they have.
    let mut places = world.hits(false);
    places.sort_unstable_by_key(|hit| hit.at);
    {
        let world = &world;
        let marks = || {
            for _ in 0..2 {
                let hits = world.hits(true);
                // Time for the other actor, more and less of it.
                (0..seed % 40).for_each(|_| drop(world.hits(false)));
                let dead: Vec<Hit> =
                    hits.into_iter().filter(|hit| is_dead(Tid::from_u64(hit.id))).collect();
                world.mark(dead, &mut |tid| !is_live(tid));
            }
        };
        let reuse = || {
            world.clear(&mut |tid| is_dead(tid));
            for tid in places.iter().map(|hit| Tid::from_u64(hit.id)).filter(|tid| is_dead(*tid)) {
                live.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(tid);
                world.put_row(tid, &model[&tid]);
            }
        };
        world.mem().interleave(seed, vec![Box::new(marks), Box::new(reuse)]);
    }
    assert_eq!(tids(&world.hits(true)).len(), model.len(), "seed {seed}");
    world.verify();
}
