//! One run: data sets and sizes one after the other; for each, all systems are built, swept in
//! turns, and then asked what writing to them costs.

use super::arena::Arena;
use super::memory::{Ground, MemorySubject};
use super::record::{self, Record};
use super::sql::{BuildLimits, SqlSubject};
use super::sweep::{self, Limits, Measured};
use super::{Options, cold, input, peers, procfs, report, rows_by_dims, systems, writes};
use crate::build::{Flavor, target_dir};
use crate::pg::PgConfig;
use crate::{install, servers};
use anyhow::{Context, Result, ensure};
use gauge::kernels::{self, Measurement};
use gauge::synthetic::{self, Recipe};
use gauge::truth::Truth;
use gauge::vectors::{Dataset, Metric};
use std::fs::File;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Measures what the options ask for, in a server that they name or that is found, and writes the
/// report. Returns the path of the JSON lines; the report lies beside it.
pub fn run(options: &Options) -> Result<PathBuf> {
    if options.kernels {
        return measure(options, None);
    }
    let pg = match (options.peers, &options.pg_config) {
        (Some(wheel), _) => {
            let pg = peers::server(wheel)?;
            if !options.no_build {
                install::build_and_install(&pg, Flavor::Release)?;
            }
            pg
        }
        (None, Some(program)) if options.no_build => PgConfig::read(program)?,
        (None, program) => {
            let pg = PgConfig::locate(program.as_deref())?;
            if options.no_build { pg } else { servers::with_extension(&pg, Flavor::Release)? }
        }
    };
    measure(options, Some(&pg))
}

/// As `run`, in the given server; without one, the kernels alone.
pub fn measure(options: &Options, pg: Option<&PgConfig>) -> Result<PathBuf> {
    let options = &if options.smoke { tiny(options) } else { options.clone() };
    let dir = options.out.clone().unwrap_or_else(|| target_dir().join("bench"));
    std::fs::create_dir_all(&dir)?;
    let path = dir.join(format!("bench-{}.jsonl", unix_time()));
    let mut log = Log { file: File::create(&path)?, records: Vec::new(), start: Instant::now() };
    if options.kernels || options.smoke {
        kernels::measure(options.smoke, &mut |m| match m {
            Measurement::Bandwidth(gb_per_s) => log.emit(Record::Bandwidth { gb_per_s }),
            Measurement::Kernel(kernel) => log.emit(Record::Kernel(kernel)),
        })?;
    }
    if let Some(pg) = pg {
        for whole in datasets(options)? {
            all_scales(options, pg, &whole, &mut log)?;
        }
    }
    report::write(&log.records, &path)?;
    Ok(path)
}

/// The options of a smoke run: everything is entered, nothing is large.
fn tiny(options: &Options) -> Options {
    Options {
        synthetic: Some("1200x16".into()),
        clusters: 40,
        latent: 6,
        scale: vec![600, 1200],
        queries: 12,
        rounds: 1,
        pass_seconds: 0.05,
        write_seconds: 0.02,
        ..options.clone()
    }
}

/// Results on their way to the file and the report, each with a line on the terminal.
struct Log {
    file: File,
    records: Vec<Record>,
    start: Instant,
}

impl Log {
    fn emit(&mut self, record: Record) -> Result<()> {
        record::append(&mut self.file, &record)?;
        if let Some(line) = report::one_line(&record) {
            self.say(&line);
        }
        self.records.push(record);
        Ok(())
    }

    fn say(&self, line: &str) {
        println!("[{:6.1} s] {line}", self.start.elapsed().as_secs_f64());
    }
}

fn all_scales(options: &Options, pg: &PgConfig, whole: &Dataset, log: &mut Log) -> Result<()> {
    let mut scales = options.scale.clone();
    scales.retain(|&rows| rows <= whole.base.len());
    if scales.is_empty() {
        scales.push(whole.base.len());
    }
    for rows in scales {
        one_set(options, pg, &whole.cut(rows, options.queries), log)?;
    }
    Ok(())
}

fn datasets(options: &Options) -> Result<Vec<Dataset>> {
    let folder = std::env::var_os("PGFAISS_DATA").map(PathBuf::from);
    let mut sets = Vec::new();
    for name in &options.data {
        sets.push(input::load(name, folder.as_deref(), options.metric)?);
    }
    if let Some(text) = &options.synthetic {
        let (rows, dims) = rows_by_dims(text)?;
        let Options { queries, latent, clusters, seed, .. } = *options;
        let recipe = Recipe { rows, queries, dims, latent, clusters, seed };
        sets.push(synthetic::generate(&recipe, options.metric.unwrap_or(Metric::L2))?);
    }
    ensure!(!sets.is_empty(), "give --data, --synthetic or --smoke");
    Ok(sets)
}

fn one_set(options: &Options, pg: &PgConfig, set: &Dataset, log: &mut Log) -> Result<()> {
    log.say(&format!("{}: {} rows of {}", set.name, set.base.len(), set.base.dims()));
    let (machine, cores, load) = procfs::machine();
    let mut truth = Truth::compute(set, options.k.first().copied().unwrap_or(10), cores);
    let agreement = match &set.given {
        Some(given) => Some(truth.agreement(set, given)?),
        None => None,
    };
    let wanted: Vec<_> =
        systems::SQL.iter().filter(|s| systems::wanted(&options.systems, s.name)).collect();
    let mut arena = Arena::start(pg, set, wanted.len())?;
    let server = arena.describe()?;
    let k = truth.k;
    log.emit(Record::Run { unix_time: unix_time(), machine, cores, load, server, k })?;
    log.emit(dataset_of(set, agreement))?;
    ensure!(
        agreement.is_none_or(|a| a > 0.999),
        "the ground truth that came with {} is not that of its vectors under this metric",
        set.name
    );
    let build_limits = BuildLimits { seconds: options.build_seconds, k };
    let sql = build_sql(&arena, set, &wanted, build_limits, log)?;
    let mut memory = if options.no_faiss { Vec::new() } else { build_memory(options, set, log)? };
    let mut sql = sql;
    let limits =
        Limits { k, seconds: options.pass_seconds, least: 10, rounds: options.rounds.max(1) };
    sweep_all(&mut sql, &mut memory, set, &truth, limits, log)?;
    for &k in options.k.iter().skip(1) {
        // A data set of its own in the report: no figure at one k is to be compared with one at another by mistake.
        let again = Dataset { name: format!("{} at k = {k}", set.name), ..set.clone() };
        truth = Truth::compute(&again, k, cores);
        log.emit(dataset_of(&again, None))?;
        for subject in &mut sql {
            subject.reconnect(&arena.cluster, truth.k)?;
        }
        let limits = Limits { k: truth.k, ..limits };
        sweep_all(&mut sql, &mut memory, &again, &truth, limits, log)?;
    }
    cold::measure(&mut arena.cluster, &mut sql, set, k, &mut |r| log.emit(r))?;
    if options.write_seconds > 0.0 {
        for subject in &sql {
            let seconds = options.write_seconds;
            writes::measure(&arena.cluster, subject, &set.base, seconds, &mut |r| log.emit(r))
                .with_context(|| subject.of.system.clone())?;
        }
    }
    Ok(())
}

fn dataset_of(set: &Dataset, agreement: Option<f64>) -> Record {
    Record::Dataset {
        dataset: set.name.clone(),
        rows: set.base.len(),
        dims: set.base.dims(),
        queries: set.queries.len(),
        metric: set.metric,
        agreement,
    }
}

fn build_sql(
    arena: &Arena,
    set: &Dataset,
    wanted: &[&systems::SqlSystem],
    limits: BuildLimits,
    log: &mut Log,
) -> Result<Vec<SqlSubject>> {
    let mut subjects = Vec::new();
    for (number, system) in wanted.iter().enumerate() {
        let built = arena.database(system).and_then(|database| {
            SqlSubject::build(&arena.cluster, &database, set, system, number, limits)
                .map_err(|e| format!("not built: {e:#}"))
        });
        match built {
            Ok((subject, build)) => {
                if let Some(build) = build {
                    log.emit(Record::Build(build))?;
                }
                subjects.push(subject);
            }
            Err(reason) => log.emit(absent(set, system.name, reason))?,
        }
    }
    Ok(subjects)
}

fn build_memory(options: &Options, set: &Dataset, log: &mut Log) -> Result<Vec<MemorySubject>> {
    let wanted: Vec<_> =
        systems::MEMORY.iter().filter(|s| systems::wanted(&options.systems, s.name)).collect();
    let mut subjects = Vec::new();
    if wanted.is_empty() {
        return Ok(subjects);
    }
    let ground = match Ground::prepare(set) {
        Ok(ground) => ground,
        Err(error) => {
            log.emit(absent(set, "FAISS", format!("not installed: {error:#}")))?;
            return Ok(subjects);
        }
    };
    for system in wanted {
        match MemorySubject::build(&ground, set, system) {
            Ok((subject, build)) => {
                log.emit(Record::Build(build))?;
                subjects.push(subject);
            }
            Err(error) => log.emit(absent(set, system.name, format!("not built: {error:#}")))?,
        }
    }
    Ok(subjects)
}

/// Sweeps SQL and memory subjects together.
fn sweep_all(
    sql: &mut [SqlSubject],
    memory: &mut [MemorySubject],
    set: &Dataset,
    truth: &Truth,
    limits: Limits,
    log: &mut Log,
) -> Result<()> {
    let mut all: Vec<&mut dyn Measured> = Vec::new();
    all.extend(sql.iter_mut().map(|s| s as &mut dyn Measured));
    all.extend(memory.iter_mut().map(|s| s as &mut dyn Measured));
    sweep::run(&mut all, set, truth, limits, &mut |r| log.emit(r))
}

fn absent(set: &Dataset, system: &str, reason: String) -> Record {
    Record::Absent { dataset: set.name.clone(), system: system.to_owned(), reason }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
