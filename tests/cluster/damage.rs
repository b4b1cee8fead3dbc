//! Bytes of an index overwritten in its file, in pages of every kind: whatever is asked of it then
//! ends in a result or in XX002, and no server process dies.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use checks::agreement::{Indexed, assert_sound};
use checks::random::Random;
use checks::watch::{Watchdog, assert_never_crashed};
use checks::{create_database, describe, rounds, workload};
use postgres::Client;
use xtask::cluster::{Cluster, Shutdown};

const DATABASE: &str = "damage";
const VICTIMS: u64 = 160;
const PAGE: usize = 8192;
const HEADER: usize = 24;
/// The end of a page: kind, owner, version.
const OPAQUE: usize = PAGE - 16;
/// Kinds of pages as crates/pages/README.md numbers them, where vectors are stored as they are.
const FLAT_KINDS: &[u16] = &[1, 2, 3, 4, 5, 6];
/// The same where codes are stored; vectors, too, if the index itself refines.
const CODED_KINDS: &[u16] = &[1, 2, 3, 7, 8, 9, 5, 6];
/// Those of a graph.
const GRAPH_KINDS: &[u16] = &[1, 5, 9, 10, 11, 12, 13, 14];
const LAST_KIND: u16 = 14;
/// One victim in so many is a graph.
const GRAPH_EVERY: u64 = 4;

/// An index to be damaged, and what of it was.
struct Victim {
    table: String,
    dims: usize,
    operator: &'static str,
    file: PathBuf,
    damage: String,
    /// Whether PostgreSQL's own part of a page was hit: it then refuses the page itself, by XX001.
    header: bool,
}

#[test]
fn damaged_pages_end_in_a_result_or_in_xx002() {
    let mut random = Random::for_test("damaged_pages_end_in_a_result_or_in_xx002", 31);
    let mut cluster = checks::cluster().set("statement_timeout", "120s").start().unwrap();
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(900));
    create_database(&cluster, DATABASE);
    for _ in 0..rounds(1) {
        let mut client = cluster.connect(DATABASE).unwrap();
        client.batch_execute("DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s").unwrap();
        client.batch_execute("SET search_path = s, public").unwrap();
        workload::install(&mut client);
        let mut victims: Vec<Victim> =
            (0..VICTIMS).map(|no| Victim::create(&cluster, &mut client, no)).collect();
        cluster.stop(Shutdown::Fast).unwrap();
        let mut hit = BTreeMap::new();
        for (no, victim) in victims.iter_mut().enumerate() {
            let kind = victim.harm(no, &mut random);
            *hit.entry(kind).or_insert(0) += 1;
        }
        for kind in 1..=LAST_KIND {
            assert!(hit.contains_key(&kind), "no page of kind {kind} was damaged: {hit:?}");
        }
        cluster.start().unwrap();
        let mut client = cluster.connect(DATABASE).unwrap();
        client.batch_execute("SET search_path = s, public").unwrap();
        let mut noticed = 0;
        for victim in &victims {
            noticed += u32::from(victim.ask(&mut client) > 0);
            victim.repair(&mut client);
        }
        eprintln!("{noticed} of {VICTIMS} damaged indexes said so; pages hit by kind: {hit:?}");
        assert_never_crashed(&cluster);
    }
}

impl Victim {
    /// Every third has vectors over several pages, two in four hold codes, every fourth is a graph;
    /// all have places that VACUUM freed.
    fn create(cluster: &Cluster, client: &mut Client, no: u64) -> Self {
        let table = format!("d{no}");
        let is_graph = no % GRAPH_EVERY == GRAPH_EVERY - 1;
        let (dims, rows) = match no % 3 {
            2 if is_graph => (700, 1200),
            _ if is_graph => (16, 1200),
            2 => (5000, 24),
            _ => (16, 400),
        };
        let lists = |code: &str| format!("nlist = 3, code = {code}");
        let (operator, on, options) = match no % 7 {
            0 if is_graph => ("<->", "faisshnsw (v vector_l2_ops)", "m = 4, code = sq8".to_owned()),
            n if is_graph && n < 4 => ("<+>", "faisshnsw (v vector_l1_ops)", "m = 4".to_owned()),
            _ if is_graph => ("<=>", "faisshnsw (v vector_cosine_ops)", "m = 4".to_owned()),
            0 | 1 => ("<->", "faissivf (v vector_l2_ops)", lists("flat")),
            2 | 3 => {
                ("<->", "faissivf (v vector_l2_ops)", lists(&format!("pqfs, m = {}", dims / 2)))
            }
            4 => ("<=>", "faissivf (v vector_cosine_ops)", lists("flat")),
            _ => ("<#>", "faissivf (v vector_ip_ops)", lists("rabitq, refine = flat")),
        };
        let kept = rows / 4;
        let last = 500 + kept * (no % 2);
        for statement in [
            format!("CREATE TABLE {table} (id bigint, v vector({dims}))"),
            format!(
                "INSERT INTO {table} SELECT i, made(i, {dims}) FROM generate_series(1, {rows}) i"
            ),
            format!("CREATE INDEX {table}_v ON {table} USING {on} WITH ({options})"),
            // The places of the codes that were there at build are full: these get a shelf.
            format!(
                "INSERT INTO {table} SELECT i, made(i, {dims}) FROM generate_series(501, {last}) i"
            ),
            format!("DELETE FROM {table} WHERE id > {kept} AND id <= 500"),
            format!("VACUUM {table}"),
            format!(
                "INSERT INTO {table} SELECT i, made(i, {dims}) FROM generate_series(1001, 1004) i"
            ),
        ] {
            run(client, &statement);
        }
        let path = "SELECT pg_relation_filepath($1::text::regclass)";
        let path: String = client.query_one(path, &[&format!("{table}_v")]).unwrap().get(0);
        let file = cluster.data_dir().join(path);
        Self { table, dims, operator, file, damage: String::new(), header: false }
    }

    /// Damages one page; returns its kind.
    fn harm(&mut self, no: usize, random: &mut Random) -> u16 {
        let bytes = fs::read(&self.file).unwrap();
        let kinds: Vec<u16> = bytes.chunks_exact(PAGE).map(|page| u16_at(page, OPAQUE)).collect();
        let among = match kinds.contains(&3) {
            // A directory is what all but graphs have.
            true if kinds.contains(&7) => CODED_KINDS,
            true => FLAT_KINDS,
            false => GRAPH_KINDS,
        };
        let wanted = among[no / 4 % among.len()];
        let of_kind: Vec<usize> = (0..kinds.len()).filter(|&b| kinds[b] == wanted).collect();
        let all: Vec<usize> = (0..kinds.len()).collect();
        let blkno = *random.pick(if of_kind.is_empty() { &all } else { &of_kind });
        let file = OpenOptions::new().write(true).open(&self.file).unwrap();
        let mut page = bytes[blkno * PAGE..(blkno + 1) * PAGE].to_vec();
        let what = match random.below(12) {
            0 => {
                page.fill(0);
                "zeroed".to_owned()
            }
            1 => {
                page[HEADER..].fill(0xFF);
                "filled with ones".to_owned()
            }
            2 => {
                let other = *random.pick(&all);
                page.copy_from_slice(&bytes[other * PAGE..(other + 1) * PAGE]);
                format!("replaced by block {other}")
            }
            3 => {
                file.set_len((blkno * PAGE) as u64).unwrap();
                self.damage = format!("cut off at block {blkno}");
                return kinds[blkno];
            }
            4 => self.flip(&mut page, 0, HEADER, random),
            5 => self.flip(&mut page, OPAQUE, PAGE, random),
            6 => noise(&mut page, random),
            _ => self.numbers(&mut page, kinds.len(), random),
        };
        file.write_all_at(&page, (blkno * PAGE) as u64).unwrap();
        self.damage = format!("block {blkno} of kind {}: {what}", kinds[blkno]);
        kinds[blkno]
    }

    /// Random bytes at a random place between `low` and `high`.
    fn flip(&mut self, page: &mut [u8], low: usize, high: usize, random: &mut Random) -> String {
        let at = random.between(low as u64, high as u64 - 2) as usize;
        page[at] ^= random.between(1, 255) as u8;
        page[at + 1] = random.bits() as u8;
        self.header |= at < HEADER;
        format!("two bytes at {at}")
    }

    /// Numbers that are likely to lead somewhere, where numbers stand.
    fn numbers(&mut self, page: &mut [u8], n_blocks: usize, random: &mut Random) -> String {
        let mut places = Vec::new();
        for _ in 0..random.between(1, 4) {
            // Most of what a page says of itself stands at the beginning of its body.
            let within = *random.pick(&[64, 64, 512, OPAQUE - HEADER]);
            let at = HEADER + random.below(within as u64 / 2 - 1) as usize * 2;
            let blkno = random.below(n_blocks as u64) as u32;
            let any = random.bits() as u32;
            let value = *random.pick(&[0, 1, u32::MAX, u32::MAX - 1, 1 << 31, blkno, blkno, any]);
            page[at..at + 4].copy_from_slice(&value.to_le_bytes());
            places.push(format!("{value} at {at}"));
        }
        places.join(", ")
    }

    /// Everything that reads or writes the index; returns how many statements failed as they may.
    fn ask(&self, client: &mut Client) -> u32 {
        let (t, dims, operator) = (&self.table, self.dims, self.operator);
        let search = |limit: &str| {
            format!(
                "SET enable_seqscan = off; SET enable_sort = off;
                 SET faiss.nprobe = 3; SET faiss.efSearch = 400;
                 SELECT id FROM {t} ORDER BY v {operator} made(-1, {dims}) {limit}"
            )
        };
        let insert = |first: u32, last: u32| {
            format!(
                "INSERT INTO {t} SELECT i, made(i, {dims}) FROM generate_series({first}, {last}) i"
            )
        };
        let statements = [
            format!("SELECT * FROM faiss.check('{t}_v')"),
            format!("SELECT * FROM faiss.index_info('{t}_v')"),
            format!("SELECT * FROM faiss.list_info('{t}_v')"),
            search(""),
            search("LIMIT 5"),
            insert(2001, 2020),
            insert(3001, 3001),
            format!("DELETE FROM {t} WHERE id % 3 = 0"),
            format!("VACUUM {t}"),
            insert(4001, 4030),
            search(""),
            format!("SELECT * FROM faiss.check('{t}_v')"),
        ];
        statements.iter().map(|statement| self.survives(client, statement)).sum()
    }

    fn survives(&self, client: &mut Client, statement: &str) -> u32 {
        match client.simple_query(statement) {
            Ok(rows) => {
                let rows = rows.iter().any(|m| matches!(m, postgres::SimpleQueryMessage::Row(_)));
                u32::from(rows && statement.contains("faiss.check"))
            }
            Err(e) => {
                let code = e.code().map_or("", |c| c.code());
                // Where the version stands, damage looks like another version.
                let version = code == "0A000" && describe(&e).contains("format version");
                let expected = code == "XX002" || version || code == "XX001" && self.header;
                assert!(
                    expected,
                    "{}: {}\nafter {statement}: {}",
                    self.table,
                    self.damage,
                    describe(&e)
                );
                1
            }
        }
    }

    /// The hint that comes with XX002 works.
    fn repair(&self, client: &mut Client) {
        let index = format!("{}_v", self.table);
        run(client, &format!("REINDEX INDEX {index}"));
        assert_sound(client, &index);
        let queries = workload::queries(client, self.dims, 1);
        let indexed = Indexed { operator: self.operator.to_owned(), ..Indexed::l2(&self.table) };
        indexed.assert_exact(client, &queries);
    }
}

/// A few dozen random bytes.
fn noise(page: &mut [u8], random: &mut Random) -> String {
    let at = random.between(HEADER as u64, OPAQUE as u64 - 64) as usize;
    page[at..at + 64].fill_with(|| random.bits() as u8);
    format!("64 random bytes at {at}")
}

fn u16_at(page: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([page[at], page[at + 1]])
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

/// An index whose file is gone or empty is damaged like any other.
#[test]
fn an_empty_file_is_damage() {
    let mut cluster = checks::cluster().start().unwrap();
    create_database(&cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    workload::install(&mut client);
    let victim = Victim::create(&cluster, &mut client, 0);
    cluster.stop(Shutdown::Fast).unwrap();
    empty(&victim.file);
    cluster.start().unwrap();
    let mut client = cluster.connect(DATABASE).unwrap();
    assert!(victim.ask(&mut client) > 0);
    victim.repair(&mut client);
    assert_never_crashed(&cluster);
}

fn empty(path: &Path) {
    File::options().write(true).open(path).unwrap().set_len(0).unwrap();
}
