//! Sorting places: large numbers of which few bits differ, each with something that goes along; and items by their lists.

const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Fewer than this many are compared with each other.
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

/// Items between two breaths.
const STEP: usize = 1 << 16;

/// The numbers of items in the order of their lists, those of a list as they came, and where each list ends. Takes
/// memory for as many lists as the largest number says. `check_interrupts` is called every few hundred microseconds.
pub fn by_list(lists: &[u32], mut check_interrupts: impl FnMut()) -> (Vec<u32>, Vec<usize>) {
    let mut ends = Vec::new();
    for some in lists.chunks(STEP) {
        for list_no in some {
            let at = *list_no as usize;
            if at >= ends.len() {
                ends.resize(at + 1, 0usize);
            }
            ends[at] += 1;
        }
        check_interrupts();
    }
    let mut end = 0;
    for place in &mut ends {
        (*place, end) = (end, end + *place);
    }
    let mut order = vec![0; lists.len()];
    for (some, first) in lists.chunks(STEP).zip((0u32..).step_by(STEP)) {
        for (list_no, no) in some.iter().zip(first..) {
            let place = &mut ends[*list_no as usize];
            order[*place] = no;
            *place += 1;
        }
        check_interrupts();
    }
    (order, ends)
}

#[cfg(test)]
mod tests {
    use super::{STEP, by_list, sort_places};
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

    #[test]
    fn items_are_counted_into_their_lists() {
        let mut rng = Rng::new(5);
        for (n, n_lists) in [(0, 1), (1, 7), (5, 1000), (STEP, 3), (3 * STEP + 1, 700)] {
            let lists: Vec<u32> = (0..n).map(|_| rng.below(n_lists)).collect();
            let mut n_breaths = 0;
            let (order, ends) = by_list(&lists, || n_breaths += 1);
            assert_eq!(n_breaths, 2 * n.div_ceil(STEP));
            let mut expected: Vec<u32> = (0..n as u32).collect();
            expected.sort_by_key(|no| lists[*no as usize]);
            assert_eq!(order, expected);
            for (list_no, end) in ends.iter().enumerate() {
                let before = lists.iter().filter(|list| **list as usize <= list_no).count();
                assert_eq!(*end, before);
                if list_no > 20 {
                    break;
                }
            }
        }
    }
}
