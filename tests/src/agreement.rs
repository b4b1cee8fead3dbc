//! The promise behind every other test: at `faiss.nprobe = nlist` an index returns exactly the rows
//! that a sequential scan finds, in its order.

use postgres::{Client, IsolationLevel, Transaction};

/// A table with a column `id bigint`, a vector column, and an index on that.
#[derive(Clone, Debug)]
pub struct Indexed {
    pub table: String,
    pub column: String,
    pub operator: String,
    pub index: String,
    /// Whether the index goes by lossy codes, as a graph does.
    pub is_coded: bool,
    /// Whether `id` is a filter column of the index.
    pub has_filter: bool,
}

/// Ids and distances of rows.
type Answers = Vec<(i64, f64)>;

/// Up to so many rows, and as many dead ones, a scan re-ranks all candidates of a lossy code before
/// it returns the first row. Beyond, rows that a code badly misjudged may come late.
const RERANKED: usize = 5_000;

impl Indexed {
    /// Column `v` ordered by `<->`, index `TABLE_v`.
    pub fn l2(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            column: "v".to_owned(),
            operator: "<->".to_owned(),
            index: format!("{table}_v"),
            is_coded: false,
            has_filter: false,
        }
    }

    /// The table, or the rows that satisfy a condition, as a query: `query` is an SQL expression.
    fn select(&self, query: &str, condition: &str, limit: Option<u32>) -> String {
        let Self { table, column, operator, .. } = self;
        let limit = limit.map_or_else(String::new, |k| format!(" LIMIT {k}"));
        format!(
            "SELECT id::bigint, {column} {operator} {query} FROM {table} \
             {condition} ORDER BY {column} {operator} {query}{limit}"
        )
    }

    /// Conditions on `id` that some of these rows satisfy; none where the index does not have it.
    fn conditions(&self, rows: &[(i64, f64)]) -> Vec<String> {
        let id = |at: usize| rows.get(at).map(|row| row.0);
        let (Some(a), Some(b), true) = (id(rows.len() / 3), id(0), self.has_filter) else {
            return Vec::new();
        };
        let range = format!("WHERE id BETWEEN {} AND {}", a.min(b), a.max(b));
        vec![range, format!("WHERE id IN ({a}, {b}, -1)")]
    }

    /// Asks each of `queries` (SQL expressions that the planner can fold) of the index and of the
    /// table, in one snapshot; fails if they differ.
    pub fn assert_exact(&self, client: &mut Client, queries: &[String]) {
        let differ = self.compare(client, queries).unwrap_or_else(|e| Some(crate::describe(&e)));
        if let Some(what) = differ {
            panic!("{}: {what}", self.index);
        }
    }

    /// What differs between index and table, if anything does.
    pub fn compare(
        &self,
        client: &mut Client,
        queries: &[String],
    ) -> Result<Option<String>, postgres::Error> {
        let isolation = IsolationLevel::RepeatableRead;
        let mut transaction = client.build_transaction().isolation_level(isolation).start()?;
        let differ = self.compare_in(&mut transaction, queries)?;
        if differ.is_none() {
            transaction.commit()?;
        }
        Ok(differ)
    }

    /// The same in a transaction that has one snapshot for all of its statements.
    pub fn compare_in(
        &self,
        transaction: &mut Transaction,
        queries: &[String],
    ) -> Result<Option<String>, postgres::Error> {
        use_every_list(transaction)?;
        for query in queries {
            let (all, mut what) = self.compare_one(transaction, (query, "", None))?;
            let limited = std::iter::once(String::new()).map(|all| (all, Some(10)));
            let filtered = self.conditions(&all).into_iter();
            let filtered = filtered.flat_map(|some| [(some.clone(), None), (some, Some(10))]);
            for (condition, limit) in limited.chain(filtered) {
                if what.is_none() {
                    (_, what) = self.compare_one(transaction, (query, &condition, limit))?;
                    what = what.map(|what| format!("{condition} {what}"));
                }
            }
            if let Some(what) = what {
                return Ok(Some(format!("{what}\nquery {}", crate::shortened(query))));
            }
        }
        Ok(None)
    }

    /// The rows of a query by the table, and what differs from those by the index.
    fn compare_one(
        &self,
        transaction: &mut Transaction,
        (query, condition, limit): (&str, &str, Option<u32>),
    ) -> Result<(Answers, Option<String>), postgres::Error> {
        let sql = self.select(query, condition, limit);
        let exact = scan(transaction, &sql, None)?;
        let in_order = !self.is_coded || limit.is_some() || exact.len() <= RERANKED;
        let order = if in_order { "strict_order" } else { "relaxed_order" };
        transaction.batch_execute(&format!("SET LOCAL faiss.iterative_scan = {order}"))?;
        let mut found = scan(transaction, &sql, Some(&self.index))?;
        if !in_order {
            found.sort_by(|a, b| a.1.total_cmp(&b.1));
        }
        let differ = difference(&exact, &found, limit.is_some());
        Ok((exact, differ))
    }

    /// The rows of one query as the index returns them, with every list probed.
    pub fn answers(&self, client: &mut Client, query: &str) -> Vec<(i64, f64)> {
        let answers = || -> Result<_, postgres::Error> {
            let mut transaction = client.transaction()?;
            use_every_list(&mut transaction)?;
            scan(&mut transaction, &self.select(query, "", None), Some(&self.index))
        };
        let mut answers = answers;
        answers().unwrap_or_else(|e| panic!("{}: {}", self.index, crate::describe(&e)))
    }

    /// With every list probed, or every node in sight, and many candidates a batch gives, in its statement's snapshot, the distances of a
    /// sort, each that of the row at its tid. Fails if not; nothing is said of an index that has gone meanwhile.
    pub fn assert_batch_exact(&self, client: &mut Client, queries: &[String]) {
        let Self { table, column, index, operator, .. } = self;
        let queries = queries.join(", ");
        let sql = format!(
            "WITH q AS MATERIALIZED (SELECT no, v FROM unnest(ARRAY[{queries}]) WITH ORDINALITY u(v, no)),
             found AS (
                 SELECT q.no, s.distance, t.{column} {operator} q.v AS real,
                     row_number() OVER (PARTITION BY q.no ORDER BY s.distance) AS rank
                 FROM faiss.search('{index}', ARRAY[{queries}], 10) s
                     LEFT JOIN {table} t ON t.ctid = s.tid JOIN q ON q.no = s.query_no),
             exact AS (
                 SELECT q.no, e.distance, row_number() OVER (PARTITION BY q.no ORDER BY e.distance) AS rank
                 FROM q, LATERAL (SELECT t.{column} {operator} q.v AS distance FROM {table} t ORDER BY 1 LIMIT 10) e)
             SELECT count(*) FROM found FULL JOIN exact USING (no, rank)
             WHERE found.distance IS DISTINCT FROM exact.distance OR found.distance IS DISTINCT FROM found.real"
        );
        let outcome = || -> Result<i64, postgres::Error> {
            let mut transaction = client.transaction()?;
            // As settings: an argument that the access method has no use for is an error.
            use_every_list(&mut transaction)?;
            transaction.batch_execute("SET LOCAL enable_indexscan = off")?;
            Ok(transaction.query_one(&sql, &[])?.get(0))
        };
        let mut outcome = outcome;
        match outcome() {
            Ok(differ) => assert_eq!(differ, 0, "{index}: a batch differs"),
            Err(e) if is_gone(&e) => {}
            Err(e) => panic!("{index}: {}", crate::describe(&e)),
        }
    }

    /// Fails if `faiss.check` finds anything.
    pub fn assert_sound(&self, client: &mut Client) {
        assert_sound(client, &self.index);
    }
}

/// Fails if `faiss.check` finds anything in `index`.
pub fn assert_sound(client: &mut Client, index: &str) {
    let rows = client
        .query("SELECT blkno, problem FROM faiss.check($1::text::regclass)", &[&index])
        .unwrap_or_else(|e| panic!("faiss.check: {}", crate::describe(&e)));
    let problems: Vec<String> =
        rows.iter().map(|r| format!("{}: {}", r.get::<_, i64>(0), r.get::<_, String>(1))).collect();
    assert!(problems.is_empty(), "{index} is broken:\n{}", problems.join("\n"));
}

/// REINDEX CONCURRENTLY has dropped the index that the name stood for when the statement was read, or has put another in its place and
/// waits for this transaction before it does.
pub fn is_gone(error: &postgres::Error) -> bool {
    let message = crate::describe(error);
    message.contains("relation with OID") || message.contains("_ccold\" is not valid")
}

/// The largest settings stand for all lists, for as many candidates of a lossy code as can be had, and
/// for all nodes of a graph. To ask the index for their number would name it by an OID
/// that REINDEX CONCURRENTLY may drop meanwhile.
fn use_every_list(transaction: &mut Transaction) -> Result<(), postgres::Error> {
    transaction.batch_execute(
        "SET LOCAL faiss.nprobe = 65536; SET LOCAL faiss.k_factor = 1024; \
         SET LOCAL faiss.efSearch = 65536",
    )
}

/// Runs `sql` through the index (which the plan must then show) or past it.
fn scan(
    transaction: &mut Transaction,
    sql: &str,
    index: Option<&str>,
) -> Result<Vec<(i64, f64)>, postgres::Error> {
    let (on, off) = if index.is_some() { ("on", "off") } else { ("off", "on") };
    transaction.batch_execute(&format!(
        "SET LOCAL enable_indexscan = {on}; SET LOCAL enable_seqscan = {off}; \
         SET LOCAL enable_sort = {off}; SET LOCAL enable_bitmapscan = off"
    ))?;
    if let Some(index) = index {
        let plan = plan(transaction, sql)?;
        assert!(plan.contains(&format!("Index Scan using {index}")), "the plan is\n{plan}");
    }
    let rows = transaction.query(sql, &[])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn plan(transaction: &mut Transaction, sql: &str) -> Result<String, postgres::Error> {
    let rows = transaction.query(&format!("EXPLAIN (COSTS OFF) {sql}"), &[])?;
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(lines.join("\n"))
}

/// Distances must be the same, bit for bit and in order. Rows too, but equally near ones may come
/// in any order, and with a LIMIT (`cut`) any of those at its edge.
fn difference(exact: &[(i64, f64)], found: &[(i64, f64)], cut: bool) -> Option<String> {
    if exact.len() != found.len() {
        let (mut more, mut less) = (exact.to_vec(), found.to_vec());
        more.retain(|row| !found.contains(row));
        less.retain(|row| !exact.contains(row));
        more.truncate(5);
        less.truncate(5);
        let (n, m) = (exact.len(), found.len());
        return Some(format!("{m} rows instead of {n}; missing {more:?} …, too many {less:?} …"));
    }
    let wrong = exact.iter().zip(found).position(|(a, b)| a.1.to_bits() != b.1.to_bits());
    if let Some(at) = wrong {
        return Some(format!("row {at} is {:?} instead of {:?}", found[at], exact[at]));
    }
    if cut {
        return None;
    }
    let ordered = |rows: &[(i64, f64)]| {
        let mut rows = rows.to_vec();
        rows.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        rows
    };
    let (exact, found) = (ordered(exact), ordered(found));
    let at = exact.iter().zip(&found).position(|(a, b)| a.0 != b.0)?;
    Some(format!("row {at} is {:?} instead of {:?}", found[at], exact[at]))
}
