//! A table whose content is known by its keys, and sessions that change it at random.

use std::collections::BTreeMap;
use std::io::Write;

use postgres::Client;

use crate::random::Random;

/// `made(key, dims)`: the vector of a row, from hashes of its key. 50 of them are repeated, which
/// makes long vectors cheap.
const MADE: &str = "
    CREATE FUNCTION made(key bigint, dims int) RETURNS vector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT (SELECT array_agg(x[1 + j % 50] ORDER BY j) FROM generate_series(0, dims - 1) j)::vector
        FROM (SELECT array_agg((hashint8extended(key, i) % 1000)::real / 8 ORDER BY i)
              FROM generate_series(1, least(dims, 50)) i) base (x)
    $$";
/// Keys of one writer end where the next writer's begin.
const KEYS_PER_WRITER: i64 = 1_000_000;

/// Makes the function `made` in a database.
pub fn install(client: &mut Client) {
    client.batch_execute(MADE).unwrap_or_else(|e| panic!("{}", crate::describe(&e)));
}

/// Vectors near nothing in particular, as SQL literals.
pub fn queries(client: &mut Client, dims: usize, n: i64) -> Vec<String> {
    queries_of(client, "vector", dims, n)
}

/// The same, of type `element`: a batch is of its index's type.
pub fn queries_of(client: &mut Client, element: &str, dims: usize, n: i64) -> Vec<String> {
    let sql = format!(
        "SELECT quote_literal(made(-i, {dims})::text) || '::{element}' FROM generate_series(1, {n}) i"
    );
    let rows = client.query(&sql, &[]);
    rows.unwrap_or_else(|e| panic!("{}", crate::describe(&e))).iter().map(|r| r.get(0)).collect()
}

/// One statement's worth of change to the rows of one writer.
#[derive(Clone, Debug)]
enum Change {
    Insert(Vec<i64>),
    /// The same by COPY.
    Copy(Vec<i64>),
    Delete(Vec<i64>),
    Update(Vec<i64>),
}

/// One session's part of a table `(id bigint, version int, v vector)`: no other session touches its
/// rows, so it knows what must be there.
#[derive(Clone, Debug)]
pub struct Writer {
    table: String,
    dims: usize,
    first: i64,
    next: i64,
    batch: u64,
    /// So many rows one after the other have the same vector, until they are updated.
    duplicates: i64,
    /// With more rows than this, most statements delete.
    many: usize,
    random: Random,
    /// Committed rows and their versions.
    rows: BTreeMap<i64, i32>,
    /// Sent, and not known to be committed.
    pending: Option<Change>,
}

impl Writer {
    /// Writer `no` of a table; `batch` rows at most in one statement.
    pub fn new(table: &str, dims: usize, no: usize, batch: u64, random: &mut Random) -> Self {
        let first = no as i64 * KEYS_PER_WRITER;
        Self {
            table: table.to_owned(),
            dims,
            first,
            next: first,
            batch,
            duplicates: 1,
            many: usize::MAX,
            random: Random::new(random.bits()),
            rows: BTreeMap::new(),
            pending: None,
        }
    }

    /// So many rows one after the other have the same vector.
    pub fn duplicates(self, duplicates: i64) -> Self {
        Self { duplicates, ..self }
    }

    /// Keeps the number of rows near `many`.
    pub fn at_most(self, many: usize) -> Self {
        Self { many, ..self }
    }

    /// Creates the table, without rows.
    pub fn create_table(client: &mut Client, table: &str, dims: usize) {
        Self::create_table_of(client, table, &format!("vector({dims})"));
    }

    /// Creates the table, without rows, with a column of type `column`.
    pub fn create_table_of(client: &mut Client, table: &str, column: &str) {
        let sql = format!("CREATE TABLE {table} (id bigint PRIMARY KEY, version int, v {column})");
        client.batch_execute(&sql).unwrap_or_else(|e| panic!("{}", crate::describe(&e)));
    }

    /// Inserts `n` rows at once.
    pub fn insert(&mut self, client: &mut Client, n: u64) -> Result<(), postgres::Error> {
        let keys = self.next_keys(n);
        self.run(client, Change::Insert(keys))
    }

    fn next_keys(&self, n: u64) -> Vec<i64> {
        (self.next..self.next + n as i64).collect()
    }

    fn delete(&mut self, client: &mut Client, n: u64) -> Result<(), postgres::Error> {
        let keys = self.some_rows(n);
        self.run(client, Change::Delete(keys))
    }

    /// One random statement: mostly inserts, some deletes and updates, some rolled back.
    pub fn step(&mut self, client: &mut Client) -> Result<(), postgres::Error> {
        let n = self.random.between(1, self.batch);
        let too_many = self.rows.len() > self.many;
        match self.random.below(10) {
            4..=8 if too_many => self.delete(client, 2 * n),
            0 | 1 => self.delete(client, n),
            4 => {
                let keys = self.next_keys(n);
                self.run(client, Change::Copy(keys))
            }
            2 => {
                let keys = self.some_rows(n);
                self.run(client, Change::Update(keys))
            }
            3 => {
                let undone = Change::Insert(self.next_keys(n));
                client.batch_execute(&format!("BEGIN; {}; ROLLBACK", self.statement(&undone)))
            }
            _ => self.insert(client, n),
        }
    }

    fn some_rows(&mut self, n: u64) -> Vec<i64> {
        let keys: Vec<i64> = self.rows.keys().copied().collect();
        if keys.is_empty() {
            return Vec::new();
        }
        let mut chosen: Vec<i64> = (0..n).map(|_| *self.random.pick(&keys)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn run(&mut self, client: &mut Client, change: Change) -> Result<(), postgres::Error> {
        let sql = self.statement(&change);
        if let Change::Insert(keys) | Change::Copy(keys) = &change {
            self.next += keys.len() as i64;
        }
        self.pending = Some(change.clone());
        match &change {
            Change::Copy(_) => copy(client, &self.table, &sql)?,
            _ => client.batch_execute(&sql)?,
        }
        self.pending = None;
        self.rows = applied(&self.rows, &change);
        Ok(())
    }

    fn statement(&self, change: &Change) -> String {
        let Self { table, dims, duplicates, .. } = self;
        let list = |keys: &[i64]| {
            let keys: Vec<String> = keys.iter().map(i64::to_string).collect();
            format!("'{{{}}}'::bigint[]", keys.join(","))
        };
        match change {
            Change::Insert(keys) => format!(
                "INSERT INTO {table} SELECT k, 0, made(k / {duplicates} * {duplicates} * 1000, {dims}) FROM unnest({}) k",
                list(keys)
            ),
            Change::Copy(keys) => format!(
                "SELECT k || E'\\t0\\t' || made(k / {duplicates} * {duplicates} * 1000, {dims})::text FROM unnest({}) k",
                list(keys)
            ),
            Change::Delete(keys) => format!("DELETE FROM {table} WHERE id = ANY ({})", list(keys)),
            Change::Update(keys) => format!(
                "UPDATE {table} SET version = version + 1, \
                 v = made(id / {duplicates} * {duplicates} * 1000 + version + 1, {dims}) WHERE id = ANY ({})",
                list(keys)
            ),
        }
    }

    /// Fails unless the table holds exactly what was committed; what was sent last and never
    /// answered may have happened whole or not at all.
    pub fn settle(&mut self, client: &mut Client) {
        let Self { table, dims, duplicates, .. } = self;
        let sql = format!(
            "SELECT id, version, v = made(id / {duplicates} * {duplicates} * 1000 + version, {dims}) \
             FROM {table} WHERE id >= $1 AND id < $2"
        );
        let last = self.first + KEYS_PER_WRITER;
        let found = client.query(&sql, &[&self.first, &last]);
        let found = found.unwrap_or_else(|e| panic!("{}", crate::describe(&e)));
        let altered = found.iter().filter(|row| !row.get::<_, bool>(2)).count();
        assert_eq!(altered, 0, "rows of {table} hold another vector than was inserted");
        let found: BTreeMap<i64, i32> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
        let with_pending = self.pending.take().map(|change| applied(&self.rows, &change));
        assert!(
            found == self.rows || Some(&found) == with_pending.as_ref(),
            "{table} lost or invented rows of the writer at {}: {} found, {} committed",
            self.first,
            found.len(),
            self.rows.len()
        );
        self.rows = found;
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Copies the lines that `select` gives into the table.
fn copy(client: &mut Client, table: &str, select: &str) -> Result<(), postgres::Error> {
    let mut lines = String::new();
    for row in client.query(select, &[])? {
        lines.push_str(row.get(0));
        lines.push('\n');
    }
    let mut sink = client.copy_in(&format!("COPY {table} (id, version, v) FROM STDIN"))?;
    // What goes wrong on the way the end of it says.
    let _ = sink.write_all(lines.as_bytes());
    sink.finish()?;
    Ok(())
}

fn applied(rows: &BTreeMap<i64, i32>, change: &Change) -> BTreeMap<i64, i32> {
    let mut rows = rows.clone();
    match change {
        Change::Insert(keys) | Change::Copy(keys) => rows.extend(keys.iter().map(|&key| (key, 0))),
        Change::Delete(keys) => keys.iter().for_each(|key| {
            rows.remove(key);
        }),
        Change::Update(keys) => keys.iter().for_each(|key| {
            rows.entry(*key).and_modify(|version| *version += 1);
        }),
    }
    rows
}
