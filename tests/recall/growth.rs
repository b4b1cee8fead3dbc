//! Indexes that were made before their rows, or for other rows: after VACUUM they find as much as fresh ones, with as many lists.

use checks::Database;
use gauge::truth::Truth;
use gauge::vectors::{Dataset, Metric, Vectors};
use postgres::Client;

use super::{Case, K, exact_with_every_list, full, load, nlist, recall, run};

/// How far below the fresh index is a failure: two trainings differ by chance.
const SLACK: f64 = 0.015;
const NPROBES: [u32; 3] = [4, 16, 64];
const OPTIONS: [&str; 3] = ["code = flat", "code = pqfs", "code = rabitq"];

/// The order in which rows come.
#[derive(Debug, Clone, Copy)]
enum Order {
    AsTheyAre,
    /// By the first component, so that the first rows are unlike the last.
    Sorted,
}

fn set() -> Option<Dataset> {
    let large = Case { set: "minilm-100k", metric: Metric::Cosine, rows: 100_000, queries: 300 };
    if full() { load(&large) } else { Some(checks::dictionary().cut(20_000, 200)) }
}

/// The set with its rows in this order.
fn in_order(set: &Dataset, order: Order) -> Dataset {
    let mut rows: Vec<&[f32]> = set.base.rows().collect();
    if let Order::Sorted = order {
        rows.sort_by(|a, b| a[0].total_cmp(&b[0]));
    }
    let base = Vectors::new(set.base.dims(), rows.concat()).unwrap();
    let (name, queries) = (set.name.clone(), set.queries.clone());
    Dataset { name, base, queries, metric: set.metric, given: None }
}

fn options_of(options: &str, set: &Dataset) -> String {
    match options {
        "code = pqfs" => format!("{options}, m = {}", set.base.dims() / 4),
        _ => options.to_owned(),
    }
}

fn recalls(client: &mut Client, set: &Dataset, truth: &Truth) -> Vec<f64> {
    let n = set.queries.len();
    NPROBES.iter().map(|nprobe| recall(client, set, truth, *nprobe, n)).collect()
}

/// An index on an empty table, into which rows come in parts.
fn grown(order: Order) {
    let Some(set) = set() else { return };
    let set = in_order(&set, order);
    let truth = Truth::compute(&set, K, 2);
    for options in OPTIONS {
        let db = Database::new(&format!("grown_{order:?}_{}", &options[7..]).to_lowercase());
        let mut client = db.connect();
        let (class, dims) = (set.metric.opclass(), set.base.dims());
        let with = options_of(options, &set);
        run(
            &mut client,
            &format!(
                "SET maintenance_work_mem = '512MB';
                 CREATE TABLE t (id int, v vector({dims})) WITH (autovacuum_enabled = off);
                 CREATE INDEX t_v ON t USING faissivf (v {class}) WITH ({with})"
            ),
        );
        let parts = [1000, 6000, set.base.len() / 2, set.base.len()];
        let mut n = 0;
        for end in parts {
            let part = set.base.first(end).as_flat().to_vec();
            checks::add(&mut client, "t", &Vectors::new(dims, part).unwrap(), n).unwrap();
            n = end;
        }
        assert!(nlist(&mut client) > 1, "no insert has trained it");
        run(&mut client, "VACUUM ANALYZE t");
        let lists = nlist(&mut client);
        let ours = recalls(&mut client, &set, &truth);
        exact_with_every_list_if_flat(&mut client, &set, &truth, options);
        run(&mut client, "REINDEX INDEX t_v");
        assert_eq!(lists, nlist(&mut client), "{options}");
        let fresh = recalls(&mut client, &set, &truth);
        eprintln!("{order:?}, {options}: grown {ours:.3?}, fresh {fresh:.3?} at {NPROBES:?}");
        let pairs = ours.iter().zip(&fresh);
        assert!(pairs.clone().all(|(ours, fresh)| *ours >= fresh - SLACK), "{options}");
    }
}

fn exact_with_every_list_if_flat(client: &mut Client, set: &Dataset, truth: &Truth, options: &str) {
    if options == "code = flat" {
        let lists = nlist(client);
        exact_with_every_list(client, set, truth, lists);
    }
}

#[test]
fn grown_from_an_empty_table() {
    grown(Order::AsTheyAre);
}

#[test]
fn grown_from_an_empty_table_by_sorted_rows() {
    grown(Order::Sorted);
}

/// Rows of one half of the space leave round by round, and others from the other half come.
#[test]
fn drifting() {
    let Some(set) = set() else { return };
    let sorted = in_order(&set, Order::Sorted);
    let dims = sorted.base.dims();
    let half = sorted.base.len() / 2;
    for options in ["code = flat", "code = rabitq"] {
        let db = Database::new(&format!("drifting_{}", &options[7..]));
        let mut client = db.connect();
        let first = sorted.base.first(half).as_flat().to_vec();
        checks::load(&mut client, "t", &Vectors::new(dims, first).unwrap());
        let class = sorted.metric.opclass();
        run(
            &mut client,
            &format!(
                "ALTER TABLE t SET (autovacuum_enabled = off);
                 CREATE INDEX t_v ON t USING faissivf (v {class}) WITH ({options})"
            ),
        );
        let part = half * 3 / 10;
        for round in 0..3 {
            let (from, until) = (round * part, (round + 1) * part);
            run(&mut client, &format!("DELETE FROM t WHERE id >= {from} AND id < {until}"));
            let end = sorted.base.first(half + until).as_flat().to_vec();
            let new = Vectors::new(dims, end).unwrap();
            checks::add(&mut client, "t", &new, half + from).unwrap();
            run(&mut client, "VACUUM ANALYZE t");
            run(
                &mut client,
                &format!("CREATE INDEX fresh ON t USING faissivf (v {class}) WITH ({options})"),
            );
            let [ours, fresh] = ["t_v", "fresh"].map(|index| own_recalls(&mut client, index));
            run(&mut client, "DROP INDEX fresh");
            eprintln!("round {round}, {options}: {ours:.3?}, fresh {fresh:.3?} at {NPROBES:?}");
            let pairs = ours.iter().zip(&fresh);
            assert!(pairs.clone().all(|(ours, fresh)| *ours >= fresh - 2.0 * SLACK), "{options}");
        }
    }
}

/// By rows of the table as queries.
fn own_recalls(client: &mut Client, index: &str) -> Vec<f64> {
    let sql = format!("SELECT recall FROM faiss.recall('{index}')");
    let recall = |nprobe: &u32| {
        run(client, &format!("SET faiss.nprobe = {nprobe}"));
        client.query_one(&sql, &[]).unwrap().get(0)
    };
    NPROBES.iter().map(recall).collect()
}
