//! What an index costs those who write: inserts a row a transaction and by COPY, with one client
//! and with four, and VACUUM after a tenth of the rows is gone. The plain table without an index is
//! the cost of the heap alone.

use super::load::{self, Encoded};
use super::procfs;
use super::record::{Insert, Record};
use super::sql::{SqlSubject, backend_pid, index_bytes, wal_bytes};
use crate::cluster::Cluster;
use anyhow::{Context, Result, bail};
use gauge::synthetic::stream;
use gauge::vectors::Vectors;
use postgres::Client;
use std::time::{Duration, Instant};

const COPY_ROWS: usize = 50;
const CLIENTS: [usize; 2] = [1, 4];

/// Measures all inserts into a subject's table, `seconds` each, then VACUUM.
pub fn measure(
    cluster: &Cluster,
    subject: &SqlSubject,
    base: &Vectors,
    seconds: f64,
    emit: &mut impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    let mut number = base.len();
    for how in ["insert", "copy"] {
        for clients in CLIENTS {
            let insert = inserts(cluster, subject, base, how, clients, seconds, &mut number)?;
            emit(Record::Insert(insert))?;
        }
    }
    emit(vacuum(cluster, subject)?)
}

/// A row that no other row equals: one of the base, moved a little.
fn fresh_row(base: &Vectors, number: usize) -> Vec<f32> {
    let mut rng = stream(0x5EED, 3, number);
    let like = base.row((rng.bits() % base.len() as u64) as usize);
    like.iter().map(|&x| x * (1.0 + 0.02 * rng.gaussian() as f32)).collect()
}

struct Done {
    rows: usize,
    cpu_s: f64,
}

fn inserts(
    cluster: &Cluster,
    subject: &SqlSubject,
    base: &Vectors,
    how: &str,
    clients: usize,
    seconds: f64,
    number: &mut usize,
) -> Result<Insert> {
    let mut watch = cluster.connect(&subject.database)?;
    let wal = wal_bytes(&mut watch)?;
    let span = 10_000_000;
    let (table, database, first) = (&subject.table, &subject.database, *number);
    let start = Instant::now();
    let done: Vec<Result<Done>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|c| {
                let first = first + c * span;
                scope.spawn(move || {
                    let mut client = cluster.connect(database)?;
                    one_client(&mut client, table, base, how, seconds, first)
                })
            })
            .collect();
        let join = |t: std::thread::ScopedJoinHandle<'_, Result<Done>>| match t.join() {
            Ok(done) => done,
            Err(_) => bail!("a client thread failed"),
        };
        threads.into_iter().map(join).collect()
    });
    let wall = start.elapsed().as_secs_f64();
    let done = done.into_iter().collect::<Result<Vec<_>>>()?;
    *number += clients * span;
    let rows = done.iter().map(|d| d.rows).sum::<usize>().max(1) as f64;
    Ok(Insert {
        of: subject.of.clone(),
        how: how.to_owned(),
        clients,
        rows_per_s: rows / wall,
        cpu_us_per_row: done.iter().map(|d| d.cpu_s).sum::<f64>() * 1e6 / rows,
        wal_bytes_per_row: (wal_bytes(&mut watch)? - wal) as f64 / rows,
    })
}

/// Inserts rows `first..` until the time is up.
fn one_client(
    client: &mut Client,
    table: &str,
    base: &Vectors,
    how: &str,
    seconds: f64,
    first: usize,
) -> Result<Done> {
    let pid = backend_pid(client)?;
    let statement = client.prepare(&format!("INSERT INTO {table} (id, v) VALUES ($1, $2)"))?;
    let before = procfs::running_ms(pid)?;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut rows = 0;
    while Instant::now() < end {
        if how == "copy" {
            let batch: Vec<_> = (0..COPY_ROWS).map(|i| fresh_row(base, first + rows + i)).collect();
            let numbered = batch.iter().enumerate();
            let tuples = numbered.map(|(i, v)| ((first + rows + i) as i32, v.as_slice()));
            load::copy(client, table, tuples)?;
            rows += COPY_ROWS;
        } else {
            let v = fresh_row(base, first + rows);
            client.execute(&statement, &[&((first + rows) as i32), &Encoded::new(&v)])?;
            rows += 1;
        }
    }
    Ok(Done { rows, cpu_s: (procfs::running_ms(pid)? - before) / 1e3 })
}

fn vacuum(cluster: &Cluster, subject: &SqlSubject) -> Result<Record> {
    let table = &subject.table;
    let mut client = cluster.connect(&subject.database)?;
    let deleted = client.execute(&format!("DELETE FROM {table} WHERE id % 10 = 3"), &[])?;
    let pid = backend_pid(&mut client)?;
    let wal = wal_bytes(&mut client)?;
    let cpu = procfs::cpu_s(pid)?;
    let start = Instant::now();
    client
        .batch_execute(&format!("VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF, PARALLEL 0) {table}"))
        .context("VACUUM")?;
    Ok(Record::Vacuum {
        of: subject.of.clone(),
        deleted,
        wall_s: start.elapsed().as_secs_f64(),
        cpu_s: procfs::cpu_s(pid)? - cpu,
        wal_bytes: wal_bytes(&mut client)? - wal,
        bytes_after: index_bytes(&mut client, table)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_rows_differ_and_can_be_drawn_again() {
        let base = Vectors::new(3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(fresh_row(&base, 9), fresh_row(&base, 9));
        assert_ne!(fresh_row(&base, 9), fresh_row(&base, 10));
        assert!(base.rows().all(|r| r != fresh_row(&base, 9)));
    }
}
