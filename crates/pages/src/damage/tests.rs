//! Whatever bytes a page holds, every verb ends in a result or an error.
//!
//! `PGFAISS_ROUNDS=n` damages each kind n times as often; what came of it is printed by kind and fault.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ann::rng::Rng;

use super::verbs;
use super::{Fault, Opened, Outcome, Victim, ask, damage_of, victims};
use crate::hnsw::{Map, map};
use crate::search::params::Iterative;
use crate::store::Pages;

/// Damages of each kind of index, as often as each fault occurs among them.
const ROUNDS: u64 = 40;

fn rounds() -> u64 {
    let factor = std::env::var("PGFAISS_ROUNDS").ok().and_then(|s| s.parse::<u64>().ok());
    ROUNDS * factor.unwrap_or(1)
}

fn each() -> Vec<Victim> {
    victims().unwrap()
}

#[test]
fn undamaged_indexes_hold_their_rows() {
    for victim in each() {
        for pages in victim.earlier.iter().chain([&victim.pages]) {
            assert_eq!(damage_of(pages), [], "{}", victim.name);
        }
        let index = Opened::read(&victim.pages).unwrap();
        let found = verbs::count(&index, &victim.pages, Iterative::Relaxed);
        assert_eq!(found, Ok(victim.n_rows), "{}", victim.name);
        assert_eq!(ask(&victim.pages.fork(), None), Outcome::Unnoticed, "{}", victim.name);
    }
}

/// What came of damages of one kind of index, and of which nothing should have come.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<(Fault, Outcome), u64>,
    panics: Vec<String>,
}

impl Tally {
    /// Damages the index by a seed. Every other time somebody is asked who opened it before.
    fn add(&mut self, victim: &Victim, known: &Opened, seed: u64) {
        let mut rng = Rng::new(seed);
        let fault = Fault::ALL[(seed % Fault::ALL.len() as u64) as usize];
        let pages = victim.pages.fork();
        for _ in 0..=rng.below(3) {
            fault.apply(&pages, &victim.earlier, &mut rng);
        }
        let known = (rng.below(2) == 0).then_some(known);
        match catch_unwind(AssertUnwindSafe(|| ask(&pages, known))) {
            Ok(outcome) => *self.outcomes.entry((fault, outcome)).or_default() += 1,
            Err(_) => self.panics.push(format!("{}: {fault:?} of seed {seed}", victim.name)),
        }
    }

    /// A line of a table: per fault how often it was refused, failed, was noticed by the check alone, and by nobody.
    fn line(&self, victim: &Victim) -> String {
        let outcomes = [Outcome::Refused, Outcome::Failed, Outcome::Noticed, Outcome::Unnoticed];
        let of = |fault| {
            let n = outcomes.map(|o| self.outcomes.get(&(fault, o)).copied().unwrap_or(0));
            format!("{}/{}/{}/{}", n[0], n[1], n[2], n[3])
        };
        let faults = Fault::ALL.map(of).join(" | ");
        format!("| {} | {} | {faults} |", victim.name, self.outcomes.values().sum::<u64>())
    }
}

#[test]
fn damage_ends_in_a_result_or_an_error() {
    let n = rounds();
    let mut panics = Vec::new();
    println!("refused/failed/noticed/unnoticed by {:?}", Fault::ALL);
    for victim in each() {
        let known = Opened::read(&victim.pages).unwrap();
        let mut tally = Tally::default();
        (0..n).for_each(|seed| tally.add(&victim, &known, seed));
        println!("{}", tally.line(&victim));
        panics.extend(tally.panics);
    }
    assert_eq!(panics, Vec::<String>::new());
}

/// What no search could miss does not pass the check.
#[test]
fn lost_pages_are_noticed() {
    for victim in each() {
        let n = victim.pages.n_blocks().unwrap();
        for blkno in 0..n {
            for byte in [0, 0xA5, 0xFF] {
                let pages = victim.pages.fork();
                pages.damage(blkno, |page| page.bytes_mut().fill(byte));
                assert_ne!(damage_of(&pages), [], "{}: block {blkno}", victim.name);
            }
            let pages = victim.pages.fork();
            pages.truncate(blkno);
            assert_ne!(damage_of(&pages), [], "{}: {blkno} blocks", victim.name);
        }
    }
}

/// Pages of one kind and owner may trade places unnoticed; everything else may not.
#[test]
fn exchanged_pages_are_noticed() {
    for victim in each() {
        let n = victim.pages.n_blocks().unwrap();
        for a in 0..n {
            for b in [(a + 1) % n, (a + 7) % n] {
                let (one, other) = (victim.pages.page(a), victim.pages.page(b));
                if (one.kind(), one.owner()) == (other.kind(), other.owner()) {
                    continue;
                }
                let pages = victim.pages.fork();
                pages.put_page(a, other);
                pages.put_page(b, one);
                assert_ne!(damage_of(&pages), [], "{}: blocks {a} and {b}", victim.name);
            }
        }
    }
}

/// A map that names one page for two parts of a chunk: an insert must not wait for itself.
#[test]
fn a_page_with_two_places_is_no_deadlock() {
    for victim in each() {
        let index = Opened::read(&victim.pages).unwrap();
        let Opened::Graph(graph) = &index else { continue };
        let shape = &graph.meta.shape;
        // The first pages of NODES, LINKS and DATA, and the second of DATA.
        let (links, data) = (shape.links_place(0).0, shape.data_place(0).map_or(0, |(at, _)| at));
        let parts = [0, links, data, data + 1];
        for (one, other) in parts.iter().flat_map(|one| parts.map(|other| (*one, other))) {
            let pages = victim.pages.fork();
            let last = Map::read(&pages, &graph.meta).unwrap();
            let (blkno, entry) = last.place(last.n_chunks() - 1);
            pages.damage(blkno, |page| {
                let named = map::block(page, shape, entry, one);
                map::set_block(page, shape, entry, other, named);
            });
            ask(&pages, Some(&index));
        }
    }
}
