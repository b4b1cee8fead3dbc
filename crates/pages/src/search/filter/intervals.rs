//! Sets of numbers, as closed intervals: what comparisons of an attribute allow.

/// Numbers in closed intervals, ascending and apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intervals(Vec<(u128, u128)>);

impl Intervals {
    /// No number.
    pub const NONE: Self = Self(Vec::new());

    /// The numbers from `low` to `high`; none if these are the wrong way round.
    pub fn from_to(low: u128, high: u128) -> Self {
        Self(if low <= high { vec![(low, high)] } else { Vec::new() })
    }

    /// The numbers of all of some sets.
    pub fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<_> = sets.into_iter().flat_map(|set| set.0).collect();
        all.sort_unstable();
        let mut union: Vec<(u128, u128)> = Vec::with_capacity(all.len());
        for (low, high) in all {
            match union.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => union.push((low, high)),
            }
        }
        Self(union)
    }

    /// The numbers that both have.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut ours, mut theirs) = (self.0.as_slice(), other.0.as_slice());
        let mut both = Vec::new();
        while let (Some((a, ours_left)), Some((b, theirs_left))) =
            (ours.split_first(), theirs.split_first())
        {
            let (low, high) = (a.0.max(b.0), a.1.min(b.1));
            if low <= high {
                both.push((low, high));
            }
            if a.1 < b.1 {
                ours = ours_left;
            } else {
                theirs = theirs_left;
            }
        }
        Self(both)
    }

    /// The first and last number of each interval.
    pub fn bounds(&self) -> &[(u128, u128)] {
        &self.0
    }

    /// Whether a number is among them.
    pub fn contains(&self, number: u128) -> bool {
        let at = self.0.partition_point(|(_, high)| *high < number);
        self.0.get(at).is_some_and(|(low, _)| *low <= number)
    }
}

#[cfg(test)]
mod tests {
    use ann::rng::Rng;

    use super::*;

    /// Some numbers up to 40, or close to the largest.
    fn random(rng: &mut Rng) -> Intervals {
        let n = rng.below(5);
        let base = if rng.below(2) == 0 { 0 } else { u128::MAX - 40 };
        let one = |_| {
            let (low, high) = (rng.below(41), rng.below(41));
            Intervals::from_to(base + u128::from(low), base + u128::from(high))
        };
        Intervals::union((0..n).map(one).collect::<Vec<_>>())
    }

    #[test]
    fn they_are_sets() {
        let mut rng = Rng::new(3);
        for _ in 0..2000 {
            let (a, b) = (random(&mut rng), random(&mut rng));
            let both = a.intersection(&b);
            let any = Intervals::union([a.clone(), b.clone()]);
            for number in (0..42).chain(u128::MAX - 42..=u128::MAX) {
                let (in_a, in_b) = (a.contains(number), b.contains(number));
                assert_eq!(both.contains(number), in_a && in_b, "{a:?} {b:?} {number}");
                assert_eq!(any.contains(number), in_a || in_b, "{a:?} {b:?} {number}");
            }
            for set in [both, any] {
                assert!(set.bounds().iter().all(|(low, high)| low <= high));
                assert!(set.bounds().windows(2).all(|two| two[0].1 < two[1].0));
            }
        }
    }
}
