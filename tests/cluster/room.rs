//! Where there is no more room: a full disk, temp_file_limit, the least memory there can be. A statement fails whole, nothing
//! is lost, and the table goes on when there is room again.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use checks::kinds::{EACH, Kind};
use checks::watch::assert_never_crashed;
use checks::{create_database, describe, workload};
use postgres::Client;
use xtask::cluster::Cluster;

const DATABASE: &str = "room";

/// A file system of a few megabytes with a tablespace in it.
struct SmallDisk {
    dir: PathBuf,
}

impl SmallDisk {
    /// None where this user may not mount one.
    fn mount(cluster: &Cluster, megabytes: u32) -> Option<Self> {
        let dir = cluster.dir().join("small");
        fs::create_dir_all(&dir).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(&dir);
        if !mount.output().is_ok_and(|out| out.status.success()) {
            eprintln!("passed over: a file system of {megabytes} MB cannot be mounted here");
            return None;
        }
        let disk = Self { dir };
        let space = disk.dir.join("space");
        fs::create_dir(&space).unwrap();
        cluster.account().own(&space).unwrap();
        Some(disk)
    }

    /// Takes all that is left of it.
    fn fill(&self) {
        let mut file = File::create(self.dir.join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.dir.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server may still be there.
        let _ = Command::new("umount").arg("-l").arg(&self.dir).status();
    }
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

fn assert_refused(client: &mut Client, statement: &str, code: &str) {
    match client.batch_execute(statement) {
        Ok(()) => panic!("{statement}: there was room"),
        Err(e) => {
            assert_eq!(e.code().map(|c| c.code()), Some(code), "{statement}: {}", describe(&e))
        }
    }
}

/// A cluster with the function `made`.
fn cluster() -> (Cluster, Client, Vec<String>) {
    let cluster = checks::cluster().start().unwrap();
    create_database(&cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    workload::install(&mut client);
    let queries = workload::queries(&mut client, Kind::DIMS, 2);
    (cluster, client, queries)
}

#[test]
fn a_full_disk() {
    let (cluster, mut client, queries) = cluster();
    let Some(disk) = SmallDisk::mount(&cluster, 8) else { return };
    let space = disk.dir.join("space");
    run(&mut client, &format!("CREATE TABLESPACE small LOCATION '{}'", space.display()));
    for kind in EACH {
        kind.create_table(&mut client, 4000);
        fails_and_goes_on(&mut client, &disk, &kind, &queries);
        run(&mut client, &format!("DROP TABLE {}", kind.name));
    }
    run(&mut client, "DROP TABLESPACE small");
    assert_never_crashed(&cluster);
}

fn fails_and_goes_on(client: &mut Client, disk: &SmallDisk, kind: &Kind, queries: &[String]) {
    let (name, create) = (kind.name, kind.create_index(" TABLESPACE small"));
    disk.fill();
    assert_refused(client, &create, "53100");
    disk.make_room();
    // What the failed build had taken was given back.
    run(client, &create);
    disk.fill();
    let insert = |first: i64| {
        format!(
            "INSERT INTO {name} SELECT i, made(i, 16) FROM generate_series({first}, {}) i",
            first + 499
        )
    };
    // Some rows find room in pages there are.
    let refused = (0..60).find_map(|i| client.batch_execute(&insert(10_000 + 500 * i)).err());
    let refused = refused.unwrap_or_else(|| panic!("{name}: there was room for 30,000 rows"));
    assert_eq!(refused.code().map(|c| c.code()), Some("53100"), "{name}: {}", describe(&refused));
    kind.assert_fine(client, queries);
    assert_refused(client, &format!("REINDEX INDEX {name}_v"), "53100");
    run(client, &format!("DELETE FROM {name} WHERE id % 3 = 0"));
    run(client, &format!("VACUUM {name}"));
    kind.assert_fine(client, queries);
    // VACUUM made some.
    run(client, &format!("INSERT INTO {name} SELECT id, v FROM {name} LIMIT 5"));
    kind.assert_fine(client, queries);
    disk.make_room();
    run(client, &insert(90_000));
    kind.assert_fine(client, queries);
    run(client, &format!("REINDEX INDEX {name}_v"));
    kind.assert_fine(client, queries);
}

/// 1 MB of maintenance_work_mem and 64 kB of work_mem are the least there can be; the files of a build count against
/// temp_file_limit.
#[test]
fn the_least_memory() {
    let (cluster, mut client, queries) = cluster();
    let batch = format!("ARRAY[{}]", queries.join(","));
    for kind in EACH {
        let name = kind.name;
        kind.create_table(&mut client, 12_000);
        run(&mut client, "SET maintenance_work_mem = '1MB'; SET work_mem = '64kB'");
        run(&mut client, "SET temp_file_limit = '64kB'");
        let outcome = client.batch_execute(&kind.create_index(""));
        if let Err(e) = outcome {
            assert_eq!(e.code().map(|c| c.code()), Some("53400"), "{name}: {}", describe(&e));
            run(&mut client, "RESET temp_file_limit");
            run(&mut client, &kind.create_index(""));
        }
        run(&mut client, "RESET temp_file_limit");
        run(&mut client, &format!("INSERT INTO {name} SELECT id + 20000, v FROM {name} LIMIT 500"));
        run(&mut client, &format!("DELETE FROM {name} WHERE id % 5 = 0"));
        run(&mut client, &format!("VACUUM {name}"));
        kind.assert_fine(&mut client, &queries);
        let search =
            format!("SELECT tid::text, distance FROM faiss.search('{name}_v', {batch}, 2000)");
        let answers = |client: &mut Client, memory: &str| -> Vec<(String, f64)> {
            run(client, &format!("SET work_mem = '{memory}'"));
            let rows = client.query(&search, &[]);
            let rows = rows.unwrap_or_else(|e| panic!("{name}: {}", describe(&e)));
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        };
        let (little, much) = (answers(&mut client, "64kB"), answers(&mut client, "64MB"));
        assert!(!little.is_empty() && little == much, "{name}: other rows in 64 kB");
        run(&mut client, &format!("SELECT FROM faiss.recall('{name}_v', queries => 20)"));
        run(&mut client, &format!("REINDEX INDEX {name}_v"));
        kind.assert_fine(&mut client, &queries);
        run(&mut client, &format!("DROP TABLE {name}"));
    }
    assert_never_crashed(&cluster);
}

/// As many sessions as the server takes, all of them searching; one more is refused by the server, and nobody else notices.
#[test]
fn as_many_scans_as_connections() {
    let (cluster, mut client, queries) = cluster();
    for kind in EACH {
        kind.create_table(&mut client, 2000);
        run(&mut client, &kind.create_index(""));
    }
    let mut sessions = vec![client];
    while let Ok(session) = cluster.connect(DATABASE) {
        sessions.push(session);
        assert!(sessions.len() < 100, "max_connections does not count");
    }
    assert!(sessions.len() > 30, "{} sessions", sessions.len());
    std::thread::scope(|scope| {
        for (i, client) in sessions.iter_mut().enumerate() {
            let queries = &queries;
            scope.spawn(move || {
                for kind in EACH.iter().cycle().skip(i).take(EACH.len()) {
                    kind.indexed().assert_exact(client, queries);
                }
            });
        }
    });
    assert_never_crashed(&cluster);
}
