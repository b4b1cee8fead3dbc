//! Takes every index of a plan through its histories on every hostile table, and notes what it finds, what FAISS finds, and
//! what goes wrong on the way.

use std::collections::BTreeMap;

use postgres::{Client, Error};

use super::faiss;
use super::indexes::{self, Index, Metric};
use super::plan::Plan;
use super::report::Cell;
use super::tables::Table;
use crate::describe;

/// Rows asked for.
const K: usize = 10;
/// Beyond any of these statements on the busiest machine: an index that goes round in circles is a failure, not a wait.
const PATIENCE: &str = "SET statement_timeout = '300s'";
/// Rows of states `first` and `grown`, less some in state `churned`.
const DELETED: &str = "id % 10 IN (0, 3, 6)";

/// What FAISS finds: by state, metric and factory string.
type Theirs = BTreeMap<(String, String, String), f64>;

/// Runs the plan. `note` is told of each cell as soon as it is measured.
pub fn run(client: &mut Client, plan: &Plan, note: &mut dyn FnMut(&Cell)) -> Vec<Cell> {
    let mut cells = Vec::new();
    must(client, &format!("{PATIENCE}; {}", indexes::settings()));
    for kind in &plan.kinds {
        let queries = if kind.dims > 1_000 { plan.queries.div_ceil(4) } else { plan.queries };
        let table = kind.table(plan.seed, plan.rows, queries);
        let theirs = stage(client, plan, &table);
        for index in &plan.indexes {
            let mut trial = Trial { client, plan, table: &table, index: *index, theirs: &theirs };
            for cell in trial.run() {
                note(&cell);
                cells.push(cell);
            }
        }
    }
    cells
}

fn must(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)));
}

/// Loads rows and queries, and settles what is right under each metric and what FAISS finds.
fn stage(client: &mut Client, plan: &Plan, table: &Table) -> Theirs {
    let (element, dims, first) = (table.kind.element, table.kind.dims, table.first);
    must(client, "DROP TABLE IF EXISTS t, s, q, bound, theirs CASCADE");
    crate::load(client, "raw", &table.rows);
    crate::load(client, "asked", &table.queries);
    must(
        client,
        &format!(
            "CREATE TABLE s (id int PRIMARY KEY, v {element}({dims}));
             INSERT INTO s SELECT id, v::{element}({dims}) FROM raw;
             CREATE TABLE q AS SELECT id AS no, v::{element}({dims}) AS v FROM asked;
             DROP TABLE raw, asked;
             CREATE VIEW first AS SELECT * FROM s WHERE id < {first};
             CREATE VIEW grown AS SELECT * FROM first;
             CREATE VIEW churned AS SELECT * FROM s WHERE NOT (id < {first} AND {DELETED});
             CREATE TABLE bound (state text, metric text, no int, n bigint, d float8);
             CREATE TABLE theirs (state text, metric text, factory text, no int, id int);
             ANALYZE s"
        ),
    );
    for state in plan.states() {
        for Metric { name, operator } in &plan.metrics {
            // A distance is not a number where a vector has no direction, or infinity less infinity.
            must(
                client,
                &format!(
                    "INSERT INTO bound SELECT '{state}', '{name}', no, n,
                         CASE WHEN abs(d) = 'infinity' THEN d ELSE d + 1e-6 * abs(d) END
                     FROM (SELECT q.no, count(*) AS n, max(d) AS d
                           FROM q, LATERAL (SELECT s.v {operator} q.v AS d FROM {state} s ORDER BY 1 LIMIT {K}) near
                           WHERE d <> 'NaN' GROUP BY q.no) tenth"
                ),
            );
        }
    }
    recalls_of_faiss(client, plan, table)
}

fn recalls_of_faiss(client: &mut Client, plan: &Plan, table: &Table) -> Theirs {
    use std::io::Write;
    let found = faiss::found(plan, table);
    for refused in found.refusals.lines().filter(|line| line.ends_with(faiss::REFUSED)) {
        eprintln!("{}: FAISS: {refused}", table.kind.name);
    }
    let copied = || -> Result<(), Error> {
        let mut sink = client.copy_in("COPY theirs FROM STDIN")?;
        // What goes wrong on the way the end of it says.
        let _ = sink.write_all(found.lines.as_bytes());
        sink.finish()?;
        Ok(())
    };
    let mut copied = copied;
    copied().unwrap_or_else(|e| panic!("{}", describe(&e)));
    let mut theirs = Theirs::new();
    for Metric { name, operator } in &plan.metrics {
        let sql = format!(
            "SELECT state, factory, count(*) FILTER (WHERE s.v {operator} q.v <= bound.d)::float8
                 / (SELECT sum(n) FROM bound b WHERE b.state = f.state AND b.metric = '{name}')::float8
             FROM theirs f JOIN bound USING (state, metric, no) JOIN q USING (no) JOIN s USING (id)
             WHERE metric = '{name}' GROUP BY state, factory"
        );
        let rows = client.query(&sql, &[]).unwrap_or_else(|e| panic!("{}", describe(&e)));
        for row in rows {
            theirs.insert((row.get(0), (*name).to_owned(), row.get(1)), row.get(2));
        }
    }
    theirs
}

/// One index of each metric on one table.
struct Trial<'a> {
    client: &'a mut Client,
    plan: &'a Plan,
    table: &'a Table,
    index: Index,
    theirs: &'a Theirs,
}

impl Trial<'_> {
    fn metrics(&self) -> Vec<Metric> {
        let metrics = self.plan.metrics.iter().filter(|metric| self.index.has(**metric));
        metrics.copied().collect()
    }

    fn wants(&self, history: &str) -> bool {
        self.plan.histories.contains(&history)
    }

    fn run(&mut self) -> Vec<Cell> {
        let mut cells = Vec::new();
        if self.wants("built") {
            self.create_table();
            self.step(
                "loading",
                "INSERT INTO t SELECT * FROM first ORDER BY id; ANALYZE t",
                &mut Vec::new(),
            );
            for metric in self.metrics() {
                let mut problems = Vec::new();
                self.create_index(metric, &mut problems);
                cells.push(self.cell(metric, "built", "first", problems));
                let _ =
                    self.client.batch_execute(&format!("DROP INDEX IF EXISTS t_{}", metric.name));
            }
        }
        if self.wants("grown") || self.wants("churned") {
            self.grow(&mut cells);
        }
        cells
    }

    fn grow(&mut self, cells: &mut Vec<Cell>) {
        self.create_table();
        let mut problems = Vec::new();
        for metric in self.metrics() {
            self.create_index(metric, &mut problems);
        }
        self.step(
            "INSERT",
            "INSERT INTO t SELECT * FROM first ORDER BY id; ANALYZE t",
            &mut problems,
        );
        if self.wants("grown") {
            for metric in self.metrics() {
                cells.push(self.cell(metric, "grown", "grown", problems.clone()));
            }
        }
        if self.wants("churned") {
            let first = self.table.first;
            self.step("DELETE", &format!("DELETE FROM t WHERE {DELETED}"), &mut problems);
            self.step("VACUUM", "VACUUM t", &mut problems);
            let insert =
                format!("INSERT INTO t SELECT * FROM churned WHERE id >= {first} ORDER BY id");
            self.step("INSERT", &insert, &mut problems);
            self.step("VACUUM", "VACUUM ANALYZE t", &mut problems);
            for metric in self.metrics() {
                cells.push(self.cell(metric, "churned", "churned", problems.clone()));
            }
        }
    }

    fn create_table(&mut self) {
        let column = format!("{}({})", self.table.kind.element, self.table.kind.dims);
        let sql = format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id int, v {column})");
        must(self.client, &sql);
    }

    fn create_index(&mut self, metric: Metric, problems: &mut Vec<String>) {
        let Index { method, .. } = self.index;
        let (class, name) =
            (format!("{}_{}_ops", self.table.kind.element, metric.name), metric.name);
        let options = self.index.options(self.table.kind.dims);
        let sql = format!("CREATE INDEX t_{name} ON t USING {method} (v {class}) WITH ({options})");
        self.step(&format!("CREATE INDEX ({name})"), &sql, problems);
    }

    /// Runs statements one after the other, and notes if one fails.
    fn step(&mut self, what: &str, statements: &str, problems: &mut Vec<String>) {
        for statement in statements.split("; ") {
            if let Err(e) = self.client.batch_execute(statement) {
                problems.push(format!("{what}: {}", crate::shortened(&describe(&e))));
                return;
            }
        }
    }

    fn cell(
        &mut self,
        metric: Metric,
        history: &'static str,
        state: &str,
        problems: Vec<String>,
    ) -> Cell {
        let factory = self.index.theirs(self.table.kind.dims);
        let key = (state.to_owned(), metric.name.to_owned(), factory);
        let mut cell = Cell {
            kind: self.table.kind.name,
            index: self.index.name(),
            metric: metric.name,
            history,
            ours: None,
            theirs: self.theirs.get(&key).copied(),
            problems,
        };
        match self.recall(metric, state, &mut cell.problems) {
            // Where no row has a distance there is nothing to find.
            Ok(None) => return cell,
            Ok(recall) => cell.ours = recall,
            Err(e) => cell.problems.push(format!("search: {}", crate::shortened(&describe(&e)))),
        }
        self.inspect(&mut cell);
        cell
    }

    /// The part of the ten nearest rows that the index returns, by the operator's own distances; a row as near as the tenth
    /// counts.
    fn recall(
        &mut self,
        metric: Metric,
        state: &str,
        problems: &mut Vec<String>,
    ) -> Result<Option<f64>, Error> {
        let Metric { name, operator } = metric;
        let sql = format!(
            "SELECT count(*) FILTER (WHERE near.d <= bound.d), count(*), count(DISTINCT (q.no, near.id))
             FROM q JOIN bound ON bound.no = q.no AND bound.state = '{state}' AND bound.metric = '{name}',
                 LATERAL (SELECT id, v {operator} q.v AS d FROM t ORDER BY v {operator} q.v LIMIT {K}) near"
        );
        let mut transaction = self.client.transaction()?;
        transaction.batch_execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")?;
        let explained = transaction.query(&format!("EXPLAIN (COSTS OFF) {sql}"), &[])?;
        let scan = format!("Index Scan using t_{name}");
        if !explained.iter().any(|row| row.get::<_, &str>(0).contains(&scan)) {
            problems.push("the plan has no scan of the index".to_owned());
        }
        let row = transaction.query_one(&sql, &[])?;
        transaction.commit()?;
        let (right, all, distinct) =
            (row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2));
        let right_at_most: i64 = self.right_at_most(name, state)?;
        if all != distinct {
            problems.push(format!("{} rows came twice", all - distinct));
        }
        if all < right_at_most {
            problems.push(format!("{all} rows of {right_at_most} came"));
        }
        Ok((right_at_most > 0).then(|| right as f64 / right_at_most as f64))
    }

    fn right_at_most(&mut self, metric: &str, state: &str) -> Result<i64, Error> {
        let sql = "SELECT coalesce(sum(n), 0)::bigint FROM bound WHERE metric = $1 AND state = $2";
        Ok(self.client.query_one(sql, &[&metric, &state])?.get(0))
    }

    /// What the functions of the schema `faiss` say of the index.
    fn inspect(&mut self, cell: &mut Cell) {
        let index = format!("t_{}", cell.metric);
        let said =
            self.client.query("SELECT problem FROM faiss.check($1::text::regclass)", &[&index]);
        let said = said.map(|rows| rows.iter().map(|row| row.get(0)).collect::<Vec<String>>());
        match said {
            Ok(broken) => {
                cell.problems.extend(broken.iter().take(3).map(|what| format!("check: {what}")))
            }
            Err(e) => cell.problems.push(format!("check: {}", crate::shortened(&describe(&e)))),
        }
        for function in ["index_info", "recall"] {
            let sql = format!("SELECT * FROM faiss.{function}($1::text::regclass)");
            if let Err(e) = self.client.query(&sql, &[&index]) {
                cell.problems.push(format!("{function}: {}", crate::shortened(&describe(&e))));
            }
        }
        let sql = "SELECT retrain, advice FROM faiss.health($1::text::regclass)";
        match self.client.query_one(sql, &[&index]) {
            Ok(row) => {
                // What has just been built of these very rows needs no training; a graph never does.
                let is_new = cell.history == "built" || self.index.method == "faisshnsw";
                if is_new && row.get::<_, Option<bool>>(0) == Some(true) && !cell.is_below() {
                    cell.problems.push(format!("health: {}", row.get::<_, &str>(1)));
                }
            }
            Err(e) => cell.problems.push(format!("health: {}", crate::shortened(&describe(&e)))),
        }
    }
}
