//! How high a node stands, and how many links it has on each level.

use crate::metric::Metric;

/// Below this share FAISS's table of levels ends.
const LEAST_SHARE: f64 = 1e-9;
/// 2⁶⁴ divided by the golden ratio: multiples of it are evenly spread.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// No level is higher than this: the table for m = 2 ends here.
pub const MAX_LEVEL: u8 = 28;

/// The most links of a node on a level: 2m at level 0, m above.
pub fn links_max(m: usize, level: usize) -> usize {
    if level == 0 { 2 * m } else { m }
}

/// The links that are left at most where a full list is pruned: 80 % of `cap`, at least one, so that not every link that
/// follows prunes again. Of bits all: their keys cost little, and a thin graph (m = 4 over 52 random bits) finds a quarter more.
pub fn links_pruned(metric: Metric, cap: usize) -> usize {
    if metric.is_of_bits() { cap } else { (cap * 4 / 5).max(1) }
}

/// The links that a list gets at least where enough nodes were found.
///
/// Above level 0 all that there is room for: rows that come topic by topic find few nodes of their topic there, and the rule of
/// [`select`](super::select()) alone would leave topics that few links lead to. At level 0 half: rows much shorter than others are
/// nearer to all of these than they are to each other, the rule alone keeps one or two, and searches that have one way only miss
/// what lies beside it (a table whose scale grows: recall@10 .88 by the rule, 1.00 so). With real data, too, a search that finds
/// as much compares a twentieth less. Three in four under inner product, where long vectors are so to most others, and under L1
/// (products of uniforms in 10 dimensions, recall@20 at efSearch 40: .992, by one in four .984). The rest is left to links back.
/// All of them over bits, where many nodes are equally near and the rule would leave few.
pub fn links_least(metric: Metric, m: usize, level: usize) -> usize {
    match level {
        0 if metric.is_of_bits() => links_max(m, 0),
        0 if matches!(metric, Metric::InnerProduct | Metric::L1) => links_max(m, 0) * 3 / 4,
        0 => links_max(m, 0) / 2,
        _ => links_max(m, level),
    }
}

/// The free slots of a list of `cap` that may take in a node which nothing else leads to: a quarter. The last slots are for
/// links that searches have more from.
pub fn links_spare(cap: usize) -> usize {
    (cap / 4).max(1)
}

/// The level of node number `n`: l with probability m⁻ˡ · (1 − 1/m), as in FAISS's table, whose last entry takes the
/// rest. Depends on the three arguments alone.
pub fn level_of(m: usize, seed: u64, n: u64) -> u8 {
    let m = m.max(2) as f64;
    let mut left = unit(seed, n);
    let mut share = 1.0 - 1.0 / m;
    let mut level = 0;
    while left >= share && level < MAX_LEVEL {
        left -= share;
        share /= m;
        if share < LEAST_SHARE {
            break;
        }
        level += 1;
    }
    level
}

/// A number in 0..1 for each pair, by two rounds of the finaliser of Steele, Lea and Flood's SplitMix (2014).
fn unit(seed: u64, n: u64) -> f64 {
    let mix = |x: u64| {
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let mixed = mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(n.wrapping_mul(GOLDEN)));
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::{MAX_LEVEL, level_of, links_least, links_max, links_pruned, links_spare};
    use crate::metric::Metric;

    #[test]
    fn levels_are_geometric() {
        for m in [2, 4, 16, 100] {
            let n = 200_000;
            let mut counts = [0.0f64; MAX_LEVEL as usize + 1];
            (0..n).for_each(|i| counts[usize::from(level_of(m, 1234, i))] += 1.0);
            let mut share = n as f64 * (1.0 - 1.0 / m as f64);
            for count in counts {
                if share > 5.0 {
                    assert!((count - share).abs() < 5.0 * share.sqrt(), "{m}: {counts:?}");
                }
                share /= m as f64;
            }
        }
    }

    #[test]
    fn a_seed_gives_its_own_levels() {
        let levels = |seed| (0..1000).map(|n| level_of(4, seed, n)).collect::<Vec<_>>();
        assert_eq!(levels(1), levels(1));
        assert_ne!(levels(1), levels(2));
    }

    #[test]
    fn caps() {
        assert_eq!([0, 1, 5].map(|level| links_max(16, level)), [32, 16, 16]);
        let pruned = |metric| [1, 2, 4, 32, 200].map(|cap| links_pruned(metric, cap));
        assert_eq!(pruned(Metric::L2), [1, 1, 3, 25, 160]);
        assert_eq!(pruned(Metric::Hamming), [1, 2, 4, 32, 200]);
        assert_eq!([1, 2, 4, 32, 200].map(links_spare), [1, 1, 1, 8, 50]);
        let least = |metric| [0, 1, 5].map(|level| links_least(metric, 16, level));
        assert_eq!(least(Metric::InnerProduct), [24, 16, 16]);
        assert_eq!(least(Metric::L2), [16, 16, 16]);
    }
}
