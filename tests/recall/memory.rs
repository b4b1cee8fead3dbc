//! Lists that are trained in little memory, from a sample in a temporary file, find what lists trained in much memory find.

use checks::Database;
use gauge::truth::Truth;
use postgres::Client;

use super::{K, nlist, recall, run};

/// How far recall in little memory may be below that in much.
const SLACK: f64 = 0.01;
const NPROBES: [u32; 3] = [5, 10, 20];

/// Builds the index within this much memory; its recalls, and rows it was trained on.
fn built(
    client: &mut Client,
    (set, truth): (&gauge::vectors::Dataset, &Truth),
    memory: &str,
    options: &str,
) -> (Vec<f64>, u32, i64) {
    run(client, &format!("SET maintenance_work_mem = '{memory}'; DROP INDEX IF EXISTS t_v"));
    let class = set.metric.opclass();
    run(client, &format!("CREATE INDEX t_v ON t USING faissivf (v {class}) {options}"));
    let n = set.queries.len();
    let recalls: Vec<f64> =
        NPROBES.iter().map(|nprobe| recall(client, set, truth, *nprobe, n)).collect();
    let trained = "SELECT trained_rows FROM faiss.index_info('t_v')";
    let trained: i64 = client.query_one(trained, &[]).unwrap().get(0);
    let nlist = nlist(client);
    eprintln!("{memory} {options}: {nlist} lists, {trained} rows, recalls {recalls:?}");
    (recalls, nlist, trained)
}

#[test]
fn memory_little_or_much_trains_the_same_lists() {
    let set = checks::dictionary().cut(30_000, 400);
    let truth = Truth::compute(&set, K, 2);
    let db = Database::new("memory");
    let mut client = db.connect();
    checks::load(&mut client, "t", &set.base);
    run(&mut client, "VACUUM ANALYZE t");
    // 4 MB hold 2730 of these vectors. From 4096 lists on they are trained by levels in any memory.
    let coded = "WITH (code = pqfs, m = 192, refine = sq8)";
    for (options, lists) in [("", 512), (coded, 512), ("WITH (nlist = 4096)", 4096)] {
        let much = built(&mut client, (&set, &truth), "512MB", options);
        let little = built(&mut client, (&set, &truth), "4MB", options);
        assert_eq!((much.1, little.1), (lists, lists));
        assert_eq!((much.2, little.2), (30_000, 30_000));
        for (little, much) in little.0.iter().zip(&much.0) {
            assert!(*little >= much - SLACK, "recall {little} in 4 MB, {much} in 512 MB");
        }
        let broken = client.query_one("SELECT count(*) FROM faiss.check('t_v')", &[]).unwrap();
        assert_eq!(broken.get::<_, i64>(0), 0);
    }
}
