//! Which neighbours are worth a link.

use super::levels::GOLDEN;
use super::walk::Near;

/// Below this share of the farthest candidate's key another one is as good as equal.
const EQUAL: f32 = 1e-6;

/// FAISS's heuristic (algorithm 4 of the paper): walks the candidates, nearest first, and keeps one unless a kept one is
/// nearer to it than the point is; at most `cap`. Fewer than `cap` candidates are all kept.
///
/// Of those at key 0, or as good as that beside the farthest candidate, it keeps half of `cap` at most: a hundred rows in one
/// place would else link to each other alone, and no search would leave them. Where fewer than `least` are kept, the nearest of
/// the others are added (the paper's "keepPruned").
///
/// `key_between(i, j)`: the key between candidates number i and j. `kept`: emptied, then the numbers of the kept ones,
/// nearest first, and after them those that the rule alone would not keep.
pub fn select(
    candidates: &[Near],
    (cap, least): (usize, usize),
    key_between: impl FnMut(usize, usize) -> f32,
    kept: &mut Vec<usize>,
) {
    if candidates.len() < cap {
        kept.clear();
        kept.extend(0..candidates.len());
    } else {
        diverse(candidates, cap, key_between, kept);
        fill(candidates.len(), least, kept);
    }
}

/// What is left of a full list of links and one more: the same rule, down to `most`, see
/// [`links_pruned`](super::links_pruned). `candidates`: the
/// old links and the new one, nearest to the list's node first.
pub fn prune(
    candidates: &[Near],
    (most, least): (usize, usize),
    key_between: impl FnMut(usize, usize) -> f32,
    kept: &mut Vec<usize>,
) {
    diverse(candidates, most, key_between, kept);
    fill(candidates.len(), least.min(most), kept);
}

/// Turns each run of candidates at the same key by an amount drawn from `owner`, the node or row whose links they may become.
/// Else the first of many equals would be linked to by all, and its own list has room for few of them.
pub fn turn_equals(candidates: &mut [Near], owner: u64) {
    let draw = (owner.wrapping_mul(GOLDEN) >> 32) as usize;
    for equals in candidates.chunk_by_mut(|a, b| a.key == b.key) {
        equals.rotate_left(draw % equals.len());
    }
}

fn diverse(
    candidates: &[Near],
    cap: usize,
    mut key_between: impl FnMut(usize, usize) -> f32,
    kept: &mut Vec<usize>,
) {
    kept.clear();
    let equals_max = cap.div_ceil(2);
    let equal = EQUAL * candidates.last().map_or(0.0, |last| last.key.abs());
    for (i, candidate) in candidates.iter().enumerate() {
        if kept.len() >= cap {
            return;
        }
        if candidate.key.abs() <= equal && kept.len() >= equals_max {
            continue;
        }
        if kept.iter().all(|j| key_between(i, *j) >= candidate.key) {
            kept.push(i);
        }
    }
}

/// Adds the nearest of `n` candidates that are not kept (those that are ascend) until there are `least`.
fn fill(n: usize, least: usize, kept: &mut Vec<usize>) {
    let mut diverse = 0;
    let n_diverse = kept.len();
    for i in 0..n {
        if kept.len() >= least {
            return;
        }
        if diverse < n_diverse && kept.get(diverse) == Some(&i) {
            diverse += 1;
        } else {
            kept.push(i);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::links_pruned;
    use super::{prune, select, turn_equals};
    use crate::hnsw::walk::Near;
    use crate::metric::Metric;

    /// Points of a line around 0.
    fn run(points: &[f32], cap: usize, pruning: bool) -> Vec<f32> {
        run_to(points, (cap, 0), pruning)
    }

    fn run_to(points: &[f32], cap: (usize, usize), pruning: bool) -> Vec<f32> {
        let near = |(node, x): (usize, &f32)| Near { key: x.abs(), node: node as u32 };
        let candidates: Vec<Near> = points.iter().enumerate().map(near).collect();
        let between = |i: usize, j: usize| (points[i] - points[j]).abs();
        let mut kept = vec![9];
        if pruning {
            let most = links_pruned(Metric::L2, cap.0);
            prune(&candidates, (most, cap.1), between, &mut kept);
        } else {
            select(&candidates, cap, between, &mut kept);
        }
        kept.into_iter().map(|i| points[i]).collect()
    }

    #[test]
    fn one_in_each_direction() {
        assert_eq!(run(&[1.0, -2.0, 2.5, 3.0, -7.0], 3, false), [1.0, -2.0]);
    }

    #[test]
    fn too_few_are_all_kept() {
        assert_eq!(run(&[1.0, 2.0], 3, false), [1.0, 2.0]);
        assert_eq!(run(&[], 3, false), []);
    }

    #[test]
    fn equals_do_not_hide_each_other() {
        assert_eq!(run(&[2.0, -2.0, 2.0, -2.0], 3, false), [2.0, -2.0]);
        assert_eq!(run(&[0.0, 0.0, 0.0, 0.0], 3, false), [0.0, 0.0]);
    }

    #[test]
    fn equals_leave_room_for_others() {
        let points = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -2.0];
        assert_eq!(run(&points, 4, false), [0.0, 0.0, 1.0, -2.0]);
        assert_eq!(run(&points, 5, true), [0.0, 0.0, 1.0, -2.0]);
    }

    #[test]
    fn the_nearest_fill_up() {
        let points = [1.0, 2.0, -2.5, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert_eq!(run_to(&points, (8, 4), false), [1.0, -2.5, 2.0, 3.0]);
        assert_eq!(run_to(&points, (8, 4), true), [1.0, -2.5, 2.0, 3.0]);
        assert_eq!(run_to(&points, (8, 1), true), [1.0, -2.5]);
        assert_eq!(run_to(&points[..1], (1, 4), true), [1.0]);
        assert_eq!(run_to(&[0.0; 11], (10, 10), true).len(), 8);
        assert_eq!(run_to(&[0.0; 11], (10, 6), false).len(), 6);
    }

    #[test]
    fn equals_take_turns() {
        let near = |(node, key): (u32, &f32)| Near { key: *key, node };
        let turned = |owner| {
            let mut all: Vec<Near> = (0..).zip(&[1.0, 2.0, 2.0, 2.0, 3.0]).map(near).collect();
            turn_equals(&mut all, owner);
            all.iter().map(|near| near.node).collect::<Vec<_>>()
        };
        let all: BTreeSet<Vec<u32>> = (0..50).map(turned).collect();
        let expected = [[0, 1, 2, 3, 4], [0, 2, 3, 1, 4], [0, 3, 1, 2, 4]];
        assert_eq!(all, expected.map(Vec::from).into());
        turn_equals(&mut [], 1);
    }

    #[test]
    fn pruning_leaves_room() {
        assert_eq!(run(&[0.0; 11], 10, true).len(), 4);
        assert_eq!(run(&[1.0, 2.0], 10, true), [1.0]);
        assert_eq!(run(&[1.0, -1.0], 1, true), [1.0]);
    }
}
