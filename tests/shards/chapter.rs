//! The chapter *Several servers* of the manual, block by block, on the servers that it names. The first line of a block says where
//! it is typed, if not on the coordinator. `UPDATE_EXPECT=1` writes the answers into the page.

use std::io::Write;
use std::process::Stdio;

use xtask::cluster::{Cluster, Shutdown};
use xtask::markdown::Page;
use xtask::markdown::examples::{self, Example};

const PAGE: &str = "docs/several-servers.md";
/// What the chapter calls its database.
const DATABASE: &str = "postgres";

struct Stage {
    coordinator: Cluster,
    shards: Vec<Cluster>,
}

impl Stage {
    fn start() -> Self {
        let start = || checks::cluster().start().unwrap_or_else(|e| panic!("{e:#}"));
        Self { coordinator: start(), shards: (0..3).map(|_| start()).collect() }
    }

    /// What psql shows for a block. On shards only what they complain of counts.
    fn perform(&mut self, sql: &str) -> String {
        // The names of the page's hosts stand for the places of the servers' sockets.
        let mut text = sql.to_owned();
        for (i, shard) in self.shards.iter().enumerate() {
            let host = shard.socket_dir().display();
            text = text.replace(&format!("host 'shard{}'", i + 1), &format!("host '{host}'"));
        }
        match sql.lines().next() {
            Some("-- on each shard") => {
                let said: Vec<String> = self.shards.iter().map(|s| told(s, &text)).collect();
                assert!(said.windows(2).all(|two| two[0] == two[1]), "{said:?}");
                said[0].clone()
            }
            Some("-- while shard3 is down") => {
                self.shards[2].stop(Shutdown::Immediate).unwrap();
                let said = told(&self.coordinator, &text);
                self.shards[2].start().unwrap();
                // Where a socket lies is not the page's business.
                said.replace(&self.shards[2].socket_dir().display().to_string(), "/var/run")
            }
            _ => told(&self.coordinator, &text),
        }
    }
}

fn told(cluster: &Cluster, sql: &str) -> String {
    let mut psql = cluster.psql(DATABASE);
    psql.args(["-q", "-P", "pager=off", "-v", "SHOW_CONTEXT=never"])
        .env("PGCLIENTENCODING", "UTF8");
    psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = psql.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(sql.as_bytes()).unwrap();
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    // Complaints first: the order of two pipes is nobody's.
    let said = [out.stderr, out.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let lines: Vec<&str> = said.iter().flat_map(|s| s.lines()).map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_matches('\n'))
}

#[test]
fn the_chapter_is_true() {
    let page = Page::read(PAGE).unwrap_or_else(|e| panic!("{e:#}"));
    let mut examples = examples::of(&page).unwrap();
    let mut stage = Stage::start();
    let mut outputs = Vec::new();
    let mut complaints = Vec::new();
    for (i, example) in examples.iter_mut().enumerate() {
        let actual = stage.perform(&example.sql);
        example.fails = is_to_fail(example);
        complaints.extend(examples::complaint(example, &actual));
        outputs.push((i, actual));
    }
    assert!(outputs.len() >= 15, "{} blocks were run", outputs.len());
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|v| v == "1") {
        // What fails although the page shows no error is not to be written down as if it were meant.
        complaints.retain(|complaint| complaint.contains(": it fails"));
        let text = examples::updated(&page, &examples, &outputs);
        std::fs::write(xtask::build::repository().join(PAGE), text).unwrap();
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A block that shows an error is to end in one.
fn is_to_fail(example: &Example) -> bool {
    example.shown.as_ref().is_some_and(|shown| shown.text.lines().any(|l| l.starts_with("ERROR:")))
}
