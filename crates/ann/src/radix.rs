//! Sorting places: large numbers of which few bits differ, each with something that goes along.

const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Fewer than so many are compared with each other.
const COUNTED_MIN: usize = 1024;

/// Puts pairs in the order of their places; those of one place in the order of what goes along, if they came in that order.
/// A pass over all for every eleven bits in which places differ.
pub fn sort_places(pairs: &mut Vec<(u64, u32)>) {
    if pairs.len() < COUNTED_MIN {
        pairs.sort_unstable();
        return;
    }
    let bits = |(all, any): (u64, u64), pair: &(u64, u32)| (all & pair.0, any | pair.0);
    let (all, any) = pairs.iter().fold((u64::MAX, 0), bits);
    let mut sorted = vec![(0, 0); pairs.len()];
    for shift in (0..u64::BITS).step_by(DIGIT_BITS as usize) {
        let digit = |place: u64| (place >> shift) as usize % DIGITS;
        if digit(all ^ any) == 0 {
            continue;
        }
        let mut ends = [0usize; DIGITS];
        for pair in pairs.iter() {
            ends[digit(pair.0)] += 1;
        }
        let mut end = 0;
        for place in &mut ends {
            (*place, end) = (end, end + *place);
        }
        for pair in pairs.iter() {
            let to = &mut ends[digit(pair.0)];
            sorted[*to] = *pair;
            *to += 1;
        }
        std::mem::swap(pairs, &mut sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::sort_places;
    use crate::rng::Rng;

    #[test]
    fn equals_a_sort_by_comparison() {
        let mut rng = Rng::new(5);
        for n in [0, 1, 2, 1000, 1023, 1024, 5000] {
            for shift in [0, 20, 40, 62] {
                let mut place = |_| u64::from(rng.below(1 << 14)) << shift | 1;
                let mut pairs: Vec<(u64, u32)> = (0..n).map(&mut place).zip(0..).collect();
                let mut expected = pairs.clone();
                expected.sort_unstable();
                sort_places(&mut pairs);
                assert_eq!(pairs, expected, "{n} << {shift}");
            }
        }
    }

    #[test]
    fn the_highest_and_the_lowest_bits_count() {
        let mut pairs: Vec<(u64, u32)> =
            (0..2000).map(|i| (u64::MAX - (u64::from(i) << 33) - 1, i)).collect();
        let mut expected = pairs.clone();
        expected.sort_unstable();
        sort_places(&mut pairs);
        assert_eq!(pairs, expected);
    }
}
