//! From where the neighbours of some queries were found to the settings that find enough of them.

use super::curve::{Curve, Effort, Efforts, RECALLS, ROWS};

/// The largest `k_factor` that is tried for a code.
pub const K_FACTOR_MAX: f32 = 64.0;
/// Those that are tried.
const K_FACTORS: [f32; 18] = [
    1.0,
    1.25,
    1.5,
    1.75,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    6.0,
    8.0,
    10.0,
    12.0,
    16.0,
    24.0,
    32.0,
    48.0,
    K_FACTOR_MAX,
];
/// A search for fewer rows than this is measured as one for this many.
const ROWS_LEAST: u64 = 10;

/// The nearest neighbours by which a search for `k` rows is judged. Of one each there would be too few to tell a recall of .95:
/// the next two are a little harder to find.
pub fn looked_at(k: u64) -> usize {
    k.max(3) as usize
}

/// Where a search comes upon one of the nearest rows of its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// How many lists are nearer to the query than the row's.
    pub list: u32,
    /// How many candidates come before it by their codes; 0 without a code.
    pub candidate: u32,
}

/// What a search of lists costs, in any unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Of a list.
    pub list: f64,
    /// Of a candidate that is re-ranked; None: there is no code.
    pub candidate: Option<f64>,
}

/// The curve of inverted lists. Each query has the places of its nearest rows, nearest first, at most a hundred; `nlist`: how
/// many lists there are.
pub fn curve_of_lists(queries: &[Vec<Place>], nlist: u32, price: Price) -> Curve {
    let rows = ROWS.map(|k| {
        let near = || queries.iter().flat_map(|places| places.iter().take(looked_at(k)));
        let tried = if price.candidate.is_some() { &K_FACTORS[..] } else { &K_FACTORS[..1] };
        // For each k_factor: the lists that the rows lie in which it finds.
        let found: Vec<(f32, Vec<u32>)> = tried
            .iter()
            .map(|&k_factor| {
                let most = (k.max(ROWS_LEAST) as f64 * f64::from(k_factor)).ceil() as u64;
                let finds = |place: &&Place| u64::from(place.candidate) < most;
                let mut lists: Vec<u32> = near().filter(finds).map(|place| place.list).collect();
                lists.sort_unstable();
                (k_factor, lists)
            })
            .collect();
        let cost = |effort: &Effort| {
            let candidates = k.max(ROWS_LEAST) as f64 * f64::from(effort.k_factor);
            f64::from(effort.width) * price.list + candidates * price.candidate.unwrap_or(0.0)
        };
        let most = Effort { width: nlist.max(1), k_factor: tried.last().copied().unwrap_or(1.0) };
        let n = near().count();
        let best = |recall: f64| {
            let wanted = (recall * n as f64 - 1e-9).ceil().max(1.0) as usize;
            let reaching = found.iter().filter_map(|(k_factor, lists)| {
                let width = lists.get(wanted - 1)?.saturating_add(1);
                Some(Effort { width, k_factor: *k_factor })
            });
            reaching.min_by(|a, b| cost(a).total_cmp(&cost(b)))
        };
        efforts(best, most)
    });
    Curve { queries: queries.iter().filter(|places| !places.is_empty()).count() as u32, rows }
}

/// The curve of a graph: for each width tried, ascending, the recall at each of [`ROWS`]; None where the width says nothing of so
/// many rows.
pub fn curve_of_graph(queries: u32, tried: &[(u32, [Option<f64>; ROWS.len()])]) -> Curve {
    let mut rows = [Efforts::default(); ROWS.len()];
    for (k, efforts_of) in rows.iter_mut().enumerate() {
        let points: Vec<(f64, f64)> = tried
            .iter()
            .filter_map(|(width, recalls)| Some((f64::from(*width), recalls.get(k).copied()??)))
            .collect();
        let most = tried.last().map_or(1, |(width, _)| *width);
        *efforts_of = efforts(
            |recall| Some(Effort { width: width_for(&points, recall)?, k_factor: 1.0 }),
            Effort { width: most.max(1), k_factor: 1.0 },
        );
    }
    Curve { queries, rows }
}

/// The width at which a recall is reached, on the line between the points around it.
fn width_for(points: &[(f64, f64)], recall: f64) -> Option<u32> {
    let after = points.iter().position(|(_, reached)| *reached >= recall)?;
    let (width, reached) = *points.get(after)?;
    let Some((narrow, before)) = after.checked_sub(1).and_then(|i| points.get(i)).copied() else {
        return Some(width as u32);
    };
    // What is missed at a point that misses nothing of a few queries.
    let missed = |recall: f64| -(1.0 - recall).max(1e-4).ln();
    let span = missed(reached) - missed(before);
    let part = if span > 0.0 { (missed(recall) - missed(before)) / span } else { 1.0 };
    let width = narrow.ln() + (width.ln() - narrow.ln()) * part.clamp(0.0, 1.0);
    Some(width.exp().ceil() as u32)
}

/// Recall after recall, none with less than one before it.
fn efforts(best: impl Fn(f64) -> Option<Effort>, most: Effort) -> Efforts {
    let mut all = Efforts { efforts: [most; RECALLS.len()], reached: 0 };
    let mut last = Effort { width: 1, k_factor: 1.0 };
    for (i, (place, recall)) in all.efforts.iter_mut().zip(RECALLS).enumerate() {
        let Some(effort) = best(recall) else { break };
        last = Effort {
            width: effort.width.max(if effort.k_factor <= last.k_factor { last.width } else { 1 }),
            k_factor: effort.k_factor,
        };
        *place = last;
        all.reached = i as u8 + 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Place, Price, curve_of_graph, curve_of_lists};
    use crate::tuning::curve::{Effort, RECALLS};

    const FLAT: Price = Price { list: 1.0, candidate: None };

    #[test]
    fn without_a_code_the_lists_decide() {
        // The n-th neighbour of every query lies in the n-th list.
        let places = |n: u32| (0..n).map(|list| Place { list, candidate: 0 }).collect();
        let curve = curve_of_lists(&vec![places(100); 20], 512, FLAT);
        assert_eq!(curve.queries, 20);
        let [one, ten, hundred] = curve.rows;
        // One row is judged by three.
        assert_eq!(one.efforts[9], Effort { width: 3, k_factor: 1.0 });
        assert_eq!((ten.efforts[0].width, ten.efforts[3].width, ten.efforts[4].width), (5, 9, 10));
        assert_eq!((hundred.efforts[4].width, hundred.efforts[9].width), (95, 100));
        assert!(curve.rows.iter().all(|rows| usize::from(rows.reached) == RECALLS.len()));
    }

    #[test]
    fn the_cheaper_of_lists_and_candidates_is_chosen() {
        // Half of the ten neighbours are misjudged by the code, and half of these lie in a far list.
        let of = |(list, candidate)| Place { list, candidate };
        let near = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 45), (6, 45), (7, 45)];
        let places: Vec<Place> = near.into_iter().chain([(90, 45), (95, 630)]).map(of).collect();
        let queries = vec![places; 50];
        let at = |list, candidate, i: usize| {
            let price = Price { list, candidate: Some(candidate) };
            curve_of_lists(&queries, 128, price).rows[1].efforts[i]
        };
        assert_eq!(at(1.0, 1.0, 0), Effort { width: 5, k_factor: 1.0 });
        assert_eq!(at(1.0, 1.0, 1), Effort { width: 7, k_factor: 5.0 });
        assert_eq!(at(1.0, 1.0, 3), Effort { width: 91, k_factor: 5.0 });
        assert_eq!(at(1.0, 1.0, 4), Effort { width: 96, k_factor: 64.0 });
        // A recall that the codes do not allow: the most that was tried.
        let beyond = vec![vec![Place { list: 0, candidate: 100_000 }; 10]; 5];
        let curve = curve_of_lists(&beyond, 128, Price { list: 1.0, candidate: Some(1.0) });
        assert_eq!(curve.rows[1].reached, 0);
        assert_eq!(curve.rows[1].efforts[4], Effort { width: 128, k_factor: 64.0 });
    }

    #[test]
    fn a_width_lies_between_those_tried() {
        let tried = [
            (16, [Some(0.9), Some(0.7), None]),
            (32, [Some(0.97), Some(0.91), None]),
            (128, [Some(1.0), Some(0.97), Some(0.92)]),
            (256, [Some(1.0), Some(0.992), Some(0.96)]),
        ];
        let curve = curve_of_graph(64, &tried);
        let [one, ten, hundred] = curve.rows.map(|rows| rows.efforts.map(|effort| effort.width));
        assert_eq!((one[0], one[3], ten[1]), (16, 16, 16));
        assert!((17..=32).contains(&one[4]) && (33..=128).contains(&ten[4]), "{one:?} {ten:?}");
        assert!((129..=256).contains(&hundred[4]), "{hundred:?}");
        assert_eq!(curve.rows.map(|rows| rows.reached), [10, 8, 5]);
        assert_eq!((ten[8], hundred[9]), (256, 256), "not reached: the most that was tried");
        assert!([one, ten, hundred].iter().all(|widths| widths.is_sorted()));
    }

    #[test]
    fn nothing_measured_is_nothing_known() {
        assert!(!curve_of_lists(&[], 10, FLAT).is_measured());
        assert!(!curve_of_lists(&[Vec::new()], 10, FLAT).is_measured());
    }
}
