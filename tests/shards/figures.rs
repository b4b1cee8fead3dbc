//! What a search of several servers costs: milliseconds that the client waits, and CPU time of the coordinator and of the shards.
//! `PGFAISS_FULL=1 cargo test -p checks --test shards -- what_it_costs --nocapture` measures 30,000 rows of the data set
//! minilm-100k; without it a few rows of the dictionary show that every way of asking works.

use std::path::PathBuf;
use std::time::Instant;

use gauge::vectors::Metric;
use postgres::Client;
use xtask::bench::load::Encoded;
use xtask::bench::procfs::cpu_s;

use super::servers::{Servers, connect};

/// A way of asking; `$1` is the query. The shards have their `nprobe` of their servers' options.
const SHAPES: [(&str, &str); 6] = [
    ("one server", "SELECT id, v <-> $1 FROM one ORDER BY v <-> $1 LIMIT 10"),
    ("`ORDER BY` on the table", "SELECT id, v <-> $1 FROM doc ORDER BY v <-> $1 LIMIT 10"),
    ("`faiss.shard_view`", "SELECT key, distance FROM near($1, 10)"),
    ("`dblink`, by hand", "SELECT id, distance FROM by_hand($1, 10) ORDER BY distance LIMIT 10"),
    ("`faiss.search_shards`", SEARCH),
    (CARRIED, SEARCH),
];
const SEARCH: &str = "SELECT key, distance FROM faiss.search_shards('doc', ARRAY[$1::vector], 10)";
const CARRIED: &str = "the same, with a setting to carry";

/// All queries in one statement; `$1` is an array of them.
const BATCHES: [(&str, &str); 4] = [
    (
        "one server, `faiss.search`",
        "SELECT s.query_no, t.id, s.distance FROM faiss.search('one_v', $1::vector[], 10) s JOIN one t ON t.ctid = s.tid",
    ),
    ("`faiss.search_shards`", "SELECT * FROM faiss.search_shards('doc', $1::vector[], 10)"),
    ("`dblink`, by hand", "SELECT * FROM batch_by_hand($1, 10)"),
    (
        "`faiss.shard_view`, a loop",
        "SELECT q.n, r.* FROM unnest($1::vector[]) WITH ORDINALITY q(v, n) CROSS JOIN LATERAL near(q.v, 10) r",
    ),
];

/// The least that three shards can be asked with: what is known of them is written into it.
const BY_HAND: &str = r"
CREATE FUNCTION ask_by_hand(statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
    FOREACH s IN ARRAY '{s1,s2,s3}'::text[] LOOP
        IF dblink_get_connections() IS NULL OR 'hand' || s <> ALL (dblink_get_connections()) THEN
            PERFORM dblink_connect('hand' || s, s);
        END IF;
        PERFORM dblink_send_query('hand' || s, statement);
    END LOOP;
END $$;
CREATE FUNCTION by_hand(q vector, k int) RETURNS TABLE (id bigint, distance double precision) LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
    PERFORM ask_by_hand(format('SELECT id, v OPERATOR(public.<->) %L::public.vector FROM doc ORDER BY 2 LIMIT %s', q, k));
    FOREACH s IN ARRAY '{s1,s2,s3}'::text[] LOOP
        RETURN QUERY SELECT * FROM dblink_get_result('hand' || s) AS t(i bigint, x double precision);
        PERFORM * FROM dblink_get_result('hand' || s) AS t(i bigint, x double precision);
    END LOOP;
END $$;
CREATE FUNCTION batch_by_hand(q vector[], k int) RETURNS TABLE (n int, id bigint, distance double precision) LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS merged (n int, id bigint, distance double precision) ON COMMIT DELETE ROWS;
    PERFORM ask_by_hand(format('SELECT s.query_no, t.id, s.distance FROM faiss.search(''doc_v'', %L::vector[], %s) s JOIN doc t ON t.ctid = s.tid', q, k));
    FOREACH s IN ARRAY '{s1,s2,s3}'::text[] LOOP
        INSERT INTO merged SELECT * FROM dblink_get_result('hand' || s) AS t(n int, i bigint, x double precision);
        PERFORM * FROM dblink_get_result('hand' || s) AS t(n int, i bigint, x double precision);
    END LOOP;
    RETURN QUERY SELECT m.n, m.id, m.distance FROM (
        SELECT x.*, row_number() OVER (PARTITION BY x.n ORDER BY x.distance) AS rank FROM merged x) m WHERE rank <= k ORDER BY 1, 3;
END $$";

struct Cost {
    median_ms: f64,
    here_ms: f64,
    there_ms: f64,
    rows: usize,
}

struct Meter<'a> {
    servers: &'a Servers,
    client: Client,
}

impl Meter<'_> {
    /// CPU milliseconds so far of this session, and of all sessions on the shards.
    fn cpu_ms(&mut self) -> (f64, f64) {
        let pid: i32 = self.client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let there = self.servers.shards.iter().flat_map(|shard| {
            let others = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
            let rows = connect(shard).query(others, &[]).unwrap();
            rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>()
        });
        let ms = |pid: i32| cpu_s(pid.unsigned_abs()).unwrap_or(0.0) * 1e3;
        let there = there.map(ms).sum();
        (ms(pid), there)
    }

    /// Runs a statement for each of the parameters, after a warm pass over them.
    fn measure(&mut self, sql: &str, parameters: &[&(dyn postgres::types::ToSql + Sync)]) -> Cost {
        let statement =
            self.client.prepare(sql).unwrap_or_else(|e| panic!("{sql}\n{}", checks::describe(&e)));
        let mut rows = 0;
        for parameter in parameters {
            rows += self
                .client
                .query(&statement, &[*parameter])
                .unwrap_or_else(|e| panic!("{sql}\n{}", checks::describe(&e)))
                .len();
        }
        let before = self.cpu_ms();
        let mut waits: Vec<f64> = parameters
            .iter()
            .map(|parameter| {
                let begin = Instant::now();
                self.client.query(&statement, &[*parameter]).unwrap();
                begin.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        let after = self.cpu_ms();
        waits.sort_by(f64::total_cmp);
        let each = |total: f64| total / parameters.len() as f64;
        Cost {
            median_ms: waits[waits.len() / 2],
            here_ms: each(after.0 - before.0),
            there_ms: each(after.1 - before.1),
            rows,
        }
    }
}

fn show(what: &str, cost: &Cost) {
    let Cost { median_ms, here_ms, there_ms, .. } = cost;
    println!("| {what} | {median_ms:.2} | {here_ms:.2} | {there_ms:.2} |");
}

#[test]
fn what_it_costs() {
    let is_full = std::env::var_os("PGFAISS_FULL").is_some_and(|v| v == "1");
    let (data, rows, queries, factory) = match is_full {
        true => {
            let given = std::env::var_os("PGFAISS_DATA").map(PathBuf::from);
            let dir = given.unwrap_or_else(|| xtask::build::repository().join("../shared/data"));
            let data = xtask::bench::input::load("minilm-100k", Some(&dir), Some(Metric::L2));
            (data.unwrap_or_else(|e| panic!("{e:#}")), 30_000, 200, "IVF256,Flat")
        }
        false => (checks::dictionary(), 3000, 10, "IVF32,Flat"),
    };
    let servers = Servers::start();
    servers.fill(&data.base, rows);
    servers.index(factory);
    let mut client = servers.connect();
    client.batch_execute(BY_HAND).unwrap();
    let view: String =
        client.query_one("SELECT faiss.shard_view('doc', name => 'near')", &[]).unwrap().get(0);
    client.batch_execute(&view).unwrap();
    for server in ["s1", "s2", "s3"] {
        client
            .batch_execute(&format!(
                "ALTER SERVER {server} OPTIONS (ADD options '-c faiss.nprobe=10')"
            ))
            .unwrap();
    }
    client.batch_execute("ALTER INDEX one_v SET (nprobe = 10)").unwrap();
    let mut meter = Meter { servers: &servers, client };
    let encoded: Vec<Encoded> = data.queries.rows().take(queries).map(Encoded::new).collect();
    let single: Vec<&(dyn postgres::types::ToSql + Sync)> =
        encoded.iter().map(|q| q as _).collect();
    println!("| one query | median ms | CPU here | CPU there |\n|---|---|---|---|");
    for (what, sql) in SHAPES {
        if what == CARRIED {
            meter.client.batch_execute("SET faiss.nprobe = 10").unwrap();
        }
        let cost = meter.measure(sql, &single);
        show(what, &cost);
        assert_eq!(cost.rows, queries * 10, "{what}");
    }
    meter.client.batch_execute("RESET faiss.nprobe").unwrap();
    let batch: &(dyn postgres::types::ToSql + Sync) = &encoded;
    println!("| {queries} queries at once | median ms | CPU here | CPU there |\n|---|---|---|---|");
    for (what, sql) in BATCHES {
        let cost = meter.measure(sql, &[batch; 5]);
        show(what, &cost);
        assert_eq!(cost.rows, queries * 10 * 5, "{what}");
    }
}
