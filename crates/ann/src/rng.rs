//! The seeded generator. Its numbers decide what is stored in an index, so they are fixed for ever: the
//! 32-bit Mersenne twister (Matsumoto and Nishimura 1998), drawn from as FAISS does.

use rand_mt::Mt;

/// A seeded stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng(Mt);

impl Rng {
    /// The stream of a seed; only its lower 32 bits count, as the twister takes no more.
    pub fn new(seed: u64) -> Self {
        Rng(Mt::new(seed as u32))
    }

    /// A number in `0..n`; 0 when n is 0. The remainder's bias (at most n / 2³²) is part of the definition.
    pub fn below(&mut self, n: u32) -> u32 {
        self.0.next_u32().checked_rem(n).unwrap_or(0)
    }

    /// A number in `0..n` for ranges beyond 32 bits; two draws.
    pub fn below_u64(&mut self, n: u64) -> u64 {
        let high = u64::from(self.0.next_u32());
        let low = u64::from(self.0.next_u32());
        ((high << 32) | low).checked_rem(n).unwrap_or(0)
    }

    /// A number in `0.0..=1.0`.
    pub fn unit(&mut self) -> f32 {
        self.0.next_u32() as f32 / u32::MAX as f32
    }

    /// A number of the standard normal distribution (Box and Muller 1958, the cosine half); two draws.
    pub fn normal(&mut self) -> f32 {
        let one = |x: u32| (f64::from(x) + 1.0) / (f64::from(u32::MAX) + 1.0);
        let radius = (-2.0 * one(self.0.next_u32()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * one(self.0.next_u32())).cos()) as f32
    }

    /// A permutation of `0..n` (forward Fisher–Yates).
    pub fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).collect();
        for i in 0..n.saturating_sub(1) {
            let other = i + self.below(n - i);
            order.swap(i as usize, other as usize);
        }
        order
    }
}

/// A uniform sample of a stream of unknown length (Vitter's algorithm R, 1985), decided by position alone: the
/// caller fetches an item only when it enters the sample.
#[derive(Clone, Debug)]
pub struct Reservoir {
    capacity: usize,
    seen: u64,
    rng: Rng,
}

impl Reservoir {
    /// A sample of at most `capacity` items.
    pub fn new(capacity: usize, seed: u64) -> Self {
        Reservoir { capacity, seen: 0, rng: Rng::new(seed) }
    }

    /// Decides about the next item: the slot to put it into (the first `capacity` items get the slots in order,
    /// a later one replaces what the slot held), or `None` to pass over it.
    pub fn offer(&mut self) -> Option<usize> {
        let at = self.seen;
        self.seen += 1;
        let capacity = self.capacity as u64;
        let slot = if at < capacity { at } else { self.rng.below_u64(self.seen) };
        (slot < capacity).then_some(slot as usize)
    }

    /// How many items were offered.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How many slots are filled.
    pub fn len(&self) -> usize {
        self.seen.min(self.capacity as u64) as usize
    }

    /// True before the first item, and always at capacity 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// At most `most` of the numbers below `n`, ascending: one drawn at random from each of equal parts. Not every n-th: of a table in which every
/// tenth row is of another kind, that may be none of these, or all.
pub fn spread(n: u32, most: u32) -> impl Iterator<Item = u32> {
    let mut rng = Rng::new(u64::from(n));
    let every = n.div_ceil(most.max(1)).max(1);
    let drawn =
        (0..n).step_by(every as usize).map(move |first| first.saturating_add(rng.below(every)));
    drawn.filter(move |number| *number < n)
}

#[cfg(test)]
mod tests {
    use super::{Reservoir, Rng, spread};

    #[test]
    fn the_twister_is_the_published_one() {
        let mut rng = Rng::new(5489);
        let first: Vec<u32> = (0..3).map(|_| rng.below(u32::MAX)).collect();
        assert_eq!(first, [3499211612, 581869302, 3890346734]);
    }

    #[test]
    fn a_permutation_has_every_number_once() {
        for n in [0, 1, 2, 1000] {
            let mut order = Rng::new(1).permutation(n);
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_reservoir_is_uniform_and_repeats_itself() {
        let sample = |seed| {
            let mut reservoir = Reservoir::new(100, seed);
            let mut slots = vec![u32::MAX; 100];
            for item in 0..10_000 {
                if let Some(slot) = reservoir.offer() {
                    slots[slot] = item;
                }
            }
            assert_eq!((reservoir.seen(), reservoir.len()), (10_000, 100));
            slots
        };
        assert_eq!(sample(3), sample(3));
        // Twenty samples of a hundred: every tenth of the stream expects 200 items, σ = 13.4.
        let mut tenths = [0i32; 10];
        for item in (0..20).flat_map(sample) {
            tenths[item as usize / 1000] += 1;
        }
        assert!(tenths.iter().all(|n| (n - 200).abs() < 60), "{tenths:?}");
    }

    #[test]
    fn a_reservoir_without_room() {
        let mut reservoir = Reservoir::new(0, 1);
        assert_eq!(reservoir.offer(), None);
        assert!(reservoir.is_empty());
    }

    #[test]
    fn a_spread_has_numbers_of_every_kind() {
        for n in [0, 1, 100, 128, 129, 1000, 2400, 100_000] {
            let all: Vec<u32> = spread(n, 128).collect();
            assert!(all.is_sorted_by(|a, b| a < b) && all.iter().all(|node| *node < n));
            let wanted = n.min(128) as usize;
            assert!(all.len() <= wanted && 3 * all.len() >= wanted, "{n}: {}", all.len());
            for kind in 0..10 * u32::from(n >= 1000) {
                let of_kind = all.iter().filter(|node| **node % 10 == kind).count();
                assert!(20 * of_kind > all.len(), "{n}: {of_kind} of {} end in {kind}", all.len());
            }
        }
    }
}
