//! Pages in memory, for tests and fuzz targets: every lock is tracked, every edit is journalled so that the state a
//! crash leaves after it can be looked at, and threads can be interleaved by a seed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, Range};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use ann::rng::Rng;
use bytemuck::Zeroable;

use crate::error::Error;
use crate::page::{Blkno, Page};
use crate::store::{BulkPages, EDIT_PAGES_MAX, Pages};
use crate::tid::HINTED;

thread_local! {
    /// Which actor of an interleaving this thread is; 0 outside of one.
    static ACTOR: Cell<usize> = const { Cell::new(0) };
}

/// The seeds of a test with interleavings: `usual` of them, or `PGFAISS_ROUNDS` times as many.
pub fn seeds(usual: u64) -> Range<u64> {
    let rounds = std::env::var("PGFAISS_ROUNDS").ok().and_then(|text| text.parse().ok());
    0..usual * rounds.unwrap_or(1)
}

/// Pages in memory.
#[derive(Default)]
pub struct MemPages {
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Default)]
struct State {
    pages: Vec<Arc<Page>>,
    locks: Vec<Lock>,
    free: Vec<Blkno>,
    /// Pages before the first journalled edit, and the images of every edit since.
    base: Vec<Arc<Page>>,
    journal: Vec<Vec<(Blkno, Arc<Page>)>>,
    is_journalled: bool,
    /// The hints of each page that no edit has settled yet.
    hints: BTreeMap<Blkno, BTreeSet<usize>>,
    n_writes: usize,
    n_locks: usize,
    n_locks_max: Option<usize>,
    turnstile: Option<Turnstile>,
}

#[derive(Default, Clone)]
struct Lock {
    readers: Vec<usize>,
    writer: Option<usize>,
}

/// One actor runs at a time; who is next is drawn at every lock, unlock and edit.
struct Turnstile {
    rng: Rng,
    current: usize,
    actors: Vec<Actor>,
}

#[derive(Clone, Copy, PartialEq)]
enum Actor {
    Ready,
    Waiting,
    Done,
}

impl Turnstile {
    fn draw(&mut self) {
        let ready: Vec<usize> =
            (0..self.actors.len()).filter(|i| self.actors[*i] == Actor::Ready).collect();
        if ready.is_empty() {
            let all_done = self.actors.iter().all(|a| *a == Actor::Done);
            assert!(all_done || std::thread::panicking(), "deadlock");
            // Lets everybody run into the deadlock's panic rather than wait for ever.
            self.actors.iter_mut().for_each(|a| *a = Actor::Ready);
            return;
        }
        self.current = ready[self.rng.below(ready.len() as u32) as usize];
    }
}

impl MemPages {
    /// A store with these pages.
    pub fn from_pages(pages: Vec<Page>) -> Self {
        let mem = Self::default();
        {
            let mut state = mem.lock_state();
            state.pages = pages.into_iter().map(Arc::new).collect();
            state.locks = vec![Lock::default(); state.pages.len()];
        }
        mem
    }

    /// A store with the same pages that changes by itself.
    pub fn fork(&self) -> Self {
        let fork = Self::default();
        {
            let mut state = fork.lock_state();
            state.pages = self.lock_state().pages.clone();
            state.locks = vec![Lock::default(); state.pages.len()];
        }
        fork
    }

    /// From now on more locks than these are a panic: work that takes more never ends.
    pub fn limit_locks(&self, most: usize) {
        let mut state = self.lock_state();
        state.n_locks = 0;
        state.n_locks_max = Some(most);
    }

    /// Locks taken since [`MemPages::limit_locks`], or ever.
    pub fn n_locks(&self) -> usize {
        self.lock_state().n_locks
    }

    /// A copy of a page.
    pub fn page(&self, blkno: Blkno) -> Page {
        *self.lock_state().pages[blkno as usize]
    }

    /// Puts another page in the place of one.
    pub fn put_page(&self, blkno: Blkno, page: Page) {
        self.damage(blkno, |place| *place = page);
    }

    /// Ends the file after `n` blocks.
    pub fn truncate(&self, n: Blkno) {
        let mut state = self.lock_state();
        state.pages.truncate(n as usize);
        state.locks.truncate(n as usize);
    }

    /// A copy of all pages.
    pub fn to_pages(&self) -> Vec<Page> {
        self.lock_state().pages.iter().map(|page| **page).collect()
    }

    /// Edits and page writes so far.
    pub fn n_writes(&self) -> usize {
        self.lock_state().n_writes
    }

    /// Starts the journal at the state of now.
    pub fn start_journal(&self) {
        let mut state = self.lock_state();
        state.base = state.pages.clone();
        state.journal.clear();
        state.is_journalled = true;
    }

    /// Hints that no edit has settled yet.
    pub fn n_hints(&self) -> usize {
        self.lock_state().hints.values().map(BTreeSet::len).sum()
    }

    /// Edits in the journal.
    pub fn journal_len(&self) -> usize {
        self.lock_state().journal.len()
    }

    /// The store as recovery leaves it when the first `n` edits of the journal were logged. What
    /// the free space map says then is anybody's guess: here, that every page is free.
    pub fn crash_image(&self, n: usize) -> Self {
        let state = self.lock_state();
        let mut pages: Vec<Page> = state.base.iter().map(|page| **page).collect();
        for (blkno, image) in state.journal.iter().take(n).flatten() {
            let len = pages.len().max(*blkno as usize + 1);
            pages.resize(len, Page::zeroed());
            pages[*blkno as usize] = **image;
        }
        let image = Self::from_pages(pages);
        {
            let mut state = image.lock_state();
            state.free = (0..state.pages.len() as Blkno).collect();
        }
        image
    }

    /// Changes bytes behind everybody's back.
    pub fn damage(&self, blkno: Blkno, change: impl FnOnce(&mut Page)) {
        change(Arc::make_mut(&mut self.lock_state().pages[blkno as usize]));
    }

    /// Runs actors on threads of their own, one at a time, in the order that `seed` draws.
    pub fn interleave(&self, seed: u64, actors: Vec<Box<dyn FnOnce() + Send + '_>>) {
        let mut turnstile =
            Turnstile { rng: Rng::new(seed), current: 0, actors: vec![Actor::Ready; actors.len()] };
        turnstile.draw();
        self.lock_state().turnstile = Some(turnstile);
        std::thread::scope(|scope| {
            for (i, actor) in actors.into_iter().enumerate() {
                scope.spawn(move || {
                    ACTOR.set(i);
                    let _leave = Leave(self);
                    drop(self.wait(self.lock_state()));
                    actor();
                });
            }
        });
        self.lock_state().turnstile = None;
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A point where another actor may go on instead.
    fn point(&self) {
        let mut state = self.lock_state();
        if let Some(turnstile) = &mut state.turnstile {
            turnstile.draw();
            self.turn.notify_all();
            drop(self.wait(state));
        }
    }

    /// Waits for this actor's turn.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        while let Some(turnstile) = &state.turnstile {
            if turnstile.current == ACTOR.get() || turnstile.actors[ACTOR.get()] == Actor::Done {
                break;
            }
            state = self.turn.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state
    }

    fn acquire(&self, blkno: Blkno, is_write: bool) -> Result<Arc<Page>, Error> {
        self.point();
        let me = ACTOR.get();
        let mut state = self.lock_state();
        state.n_locks += 1;
        let is_endless = state.n_locks_max.is_some_and(|most| state.n_locks > most);
        assert!(!is_endless, "{} locks and no end", state.n_locks);
        loop {
            let Some(lock) = state.locks.get_mut(blkno as usize) else {
                return Err(Error::corrupted(blkno, "is beyond the end"));
            };
            if lock.writer == Some(me) {
                return Err(Error::locked_already(blkno));
            }
            let is_mine = lock.readers.contains(&me);
            assert!(!(is_mine && is_write), "block {blkno} is locked twice by one actor");
            if lock.writer.is_none() && (!is_write || lock.readers.is_empty()) {
                match is_write {
                    true => lock.writer = Some(me),
                    false => lock.readers.push(me),
                }
                return Ok(state.pages[blkno as usize].clone());
            }
            let Some(turnstile) = state.turnstile.as_mut() else {
                unreachable!("block {blkno} is locked outside of actors");
            };
            turnstile.actors[me] = Actor::Waiting;
            turnstile.draw();
            self.turn.notify_all();
            state = self.wait(state);
        }
    }

    fn release_lock(&self, blkno: Blkno, is_write: bool) {
        let me = ACTOR.get();
        {
            let mut state = self.lock_state();
            let lock = &mut state.locks[blkno as usize];
            match is_write {
                true => lock.writer = None,
                false => {
                    if let Some(at) = lock.readers.iter().position(|reader| *reader == me) {
                        lock.readers.swap_remove(at);
                    }
                }
            }
            if let Some(turnstile) = &mut state.turnstile {
                for actor in turnstile.actors.iter_mut().filter(|a| **a == Actor::Waiting) {
                    *actor = Actor::Ready;
                }
            }
        }
        if !std::thread::panicking() {
            self.point();
        }
    }
}

/// Ends an actor's part, also when it panics.
struct Leave<'a>(&'a MemPages);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock_state();
        if let Some(turnstile) = &mut state.turnstile {
            turnstile.actors[ACTOR.get()] = Actor::Done;
            turnstile.draw();
        }
        self.0.turn.notify_all();
    }
}

/// A page under a lock.
pub struct Guard<'a> {
    mem: &'a MemPages,
    blkno: Blkno,
    is_write: bool,
    page: Arc<Page>,
}

impl Deref for Guard<'_> {
    type Target = Page;
    fn deref(&self) -> &Page {
        &self.page
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.mem.release_lock(self.blkno, self.is_write);
    }
}

impl Pages for MemPages {
    type Pin<'a> = Blkno;
    type Read<'a> = Guard<'a>;
    type Write<'a> = Guard<'a>;

    fn n_blocks(&self) -> Result<Blkno, Error> {
        Ok(self.lock_state().pages.len() as Blkno)
    }

    fn read(&self, blkno: Blkno) -> Result<Guard<'_>, Error> {
        let page = self.acquire(blkno, false)?;
        Ok(Guard { mem: self, blkno, is_write: false, page })
    }

    fn pin(&self, blkno: Blkno) -> Result<Blkno, Error> {
        let exists = blkno < self.n_blocks()?;
        exists.then_some(blkno).ok_or_else(|| Error::corrupted(blkno, "is beyond the end"))
    }

    fn share(&self, pin: Blkno) -> Result<Guard<'_>, Error> {
        self.read(pin)
    }

    fn address(&self, _pin: &Blkno) -> Range<*const u8> {
        [].as_ptr_range()
    }

    fn lock(&self, blkno: Blkno) -> Result<Guard<'_>, Error> {
        let page = self.acquire(blkno, true)?;
        Ok(Guard { mem: self, blkno, is_write: true, page })
    }

    fn allocate(&self) -> Result<Guard<'_>, Error> {
        loop {
            let blkno = self.lock_state().free.pop();
            let Some(blkno) = blkno else { break };
            // The map is not to be trusted: never wait for a page it offers.
            let is_locked = {
                let state = self.lock_state();
                let lock = &state.locks[blkno as usize];
                lock.writer.is_some() || !lock.readers.is_empty()
            };
            if is_locked {
                continue;
            }
            let page = self.lock(blkno)?;
            if page.is_reusable() {
                return Ok(page);
            }
        }
        let mut state = self.lock_state();
        let blkno = state.pages.len() as Blkno;
        let page = Arc::new(Page::zeroed());
        state.pages.push(page.clone());
        state.locks.push(Lock { readers: Vec::new(), writer: Some(ACTOR.get()) });
        Ok(Guard { mem: self, blkno, is_write: true, page })
    }

    fn blkno(&self, page: &Guard<'_>) -> Blkno {
        page.blkno
    }

    fn edit(
        &self,
        pages: &mut [&mut Guard<'_>],
        change: impl FnOnce(&mut [&mut Page]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        assert!(pages.len() <= EDIT_PAGES_MAX, "{} pages in one record", pages.len());
        let mut images: Vec<Page> = pages.iter().map(|page| *page.page).collect();
        change(&mut images.iter_mut().collect::<Vec<_>>())?;
        let mut record = Vec::new();
        {
            let mut state = self.lock_state();
            for (guard, mut image) in pages.iter_mut().zip(images) {
                assert!(guard.is_write, "edit of a page under a share lock");
                assert!(image.kind().is_some(), "edit of a page that was not initialised");
                image.clear_hole();
                let hints = state.hints.remove(&guard.blkno).unwrap_or_default();
                let is_settled = hints.iter().all(|at| image.body()[*at] & HINTED == 0);
                assert!(is_settled, "an edit of block {} left hints", guard.blkno);
                guard.page = Arc::new(image);
                state.pages[guard.blkno as usize] = guard.page.clone();
                record.push((guard.blkno, guard.page.clone()));
            }
            state.n_writes += 1;
            if state.is_journalled {
                state.journal.push(record);
            }
        }
        self.point();
        Ok(())
    }

    fn hint(&self, page: &Guard<'_>, places: &[usize]) {
        assert!(!page.is_write, "hint under an exclusive lock");
        {
            let mut state = self.lock_state();
            let body = Arc::make_mut(&mut state.pages[page.blkno as usize]).body_mut();
            places.iter().for_each(|at| body[*at] |= HINTED);
            state.hints.entry(page.blkno).or_default().extend(places);
        }
        self.point();
    }

    fn extend_by(&self, n: Blkno) -> Result<Blkno, Error> {
        let mut state = self.lock_state();
        let first = state.pages.len() as Blkno;
        let zero = Arc::new(Page::zeroed());
        state.pages.extend((0..n).map(|_| zero.clone()));
        state.locks.extend((0..n).map(|_| Lock::default()));
        Ok(first)
    }

    fn claim(&self, blkno: Blkno, page: &Page) -> Result<bool, Error> {
        let mut locked = self.lock(blkno)?;
        let is_free = locked.is_reusable();
        if is_free {
            self.edit(&mut [&mut locked], |images| {
                images.iter_mut().for_each(|image| image.copy_from(page));
                Ok(())
            })?;
        }
        Ok(is_free)
    }

    fn overwrite(&self, blkno: Blkno, page: &Page) -> Result<(), Error> {
        let mut locked = self.lock(blkno)?;
        self.edit(&mut [&mut locked], |images| {
            images.iter_mut().for_each(|image| image.copy_from(page));
            Ok(())
        })
    }

    fn release(&self, blkno: Blkno) {
        self.lock_state().free.push(blkno);
    }

    fn prefetch(&self, _blkno: Blkno) {}

    fn check_interrupts(&self) {
        let state = self.lock_state();
        let me = ACTOR.get();
        let mine = |lock: &Lock| lock.writer == Some(me) || lock.readers.contains(&me);
        // Interrupts must not be served while a lock is held. Looking at all locks is slow, so only
        // small stores do it.
        assert!(
            state.locks.len() > 256 || !state.locks.iter().any(mine),
            "interrupts served under a lock"
        );
    }
}

impl BulkPages for MemPages {
    fn append(&mut self, page: &Page) -> Result<Blkno, Error> {
        let mut state = self.lock_state();
        state.pages.push(Arc::new(*page));
        state.locks.push(Lock::default());
        state.n_writes += 1;
        Ok(state.pages.len() as Blkno - 1)
    }

    fn replace(&mut self, blkno: Blkno, page: &Page) -> Result<(), Error> {
        let mut state = self.lock_state();
        assert!(blkno == 0, "only META is written twice");
        state.pages[blkno as usize] = Arc::new(*page);
        Ok(())
    }
}
