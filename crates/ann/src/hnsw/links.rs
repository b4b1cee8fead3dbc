//! The links of a graph in memory while threads build it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::levels::links_max;

/// An unused slot; those after it are unused, too.
pub(super) const NONE: u32 = u32::MAX;

/// A list of slots per node and level. Read by anyone at any time: a reader beside a writer may see links of before and
/// after, but never anything else than nodes. Written under the node's lock.
pub(super) struct Links {
    m: usize,
    levels: Vec<u8>,
    /// 2m slots per node.
    ground: Vec<AtomicU32>,
    /// m slots per node and level above 0.
    upper: Vec<AtomicU32>,
    /// How many levels above 0 come before a node's in `upper`.
    upper_at: Vec<u32>,
    locks: Vec<AtomicBool>,
}

/// A node's lock, held. Critical sections are a few microseconds, and nobody holds two.
pub(super) struct Locked<'a>(&'a AtomicBool);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn empty(slots: usize) -> Vec<AtomicU32> {
    std::iter::repeat_with(|| AtomicU32::new(NONE)).take(slots).collect()
}

impl Links {
    pub(super) fn new(m: usize, levels: Vec<u8>) -> Self {
        let n = levels.len();
        let mut above = 0;
        let place = |level: &u8| {
            let at = above;
            above += u32::from(*level);
            at
        };
        let upper_at = levels.iter().map(place).collect();
        let locks = std::iter::repeat_with(AtomicBool::default).take(n).collect();
        let (ground, upper) = (empty(n * links_max(m, 0)), empty(above as usize * m));
        Links { m, levels, ground, upper, upper_at, locks }
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn level(&self, node: u32) -> usize {
        self.levels.get(node as usize).map_or(0, |level| usize::from(*level))
    }

    /// The slots of a node on one of its levels.
    #[inline]
    pub(super) fn slots(&self, node: u32, level: usize) -> &[AtomicU32] {
        let cap = links_max(self.m, level);
        let node = node as usize;
        let (slots, at) = match level {
            0 => (&self.ground, node * cap),
            _ => (
                &self.upper,
                (self.upper_at.get(node).map_or(0, |at| *at as usize) + level - 1) * cap,
            ),
        };
        slots.get(at..at + cap).unwrap_or_default()
    }

    /// Appends the links of a node on one of its levels.
    #[inline]
    pub(super) fn read(&self, node: u32, level: usize, out: &mut Vec<u32>) {
        let ids = self.slots(node, level).iter().map(|slot| slot.load(Ordering::Relaxed));
        out.extend(ids.take_while(|id| *id != NONE));
    }

    /// Waits for the node's lock.
    pub(super) fn lock(&self, node: u32) -> Option<Locked<'_>> {
        let lock = self.locks.get(node as usize)?;
        while lock.swap(true, Ordering::Acquire) {
            while lock.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        }
        Some(Locked(lock))
    }

    /// Takes the links out, for a graph that no longer changes.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<u32>, Vec<u32>, Vec<u32>) {
        let plain = |slots: Vec<AtomicU32>| slots.into_iter().map(AtomicU32::into_inner).collect();
        (self.levels, plain(self.ground), plain(self.upper), self.upper_at)
    }
}
