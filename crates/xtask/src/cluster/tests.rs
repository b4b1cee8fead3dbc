//! A real server, taken through everything that [`Cluster`] can do to it.

use super::*;

fn pg() -> PgConfig {
    PgConfig::locate(None).unwrap()
}

fn count(cluster: &Cluster) -> i64 {
    let mut client = cluster.connect("postgres").unwrap();
    client.query_one("SELECT count(*) FROM t", &[]).unwrap().get(0)
}

#[test]
fn rows_survive_a_crash_and_reach_a_standby() {
    let mut cluster = Cluster::new(&pg()).unwrap();
    let dir = cluster.dir().to_owned();
    let mut client = cluster.connect("postgres").unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT generate_series(1, 1000)").unwrap();
    // Commits are asynchronous here; a synchronous one carries everything before it.
    client.batch_execute("SET synchronous_commit = on; INSERT INTO t VALUES (0)").unwrap();
    // As a server leaves it that is killed while it starts.
    fs::write(cluster.socket_dir().join(format!(".s.PGSQL.{PORT}.lock")), "").unwrap();
    cluster.crash().unwrap();
    assert!(client.batch_execute("SELECT 1").is_err());
    cluster.start().unwrap();
    assert_eq!(count(&cluster), 1001);
    assert!(cluster.log_tail(1000).contains("automatic recovery in progress"));

    let standby = cluster.standby().unwrap();
    let mut client = cluster.connect("postgres").unwrap();
    client.batch_execute("INSERT INTO t SELECT generate_series(1, 99)").unwrap();
    cluster.wait_for_replay(&standby).unwrap();
    assert_eq!(count(&standby), 1100);

    drop(standby);
    drop(cluster);
    assert!(!dir.exists());
}

#[test]
fn a_killed_backend_brings_the_server_back() {
    let mut cluster = Cluster::new(&pg()).unwrap();
    let mut client = cluster.connect("postgres").unwrap();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    cluster.kill_backend(pid).unwrap();
    assert!(client.batch_execute("SELECT 1").is_err());
    cluster.set("work_mem", "1MB").unwrap();
    cluster.restart().unwrap();
    let mut client = cluster.connect("postgres").unwrap();
    let value: String = client.query_one("SHOW work_mem", &[]).unwrap().get(0);
    assert_eq!(value, "1MB");
}

#[test]
fn a_kept_directory_is_started_again() {
    let home = tempfile::Builder::new().prefix("pgfaiss-kept-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let dir = home.path().join("cluster");
    let start = || Cluster::builder(&pg()).dir(&dir).set("work_mem", "2MB").start().unwrap();
    start().connect("postgres").unwrap().batch_execute("CREATE TABLE t (a int)").unwrap();
    assert_eq!(count(&start()), 0);
}
