//! A rule fitted to rows that asked for their neighbours: a Poisson regression of how many of the nearest rows lie in each list,
//! by Newton's method.

use super::{FAR, LIMITS, MOST, ProbeRule, Scale, least};

/// The neighbours of each query that count.
const NEIGHBOURS: usize = 30;
/// Fewer queries than this say too little.
const QUERIES_MIN: usize = 50;
/// Ranks up to this are looked at one by one, others in groups that grow by a fifth.
const SINGLE: usize = 8;
const GROWTH: f64 = 1.2;
/// How strongly exponents are drawn towards those of ranks alone, in neighbours.
const PRIOR: f64 = 1.0;
/// The exponents by which ranks alone decide.
const BY_RANK: [f64; 4] = [-1.0, 0.0, 0.0, 0.0];
const STEPS: usize = 50;
const TERMS: usize = 5;
/// A rule is worth having if it needs no more than this part of the lists, in the mean over searches that find these parts of
/// the ten nearest neighbours of every query.
const WORTH: f64 = 0.98;
const NEAREST: usize = 10;
const FOUND: [f64; 5] = [0.8, 0.9, 0.95, 0.97, 0.99];
/// Mean numbers of lists that are told apart.
const FINE: f64 = 1.05;

/// What a query sees of the lists: how far those at some ranks are.
#[derive(Debug, Clone)]
pub struct Profile {
    scale: Scale,
    /// The logarithms of their distances.
    distances: Vec<f32>,
}

impl Profile {
    /// Of the squared distances of all lists, nearest first. None where they say nothing.
    pub fn new(distances: &[f32]) -> Option<Self> {
        let far = distances.get(FAR).or(distances.last())?;
        let scale = Scale::new(*distances.first()?, *far)?;
        let at = |rank: u32| distances.get(rank as usize).map(|d| d.max(scale.floor).ln());
        let distances: Option<Vec<f32>> = grid(distances.len()).into_iter().map(at).collect();
        let distances = distances.filter(|distances| distances.iter().all(|d| d.is_finite()))?;
        Some(Self { scale, distances })
    }
}

/// A query: what it sees, and how many lists are nearer than those of its nearest rows, nearest row first.
type Asked<'a> = (&'a Profile, &'a [u32]);

/// For each query, the mean number of lists of a search that probes each of its lists.
pub struct Widths {
    /// The rule's, if one is worth having.
    pub rule: Option<ProbeRule>,
    profiles: Vec<Option<Vec<f32>>>,
    fine: Vec<f32>,
}

impl Widths {
    /// The smallest nprobe, less one, by which a search for this query probes the list before which `rank` others come.
    pub fn before(&self, query: usize, rank: u32) -> u32 {
        let Some(Some(lists)) = self.profiles.get(query).filter(|_| self.rule.is_some()) else {
            return rank;
        };
        let at = lists.partition_point(|n| *n <= rank as f32);
        self.fine
            .get(at)
            .or(self.fine.last())
            .map_or(rank, |width| (width.ceil() as u32).max(1) - 1)
    }
}

/// Fits a rule to queries. `ranks`: for each of them, how many lists are nearer than those of its nearest rows, nearest row first.
pub fn fit(profiles: &[Option<Profile>], ranks: &[Vec<u32>], nlist: usize) -> Widths {
    let grid = grid(nlist);
    let known: Vec<Asked<'_>> = profiles
        .iter()
        .zip(ranks)
        .filter_map(|(profile, ranks)| Some((profile.as_ref()?, ranks.as_slice())))
        .collect();
    let none = Widths { rule: None, profiles: Vec::new(), fine: Vec::new() };
    if known.len() < QUERIES_MIN || nlist <= FAR {
        return none;
    }
    let Some(exponents) = regress(&grid, &known, nlist) else { return none };
    let mut rule = ProbeRule { exponents, limits: [f32::NEG_INFINITY; LIMITS] };
    for (i, limit) in rule.limits.iter_mut().enumerate() {
        let nprobe = 1usize << i;
        *limit = limit_for(&grid, &known, exponents, nprobe.min(nlist));
    }
    let steps = ((nlist as f64).ln() / FINE.ln()).ceil() as i32;
    let fine: Vec<f32> =
        (0..=steps).map(|step| (FINE.powi(step) as f32).min(nlist as f32)).collect();
    let lists = |profile: &Profile| {
        let scores = scores(&grid, profile, exponents);
        let mut last = 0.0f32;
        let each = fine.iter().map(|width| {
            let n = lists_of(&grid, &scores, rule.limit(*width), *width, nlist);
            last = last.max(n);
            last
        });
        each.collect()
    };
    let lists = profiles.iter().map(|profile| profile.as_ref().map(lists)).collect();
    let widths = Widths { rule: Some(rule), profiles: lists, fine };
    if is_worth(&widths, ranks) { widths } else { none }
}

/// The ranks that are looked at, ascending; the last list's is the last.
fn grid(nlist: usize) -> Vec<u32> {
    let mut grid = Vec::new();
    let mut rank = 0usize;
    while rank + 1 < nlist {
        grid.push(rank as u32);
        rank = if rank < SINGLE { rank + 1 } else { (rank as f64 * GROWTH).ceil() as usize };
    }
    grid.push(nlist.saturating_sub(1) as u32);
    grid
}

/// What the logarithm of λ is a sum of, between a rank of the grid and the next.
fn terms(grid: &[u32], profile: &Profile, at: usize) -> Option<(f64, [f64; TERMS])> {
    let (from, next) = (*grid.get(at)?, grid.get(at + 1).copied());
    let lists = f64::from(next.map_or(1, |next| next - from));
    let middle = f64::from(from) + (lists - 1.0) / 2.0;
    let own = f64::from(*profile.distances.get(at)?);
    let end = profile.distances.get(at + 1).map_or(own, |end| f64::from(*end));
    let own = own + (end - own) * (lists - 1.0) / (2.0 * lists);
    let (first, far) = (f64::from(profile.scale.first), f64::from(profile.scale.far));
    Some((lists, [1.0, (middle + 1.0).ln(), own, first, far]))
}

/// The exponents under which the neighbours are likeliest.
fn regress(grid: &[u32], queries: &[Asked<'_>], nlist: usize) -> Option<[f32; 4]> {
    let mut rows = Vec::with_capacity(grid.len() * queries.len());
    for (profile, ranks) in queries {
        let mut counts = vec![0u32; grid.len()];
        for rank in ranks.iter().take(NEIGHBOURS) {
            let at = grid.partition_point(|from| from <= rank).checked_sub(1)?;
            *counts.get_mut(at)? += 1;
        }
        for (at, count) in counts.into_iter().enumerate() {
            let (lists, terms) = terms(grid, profile, at)?;
            rows.push((lists, terms, f64::from(count)));
        }
    }
    let found: f64 = rows.iter().map(|(.., count)| count).sum();
    let [a, b, d, e] = BY_RANK;
    // By ranks alone a list's share is that of its 1/(j + 1) in all.
    let first = found / queries.len() as f64 / ((nlist as f64).ln() + 1.0);
    let mut weights = [first.max(1e-9).ln(), a, b, d, e];
    for _ in 0..STEPS {
        let step = newton_step(&rows, &weights)?;
        let largest = rows.iter().map(|(_, terms, _)| dot(&step, terms).abs()).fold(0.0, f64::max);
        let share = (2.0 / largest).min(1.0);
        weights.iter_mut().zip(step).for_each(|(weight, step)| *weight += share * step);
        if largest < 1e-6 {
            break;
        }
    }
    let [_, exponents @ ..] = weights;
    let is_sound = exponents.iter().all(|x| x.is_finite() && x.abs() < 1e3);
    is_sound.then_some(exponents.map(|x| x as f32))
}

fn dot(a: &[f64; TERMS], b: &[f64; TERMS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gradient and Hessian of the likelihood, with the prior, solved for the step.
fn newton_step(rows: &[(f64, [f64; TERMS], f64)], weights: &[f64; TERMS]) -> Option<[f64; TERMS]> {
    let mut system = [[0.0; TERMS + 1]; TERMS];
    for (lists, terms, count) in rows {
        let mean = lists * dot(weights, terms).clamp(-40.0, 20.0).exp();
        for (row, term) in system.iter_mut().zip(terms) {
            row.iter_mut().zip(terms).for_each(|(cell, other)| *cell += mean * term * other);
            if let Some(last) = row.last_mut() {
                *last += (count - mean) * term;
            }
        }
    }
    for (i, ((row, prior), weight)) in
        system.iter_mut().skip(1).zip(BY_RANK).zip(&weights[1..]).enumerate()
    {
        row[i + 1] += PRIOR;
        row[TERMS] += PRIOR * (prior - weight);
    }
    solve(system)
}

/// Gauss's elimination; the last column is the right side.
fn solve(mut system: [[f64; TERMS + 1]; TERMS]) -> Option<[f64; TERMS]> {
    for i in 0..TERMS {
        let pivot =
            (i..TERMS).max_by(|a, b| system[*a][i].abs().total_cmp(&system[*b][i].abs()))?;
        system.swap(i, pivot);
        let of_pivot = system[i];
        if of_pivot[i].is_nan() || of_pivot[i].abs() < 1e-12 {
            return None;
        }
        for (j, row) in system.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            debug_assert_ne!(i, j);
            let times = row[i] / of_pivot[i];
            row.iter_mut().zip(of_pivot).for_each(|(cell, above)| *cell -= times * above);
        }
    }
    Some(std::array::from_fn(|i| system[i][TERMS] / system[i][i]))
}

/// The scores of a query's lists at the ranks of the grid.
fn scores(grid: &[u32], profile: &Profile, exponents: [f32; 4]) -> Vec<f32> {
    let rule = ProbeRule { exponents, limits: [0.0; LIMITS] };
    let at = grid.iter().zip(&profile.distances);
    at.map(|(rank, distance)| rule.score(profile.scale, *rank as f32, *distance)).collect()
}

/// How many lists a query probes whose lists have these scores, where a mean query probes `nprobe`: as [`ProbeRule::lists`], on
/// the lines between the ranks of the grid.
fn lists_of(grid: &[u32], scores: &[f32], limit: f32, nprobe: f32, nlist: usize) -> f32 {
    let least = least(nprobe.ceil() as usize) as f32;
    let most = (nprobe * MOST as f32).min(nlist as f32).max(least);
    let mut before: Option<(f32, f32)> = None;
    for (rank, score) in grid.iter().zip(scores) {
        let rank = *rank as f32;
        if rank >= least && *score < limit {
            let crossing = before.map_or(rank, |(earlier, above)| {
                let part = ((above - limit) / (above - score)).clamp(0.0, 1.0);
                earlier + (rank - earlier) * part
            });
            return crossing.clamp(least, most);
        }
        before = Some((rank, *score)).filter(|_| *score >= limit);
    }
    most
}

/// The limit at which queries probe `nprobe` lists in the mean.
fn limit_for(grid: &[u32], queries: &[Asked<'_>], exponents: [f32; 4], nprobe: usize) -> f32 {
    let nlist = grid.last().map_or(1, |last| *last as usize + 1);
    let all: Vec<Vec<f32>> =
        queries.iter().map(|(profile, _)| scores(grid, profile, exponents)).collect();
    let ends = all.iter().flatten();
    let mut low = ends.clone().copied().fold(f32::INFINITY, f32::min) - 1.0;
    let mut high = ends.copied().fold(f32::NEG_INFINITY, f32::max) + 1.0;
    for _ in 0..30 {
        let limit = (low + high) / 2.0;
        let lists = |scores: &Vec<f32>| lists_of(grid, scores, limit, nprobe as f32, nlist);
        let mean = all.iter().map(lists).sum::<f32>() / all.len() as f32;
        if mean > nprobe as f32 { low = limit } else { high = limit }
    }
    (low + high) / 2.0
}

/// Whether by the rule fewer lists find the nearest rows than by ranks.
fn is_worth(widths: &Widths, ranks: &[Vec<u32>]) -> bool {
    let mut by_rank: Vec<u32> = Vec::new();
    let mut by_rule: Vec<u32> = Vec::new();
    for (query, ranks) in ranks.iter().enumerate() {
        for rank in ranks.iter().take(NEAREST) {
            by_rank.push(*rank);
            by_rule.push(widths.before(query, *rank));
        }
    }
    by_rank.sort_unstable();
    by_rule.sort_unstable();
    let needed = |widths: &[u32], found: f64| {
        let at = (widths.len() as f64 * found) as usize;
        widths.get(at).map_or(1.0, |width| f64::from(*width) + 1.0)
    };
    let ratio = |found: f64| (needed(&by_rule, found) / needed(&by_rank, found)).ln();
    FOUND.into_iter().map(ratio).sum::<f64>() / FOUND.len() as f64 <= WORTH.ln()
}

#[cfg(test)]
mod tests {
    use super::super::ProbeRule;
    use super::{Profile, Widths, fit, grid};
    use crate::rng::Rng;

    const NLIST: usize = 512;

    /// Queries of which the nearer ones to their first list have their neighbours in fewer lists.
    fn planted(n: usize, is_telling: bool) -> (Vec<Vec<f32>>, Vec<Vec<u32>>) {
        let mut rng = Rng::new(7);
        let of = |_| {
            let hardness = f64::from(rng.unit());
            let first = if is_telling { 0.2 + 0.8 * hardness as f32 } else { 0.6 };
            let others = (1..NLIST).map(|i| 1.0 + (i as f32).ln() / 8.0);
            let distances = std::iter::once(first).chain(others).collect();
            let reach = 2.0 + 120.0 * hardness * hardness;
            let ranks = (0..30)
                .map(|_| (reach * f64::from(rng.unit()) * f64::from(rng.unit())) as u32)
                .collect();
            (distances, ranks)
        };
        (0..n).map(of).unzip()
    }

    fn fitted(distances: &[Vec<f32>], ranks: &[Vec<u32>], nlist: usize) -> Widths {
        let profiles: Vec<_> = distances.iter().map(|of| Profile::new(&of[..nlist])).collect();
        fit(&profiles, ranks, nlist)
    }

    #[test]
    fn what_distances_tell_saves_lists() {
        let (distances, ranks) = planted(200, true);
        let widths = fitted(&distances, &ranks, NLIST);
        let rule = widths.rule.unwrap();
        for nprobe in [8, 32, 100] {
            let known = ProbeRule::known(nprobe, NLIST);
            let lists: Vec<usize> =
                distances.iter().map(|of| rule.lists(nprobe, &of[..known])).collect();
            let mean = lists.iter().sum::<usize>() as f64 / 200.0;
            assert!((mean / nprobe as f64 - 1.0).abs() < 0.1, "{mean} of {nprobe}");
            // What is said of a list's place is what a search does.
            for (query, lists) in lists.iter().enumerate() {
                let last = widths.before(query, *lists as u32 - 1) as f64 + 1.0;
                assert!(last < 1.2 * nprobe as f64 + 2.0, "{last} of {nprobe}, {lists} lists");
            }
        }
        let far: Vec<u32> = (0..200).map(|query| widths.before(query, 40)).collect();
        assert!(far.iter().min() < far.iter().max());
    }

    #[test]
    fn where_distances_tell_nothing_ranks_decide() {
        let (distances, ranks) = planted(200, false);
        let widths = fitted(&distances, &ranks, NLIST);
        assert!(widths.rule.is_none());
        assert_eq!((widths.before(0, 0), widths.before(3, 77)), (0, 77));
        // Too few queries, too few lists, no distances.
        assert!(fitted(&distances[..20], &ranks[..20], NLIST).rule.is_none());
        let near: Vec<Vec<u32>> =
            ranks.iter().map(|ranks| ranks.iter().map(|rank| rank % 12).collect()).collect();
        assert!(fitted(&distances, &near, 12).rule.is_none());
        assert!(fitted(&vec![vec![0.0; NLIST]; 200], &ranks, NLIST).rule.is_none());
    }

    #[test]
    fn a_grid_ends_with_the_last_list() {
        for nlist in [1, 2, 8, 9, 10, 100, 65_536] {
            let grid = grid(nlist);
            assert_eq!((grid[0], *grid.last().unwrap() as usize), (0, nlist - 1));
            assert!(grid.is_sorted_by(|a, b| a < b) && grid.len() < 80, "{grid:?}");
        }
    }
}
