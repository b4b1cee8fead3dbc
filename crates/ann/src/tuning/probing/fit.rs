//! A rule fitted to rows that asked for their neighbours: a multinomial regression of the lists that hold the nearest rows of
//! each, by Newton's method.

use super::{FAR, MOST, NEAREST, PARTS, ProbeRule, least, scale};

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
const BY_RANK: [f64; 2] = [-1.0, 0.0];
/// Weights of the nearest distances to such powers are numbers still.
const EXPONENT_MAX: f64 = 9.0;
const STEPS: usize = 50;
/// A rule is worth having if it needs no more than this part of the lists, in the mean over searches that find these parts of
/// the ten nearest neighbours of every query.
const WORTH: f64 = 1.02;
const TEN: usize = 10;
const FOUND: [f64; 5] = [0.8, 0.9, 0.95, 0.97, 0.99];
/// Mean numbers of lists that are told apart.
const FINE: f64 = 1.05;
/// Steps of the search for a part.
const HALVINGS: usize = 25;

/// What a query sees of the lists: the logarithms of the relative distances of those at some ranks.
#[derive(Debug, Clone)]
pub struct Profile(Vec<f32>);

impl Profile {
    /// Of the squared distances of all lists, nearest first. None where they say nothing.
    pub fn new(distances: &[f32]) -> Option<Self> {
        let far = scale(distances)?;
        let at = |rank: u32| distances.get(rank as usize).map(|d| (d / far).max(NEAREST).ln());
        let logarithms: Option<Vec<f32>> = grid(distances.len()).into_iter().map(at).collect();
        logarithms.filter(|all| all.iter().all(|x| x.is_finite())).map(Self)
    }
}

/// For each query, the mean number of lists of a search that probes each of its lists.
pub struct Widths {
    /// The rule's, if one is worth having.
    pub rule: Option<ProbeRule>,
    /// For each query, the lists it probes where a mean query probes the numbers in `fine`.
    lists: Vec<Option<Vec<f32>>>,
    fine: Vec<f32>,
}

impl Widths {
    /// The smallest nprobe, less one, by which a search for this query probes the list before which `rank` others come.
    pub fn before(&self, query: usize, rank: u32) -> u32 {
        let Some(Some(lists)) = self.lists.get(query).filter(|_| self.rule.is_some()) else {
            return rank;
        };
        let at = lists.partition_point(|n| *n <= rank as f32);
        let width = self.fine.get(at).or(self.fine.last());
        width.map_or(rank, |width| (width.ceil() as u32).max(1) - 1)
    }
}

/// Fits a rule to queries. `ranks`: for each of them, how many lists are nearer than those of its nearest rows, nearest row first.
pub fn fit(profiles: &[Option<Profile>], ranks: &[Vec<u32>], nlist: usize) -> Widths {
    let grid = grid(nlist);
    let asked: Vec<(&Profile, &[u32])> = profiles
        .iter()
        .zip(ranks)
        .filter_map(|(profile, ranks)| Some((profile.as_ref()?, ranks.as_slice())))
        .collect();
    let none = Widths { rule: None, lists: Vec::new(), fine: Vec::new() };
    if asked.len() < QUERIES_MIN || nlist <= FAR {
        return none;
    }
    let Some(exponents) = regress(&grid, &asked) else { return none };
    let mut rule = ProbeRule { exponents, parts: [1.0; PARTS] };
    let weights = |profile: &Profile| Weights::new(&grid, profile, &rule);
    let all: Vec<Weights<'_>> = asked.iter().map(|(profile, _)| weights(profile)).collect();
    let parts = std::array::from_fn(|i| part_for(&all, (1usize << i).min(nlist)));
    let each: Vec<Option<Weights<'_>>> =
        profiles.iter().map(|profile| profile.as_ref().map(weights)).collect();
    rule.parts = parts;
    let steps = ((nlist as f64).ln() / FINE.ln()).ceil() as i32;
    let fine: Vec<f32> =
        (0..=steps).map(|step| (FINE.powi(step) as f32).min(nlist as f32)).collect();
    let lists = |weights: Weights<'_>| {
        let mut last = 0.0f32;
        let each = fine.iter().map(|width| {
            last = last.max(weights.lists(rule.part(*width), *width));
            last
        });
        each.collect()
    };
    let lists = each.into_iter().map(|weights| weights.map(lists)).collect();
    let widths = Widths { rule: Some(rule), lists, fine };
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

/// How many lists there are from each rank of the grid to the next.
fn counts(grid: &[u32]) -> impl Iterator<Item = f64> {
    let nexts = grid.iter().skip(1).copied().map(Some).chain([None]);
    grid.iter().zip(nexts).map(|(from, next)| f64::from(next.map_or(1, |next| next - from)))
}

/// A group of lists: how many they are, what the logarithm of a weight is made of at their middle, and how many neighbours
/// they hold.
struct Group {
    lists: f64,
    terms: [f64; 2],
    found: f64,
}

fn groups(grid: &[u32], profile: &Profile, ranks: &[u32]) -> Vec<Group> {
    let ends = profile.0.iter().skip(1).chain(profile.0.last());
    let of = |(((from, lists), own), end): (((&u32, f64), &f32), &f32)| {
        let (middle, own) = ((lists - 1.0) / 2.0, f64::from(*own));
        let own = own + (f64::from(*end) - own) * middle / lists;
        Group { lists, terms: [(f64::from(*from) + middle + 1.0).ln(), own], found: 0.0 }
    };
    let each = grid.iter().zip(counts(grid)).zip(&profile.0).zip(ends);
    let mut groups: Vec<Group> = each.map(of).collect();
    for rank in ranks.iter().take(NEIGHBOURS) {
        let after = grid.partition_point(|from| from <= rank);
        if let Some(group) = after.checked_sub(1).and_then(|at| groups.get_mut(at)) {
            group.found += 1.0;
        }
    }
    groups
}

/// The exponents under which the neighbours' lists are likeliest.
fn regress(grid: &[u32], asked: &[(&Profile, &[u32])]) -> Option<[f32; 2]> {
    let queries: Vec<Vec<Group>> =
        asked.iter().map(|(profile, ranks)| groups(grid, profile, ranks)).collect();
    let [mut a, mut b] = BY_RANK;
    for _ in 0..STEPS {
        let mut likelihood = Likelihood {
            gradient: [PRIOR * (BY_RANK[0] - a), PRIOR * (BY_RANK[1] - b)],
            curvature: [PRIOR, 0.0, PRIOR],
        };
        queries.iter().for_each(|groups| likelihood.add(groups, [a, b]));
        let [step_a, step_b] = likelihood.newton_step();
        let largest = step_a.abs().max(step_b.abs());
        if !largest.is_finite() {
            return None;
        }
        let share = (2.0 / largest).min(1.0);
        (a, b) = (a + share * step_a, b + share * step_b);
        if largest < 1e-6 {
            break;
        }
    }
    let is_sound = [a, b].iter().all(|x| x.is_finite() && x.abs() < EXPONENT_MAX);
    is_sound.then_some([a as f32, b as f32])
}

/// How the likelihood of the neighbours' lists goes with the two exponents.
struct Likelihood {
    gradient: [f64; 2],
    /// By the first twice, by both, by the second twice.
    curvature: [f64; 3],
}

impl Likelihood {
    /// Adds a query.
    fn add(&mut self, groups: &[Group], [a, b]: [f64; 2]) {
        let log = |group: &Group| group.terms[0] * a + group.terms[1] * b;
        let largest = groups.iter().map(log).fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut found) = (0.0, 0.0);
        let (mut means, mut squares, mut of_found) = ([0.0; 2], [0.0; 3], [0.0; 2]);
        for group in groups {
            let ([x, y], weight) = (group.terms, group.lists * (log(group) - largest).exp());
            sum += weight;
            found += group.found;
            add_to(&mut means, [x, y], weight);
            add_to(&mut squares, [x * x, x * y, y * y], weight);
            add_to(&mut of_found, [x, y], group.found);
        }
        let [x, y] = means.map(|mean| mean / sum);
        let [xx, xy, yy] = squares.map(|square| square / sum);
        add_to(&mut self.gradient, [of_found[0] - found * x, of_found[1] - found * y], 1.0);
        add_to(&mut self.curvature, [xx - x * x, xy - x * y, yy - y * y], found);
    }

    fn newton_step(&self) -> [f64; 2] {
        let ([aa, ab, bb], [a, b]) = (self.curvature, self.gradient);
        let determinant = aa * bb - ab * ab;
        [(a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant]
    }
}

fn add_to<const N: usize>(sums: &mut [f64; N], terms: [f64; N], weight: f64) {
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += weight * term);
}

/// The weights of a query's lists, at the ranks of the grid.
struct Weights<'a> {
    grid: &'a [u32],
    nlist: f32,
    /// Of one list.
    each: Vec<f32>,
    /// Of all lists before.
    before: Vec<f32>,
}

impl<'a> Weights<'a> {
    fn new(grid: &'a [u32], profile: &Profile, rule: &ProbeRule) -> Self {
        let (mut lowest, mut sum) = (f32::INFINITY, 0.0);
        let (mut each, mut before) = (Vec::new(), Vec::new());
        for ((rank, distance), lists) in grid.iter().zip(&profile.0).zip(counts(grid)) {
            lowest = lowest.min(rule.weight(*rank as f32, *distance));
            each.push(lowest);
            before.push(sum);
            sum += lowest * lists as f32;
        }
        let nlist = grid.last().map_or(0.0, |last| *last as f32 + 1.0);
        Self { grid, nlist, each, before }
    }

    /// What the first lists hold.
    fn held(&self, lists: f32) -> f32 {
        let at = self.grid.partition_point(|rank| *rank as f32 <= lists).saturating_sub(1);
        let of = |numbers: &[f32]| numbers.get(at).copied().unwrap_or_default();
        let rank = self.grid.get(at).map_or(0.0, |rank| *rank as f32);
        of(&self.before) + (lists - rank) * of(&self.each)
    }

    /// How many lists are probed that hold a part of what the known ones do, where a mean query probes `nprobe`: as
    /// [`ProbeRule::lists`].
    fn lists(&self, part: f32, nprobe: f32) -> f32 {
        if nprobe >= self.nlist {
            return self.nlist;
        }
        let most = (nprobe * MOST as f32).min(self.nlist);
        let enough = part * self.held(most);
        let after = self.before.partition_point(|held| *held <= enough);
        let at = after.saturating_sub(1);
        let of = |numbers: &[f32]| numbers.get(at).copied().unwrap_or_default();
        let rank = self.grid.get(at).map_or(0.0, |rank| *rank as f32);
        let within = (enough - of(&self.before)) / of(&self.each).max(f32::MIN_POSITIVE);
        // The list in which the part is reached is probed.
        let probed = (rank + within).floor() + 1.0;
        probed.max(least(nprobe.ceil() as usize) as f32).min(most.max(1.0))
    }
}

/// The part at which queries probe `nprobe` lists in the mean.
fn part_for(queries: &[Weights<'_>], nprobe: usize) -> f32 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let part = (low + high) / 2.0;
        let sum: f32 = queries.iter().map(|weights| weights.lists(part, nprobe as f32)).sum();
        if sum < nprobe as f32 * queries.len() as f32 { low = part } else { high = part }
    }
    high
}

/// Whether by the rule no more lists find the nearest rows than by ranks.
fn is_worth(widths: &Widths, ranks: &[Vec<u32>]) -> bool {
    let mut by_rank: Vec<u32> = Vec::new();
    let mut by_rule: Vec<u32> = Vec::new();
    for (query, ranks) in ranks.iter().enumerate() {
        for rank in ranks.iter().take(TEN) {
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

    /// Queries of which those nearer to their first list have their neighbours in fewer lists, or queries that all see the same.
    fn planted(n: usize, is_telling: bool) -> (Vec<Vec<f32>>, Vec<Vec<u32>>) {
        let mut rng = Rng::new(7);
        let of = |_| {
            let hardness = f64::from(rng.unit());
            let first = if is_telling { 0.1 + 0.9 * hardness as f32 } else { 0.6 };
            let steep = if is_telling { 1.0 - 0.9 * hardness as f32 } else { 0.5 };
            let others = (1..NLIST).map(|i| 1.0 + steep * (i as f32).ln());
            let distances = std::iter::once(first).chain(others).collect();
            let reach = 2.0 + 120.0 * hardness * hardness;
            let rank = |rng: &mut Rng| reach * f64::from(rng.unit()) * f64::from(rng.unit());
            (distances, (0..30).map(|_| rank(&mut rng) as u32).collect())
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
                let last = f64::from(widths.before(query, *lists as u32 - 1)) + 1.0;
                assert!(last < 1.2 * nprobe as f64 + 2.0, "{last} of {nprobe}, {lists} lists");
            }
        }
        let needed = |before: &dyn Fn(usize, u32) -> u32| {
            let each = ranks.iter().enumerate().flat_map(|(query, ranks)| {
                ranks.iter().map(move |rank| before(query, *rank)).collect::<Vec<_>>()
            });
            let mut all: Vec<u32> = each.collect();
            all.sort_unstable();
            all[all.len() * 95 / 100]
        };
        let (by_rule, by_rank) =
            (needed(&|query, rank| widths.before(query, rank)), needed(&|_, rank| rank));
        assert!(by_rule * 10 < by_rank * 9, "{by_rule} lists, {by_rank} by rank");
    }

    #[test]
    fn where_queries_see_the_same_they_search_alike() {
        let (distances, ranks) = planted(200, false);
        let rule = fitted(&distances, &ranks, NLIST).rule;
        let lists = rule.map_or(32, |rule| rule.lists(32, &distances[0][..64]));
        assert!((31..=33).contains(&lists), "{lists}");
    }

    #[test]
    fn where_little_is_known_ranks_decide() {
        let (distances, ranks) = planted(200, true);
        let few = fitted(&distances[..20], &ranks[..20], NLIST);
        assert!(few.rule.is_none());
        assert_eq!((few.before(0, 0), few.before(3, 77)), (0, 77));
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
