//! Servers that are killed, followed, restored and crowded, with indexes of every method and code, and the account of what they lost.
//! Without arguments the short form, as one test each; `cargo xtask torture` starts the long one:
//! `long [--kind crash|standby|pitr|soak] [--cycles N] [--minutes N] [--seed S]`.

mod account;
mod crash;
mod pitr;
mod soak;
mod standby;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use xtask::cluster::Builder;

use account::Account;

/// What one table with its indexes goes through.
pub struct Turn {
    /// All that is random about it.
    pub seed: u64,
    /// How often.
    pub cycles: u64,
    /// The sessions of a soak run so long.
    pub lasting: Duration,
    /// Beyond this two wait for each other, however busy the machine.
    pub limit: Duration,
    /// Where the files of a server go that has failed.
    pub evidence: PathBuf,
}

impl Turn {
    /// A row of 5000 dimensions spans pages: an insert is several WAL records.
    fn dims(&self) -> usize {
        if self.seed % 8 == 7 { 5000 } else { 16 }
    }
}

impl Turn {
    /// Most servers train lists as early as they can, and build them anew in every VACUUM.
    fn forced(&self, server: Builder) -> Builder {
        if self.seed % 3 == 2 {
            return server;
        }
        server.set("faiss.training_rows", "100").set("faiss.debug_rebuild", "on")
    }
}

type Fault = fn(&Turn, &mut Account);

/// Each kind of torture, how often a table goes through it before the next one is made, and how often in the short form.
const KINDS: [(&str, Fault, u64, u64); 4] = [
    ("crash", crash::run, 12, 3),
    ("standby", standby::run, 5, 2),
    ("pitr", pitr::run, 1, 1),
    ("soak", soak::run, 1, 1),
];
const FIRST_SEED: u64 = 1000;
/// One part of a soak in the long form, and in the short one.
const SOAK: Duration = Duration::from_secs(180);
const SHORT_SOAK: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "long").is_some() {
        return match Long::parse(arguments) {
            Ok(long) => long.run(),
            Err(what) => {
                eprintln!("error: {what}");
                ExitCode::from(2)
            }
        };
    }
    // Seeds of tables with short vectors, and with vectors over several pages.
    let shapes = [("", FIRST_SEED), (" with long vectors", FIRST_SEED + 7)];
    let trials = shapes.iter().flat_map(|&(shape, usual)| {
        KINDS.iter().map(move |&(name, fault, _, cycles)| {
            Trial::test(format!("{name}{shape}"), move || {
                short(name, fault, cycles, usual);
                Ok(())
            })
        })
    });
    // The crowded server is to be alone on the machine.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn short(name: &str, fault: Fault, cycles: u64, usual: u64) {
    let seed = std::env::var("PGFAISS_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(usual);
    let turn = Turn {
        seed,
        cycles: checks::rounds(cycles),
        lasting: SHORT_SOAK,
        limit: Duration::from_secs(900) * cycles as u32,
        evidence: evidence(name, seed),
    };
    let mut account = Account::default();
    fault(&turn, &mut account);
    eprint!("{account}");
}

fn evidence(name: &str, seed: u64) -> PathBuf {
    xtask::build::target_dir().join("torture").join(format!("{name}-{seed}"))
}

/// What the command line asks for.
struct Long {
    kinds: Vec<&'static (&'static str, Fault, u64, u64)>,
    seed: u64,
    cycles: Option<u64>,
    minutes: Option<u64>,
}

impl Long {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let all = || KINDS.iter().collect();
        let mut long = Self { kinds: all(), seed: FIRST_SEED, cycles: None, minutes: None };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(format!("{name} lacks a value"))?;
            let number = || value.parse::<u64>().map_err(|e| format!("{name} {value}: {e}"));
            match name.as_str() {
                "--seed" => long.seed = number()?,
                "--cycles" => long.cycles = Some(number()?),
                "--minutes" => long.minutes = Some(number()?),
                "--kind" => {
                    long.kinds = KINDS.iter().filter(|(name, ..)| *name == value).collect();
                    if long.kinds.is_empty() {
                        return Err(format!("no kind of torture is called {value}"));
                    }
                }
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        Ok(long)
    }

    /// One kind after the other, each until it has had its cycles or its share of the minutes.
    fn run(&self) -> ExitCode {
        let mut account = Account::default();
        for &&(name, fault, at_once, _) in &self.kinds {
            let begin = Instant::now();
            let share = self.minutes.map(|m| Duration::from_secs(m * 60) / self.kinds.len() as u32);
            let cycles = self.cycles.unwrap_or(if share.is_some() { u64::MAX } else { at_once });
            let (mut done, mut seed) = (0, self.seed);
            while done < cycles && share.is_none_or(|share| begin.elapsed() < share) {
                let left = share.map_or(SOAK, |share| share.saturating_sub(begin.elapsed()));
                let turn = Turn {
                    seed,
                    cycles: at_once.min(cycles - done),
                    lasting: SOAK.min(left),
                    limit: Duration::from_secs(4 * 3600),
                    evidence: evidence(name, seed),
                };
                suffered(name, fault, &turn, &mut account);
                done += turn.cycles;
                seed += 1;
            }
        }
        println!("\n{account}");
        if account.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Runs a turn, and goes on if it fails.
fn suffered(name: &str, fault: Fault, turn: &Turn, account: &mut Account) {
    let outcome = catch_unwind(AssertUnwindSafe(|| fault(turn, account)));
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)");
        account.fail(text);
        println!("{name} seed {}: FAILED: {}", turn.seed, checks::shortened(text));
        println!(
            "again: cargo xtask torture --kind {name} --seed {} --cycles {}",
            turn.seed, turn.cycles
        );
    }
}
