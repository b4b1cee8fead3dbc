//! Rebuilds in place: with rows that come meanwhile, after a crash at every record, beside scans that began before, and in pages
//! that earlier builds left.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::rows::ModelRows;
use super::world::{damage, random_centroids};
use super::{ALL, Model, Shape, World, params, random_vector, tid_no};
use crate::damage::coding::{Trained, row_by};
use crate::damage::search::ListSearch;
use crate::lists::ListsIndex;
use crate::lists::check::check;
use crate::lists::insert::insert;
use crate::lists::meta::{Builds, Meta};
use crate::lists::rebuild::{begin, free_others, missing, retire, switch, tids, used_blocks};
use crate::mem::{MemPages, seeds};
use crate::search::exact::ExactQuery;
use crate::search::params::Iterative;
use crate::store::Pages;
use crate::tid::Tid;
use crate::tid_set::TidSet;

/// What a rebuild with other centroids is trained to.
fn trained<E: Element>(shape: Shape, rng: &mut Rng) -> Trained {
    let centroids = random_centroids::<E>(&shape, rng);
    let params = shape.params(E::TAG, 1);
    let sample: Vec<f32> = (0..Trained::n_sample(&params.lists))
        .flat_map(|_| random_vector::<f32>(rng, shape.dims))
        .collect();
    Trained::new(params, centroids, &sample).unwrap()
}

/// A row as an index of now takes it.
fn put_now<E: Element>(mem: &MemPages, tid: Tid, vector: &[E]) {
    let index = ListsIndex::open(mem).unwrap();
    put_into(mem, &index, tid, vector);
}

fn put_into<E: Element>(mem: &MemPages, index: &ListsIndex, tid: Tid, vector: &[E]) {
    let read = index.quantizer.as_ref().map(|quantizer| quantizer.centroids(mem).unwrap());
    let centroids = read.unwrap_or_default();
    let lists = &index.meta.lists;
    let coarse = ann::coarse::Coarse {
        metric: lists.params.metric,
        dims: lists.params.dims,
        centroids: &centroids,
    };
    let row = row_by(&coarse, &lists.params, index.code.as_ref(), (tid, vector));
    let codec = index.code.as_ref().map(|code| &code.codec);
    insert(mem, lists, codec, &row.row(tid)).unwrap();
}

/// Runs `alone` while no insert runs, and inserts while it does not: the server's lock on META.
#[derive(Default)]
struct ListLock(Mutex<(usize, bool)>);

impl ListLock {
    fn shared(&self, mem: &MemPages, work: impl FnOnce()) {
        self.wait(mem, |(readers, is_alone)| {
            let may = !*is_alone;
            *readers += usize::from(may);
            may
        });
        work();
        self.0.lock().unwrap().0 -= 1;
    }

    fn alone(&self, mem: &MemPages, work: impl FnOnce()) {
        self.wait(mem, |(readers, is_alone)| {
            *is_alone = *readers == 0;
            *is_alone
        });
        work();
        self.0.lock().unwrap().1 = false;
    }

    fn wait(&self, mem: &MemPages, mut may: impl FnMut(&mut (usize, bool)) -> bool) {
        while !may(&mut self.0.lock().unwrap()) {
            drop(mem.read(0).unwrap());
        }
    }
}

/// Builds anew what is in the index; `vector` knows the rows. `meanwhile` comes before the last look at new rows.
fn rebuild<E: Element>(
    mem: &MemPages,
    trained: &Trained,
    vector: impl Fn(Tid) -> Vec<E>,
    lock: &ListLock,
    meanwhile: impl FnOnce(),
) {
    let generation = begin(mem).unwrap();
    let old = Meta::read(mem).unwrap();
    let mut known = tids(mem, &old.lists).unwrap();
    let rows: Vec<(Tid, Vec<E>)> = known.iter().map(|tid| (tid, vector(tid))).collect();
    let rows = rows.iter().map(|(tid, vector)| (*tid, &vector[..]));
    let meta = trained.build_in_place(mem, generation, rows).unwrap();
    let meta = meta.of_build(generation);
    let open = |meta: &Meta| ListsIndex::of(mem, meta.clone()).unwrap();
    let index = open(&meta);
    let catch_up = |known: &mut TidSet| {
        let new = missing(mem, &old.lists, known).unwrap();
        new.iter().for_each(|tid| put_into(mem, &index, *tid, &vector(*tid)));
        known.add(&new);
    };
    catch_up(&mut known);
    meanwhile();
    lock.alone(mem, || {
        catch_up(&mut known);
        switch(mem, &meta).unwrap();
    });
    assert_eq!(Meta::read(mem).unwrap().builds.retired_xid, Builds::UNSETTLED);
    retire(mem, 77).unwrap();
}

impl<E: Element> World<E> {
    fn rebuild(&mut self, nlist: usize) {
        let shape = Shape { nlist, ..self.shape };
        let trained = trained::<E>(shape, &mut self.rng);
        let model = &self.model;
        rebuild(&self.mem, &trained, |tid| model[&tid].clone(), &ListLock::default(), || ());
        self.shape = shape;
        self.reopen();
    }

    fn reopen(&mut self) {
        self.index = ListsIndex::open(&self.mem).unwrap();
        let quantizer = self.index.quantizer.as_ref();
        let centroids = quantizer.map(|quantizer| quantizer.centroids(&self.mem).unwrap());
        self.centroids = centroids.unwrap_or_default().into();
    }
}

fn shapes() -> Vec<Shape> {
    use CodeKind::{PqFs, RaBitQ, Sq8};
    vec![
        Shape::flat(Metric::L2, 20, 0, 300),
        Shape::flat(Metric::Cosine, 700, 3, 60),
        Shape::flat(Metric::L2, 9000, 2, 5),
        Shape::coded(Sq8, Metric::L2, 100, 3, 200),
        Shape::coded(RaBitQ { nbits: 1 }, Metric::Cosine, 100, 4, 300).and_vectors(),
        Shape::coded(PqFs { m: 20 }, Metric::InnerProduct, 40, 5, 300),
        Shape::flat(Metric::L2, 12, 3, 90).and_attributes(&[4, 1]),
    ]
}

/// Growth, rebuild, growth: the rows are those of the model, and the file does not grow with every rebuild.
fn rebuilds<E: Element>(shape: Shape) {
    let mut world = World::<E>::new(shape, 5);
    let mut longest = 0;
    for round in 0..8 {
        world.insert_random(shape.n_rows / 4 + 1);
        let nlist = 1 + (shape.nlist + round) % 6;
        world.rebuild(if shape.metric.has_centroids() { nlist } else { 0 });
        world.verify();
        let freed = free_others(&world.mem).unwrap();
        assert!(freed > 0);
        assert_eq!(free_others(&world.mem).unwrap(), 0);
        world.reopen();
        world.verify();
        world.remove_some(round as u64);
        world.verify();
        let used = check(&world.mem);
        assert_eq!(used, []);
        longest = longest.max(used_blocks(&world.mem).unwrap());
    }
    // All builds one behind the other would take eight times as many.
    let at_end = world.n_pages();
    assert!(at_end <= 4 * longest.min(at_end), "{at_end} pages");
}

impl<E: Element> World<E> {
    fn remove_some(&mut self, round: u64) {
        use crate::trials::Trial;
        self.remove(&|tid| tid.to_u64() % 4 == round % 4);
    }
}

#[test]
fn rows_stay_through_rebuilds() {
    for shape in shapes() {
        rebuilds::<f32>(shape);
        rebuilds::<f16>(shape);
    }
    rebuilds::<Bits>(Shape::flat(Metric::Hamming, 200, 0, 90));
}

/// After a crash at any record the index is the old one or the new one, and both can be rebuilt.
fn crash<E: Element>(shape: Shape) {
    let mut world = World::<E>::new(shape, 3);
    world.insert_random(3);
    world.mem.start_journal();
    world.rebuild(shape.nlist + 2);
    world.insert_random(2);
    let rebuilt = world.mem.journal_len();
    free_others(&world.mem).unwrap();
    let sure: Model<E> = {
        let n_sure = (shape.n_rows + 3) as u64;
        world.model.iter().take(n_sure as usize).map(|(t, v)| (*t, v.clone())).collect()
    };
    for n in 0..=world.mem.journal_len() {
        let image = world.mem.crash_image(n);
        assert_eq!(damage(&image), [], "after record {n} of {rebuilt}");
        let mut crashed = world.on(image, world.model.clone());
        let (rows, _) = crashed.search(&vec![0.1; shape.dims], ALL);
        let found: BTreeMap<Tid, ()> = rows.iter().map(|row| (row.tid, ())).collect();
        assert_eq!(found.len(), rows.len(), "a row came twice after record {n}");
        assert!(sure.keys().all(|tid| found.contains_key(tid)), "lost a row after record {n}");
        crashed.model.retain(|tid, _| found.contains_key(tid));
        crashed.insert_random(2);
        if n % 5 == 0 {
            crashed.rebuild(2);
            crashed.insert_random(2);
            free_others(&crashed.mem).unwrap();
            crashed.reopen();
            crashed.verify();
        }
    }
}

#[test]
fn a_crash_in_a_rebuild_loses_nothing() {
    for shape in shapes() {
        crash::<f32>(Shape { n_rows: shape.n_rows.min(40), ..shape });
    }
}

/// insert ∥ insert ∥ rebuild ∥ scan: every row is there at the end, once; a scan sees every row that was there when it began.
fn interleaved(shape: Shape, seed: u64) {
    let mut world = World::<f32>::new(shape, seed);
    let mut rng = Rng::new(seed);
    let mut new = |actor: u32| -> Vec<(Tid, Vec<f32>)> {
        let tid = |i: u32| Tid::new(1000 * actor + i, 1);
        (0..12).map(|i| (tid(i), random_vector(&mut rng, shape.dims))).collect()
    };
    let (a, b) = (new(1), new(2));
    let all: Model<f32> =
        world.model.clone().into_iter().chain(a.clone()).chain(b.clone()).collect();
    let trained = trained::<f32>(Shape { nlist: 4, ..shape }, &mut rng);
    let lock = ListLock::default();
    {
        let (world, all, lock, trained) = (&world, &all, &lock, &trained);
        let mem = &world.mem;
        let inserts = |rows: Vec<(Tid, Vec<f32>)>| {
            move || {
                for (tid, vector) in &rows {
                    lock.shared(mem, || put_now(mem, *tid, vector));
                }
            }
        };
        let scan = move || {
            for _ in 0..3 {
                scan_sees(mem, shape, &world.model, all);
            }
        };
        let rebuilds = move || rebuild(mem, trained, |tid| all[&tid].clone(), lock, || ());
        mem.interleave(
            seed,
            vec![Box::new(inserts(a)), Box::new(inserts(b)), Box::new(rebuilds), Box::new(scan)],
        );
    }
    world.model = all;
    world.shape.nlist = 4;
    world.reopen();
    world.verify();
    free_others(&world.mem).unwrap();
    world.reopen();
    world.verify();
}

/// A whole scan of the index as it is now finds each row of `sure` once.
fn scan_sees(mem: &MemPages, shape: Shape, sure: &Model<f32>, all: &Model<f32>) {
    let index = ListsIndex::open(mem).unwrap();
    let query = vec![0.25; shape.dims];
    let mut search = ListSearch::<f32>::new(&index);
    search.begin(&index, &query, &params(1, Iterative::Relaxed, u64::MAX));
    let exact = ExactQuery::new(shape.metric, &query);
    let mut found = BTreeMap::new();
    let mut rows = ModelRows { rows: all, query: &exact };
    while let Some(row) = search.next(mem, &index, &index.view(), &exact, &mut rows).unwrap() {
        assert!(found.insert(row.tid, ()).is_none(), "{} came twice", row.tid);
    }
    let lost: Vec<_> = sure.keys().filter(|tid| !found.contains_key(tid)).collect();
    assert!(lost.is_empty(), "{shape:?}: lost {lost:?} of build {}", index.meta.builds.generation);
}

#[test]
fn scans_and_inserts_beside_a_rebuild() {
    for seed in seeds(40) {
        interleaved(Shape::flat(Metric::L2, 20, 0, 60), seed);
        interleaved(Shape::coded(CodeKind::Sq8, Metric::Cosine, 12, 3, 70), seed);
        interleaved(Shape::flat(Metric::L2, 700, 2, 20), seed);
    }
}

#[test]
fn a_set_of_tids_grows() {
    let mut known = TidSet::default();
    known.add(&[tid_no(7), tid_no(3)]);
    known.add(&[tid_no(5)]);
    assert_eq!(known.iter().collect::<Vec<_>>(), [3, 5, 7].map(tid_no));
    assert_eq!((known.len(), known.is_empty()), (3, false));
}
