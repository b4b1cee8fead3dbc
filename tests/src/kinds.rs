//! Indexes of several kinds on one table, each for an operator of its own, so that a query names its
//! index: vectors as they are, lossy codes with the real distances from the table and from the
//! index itself, and a graph.

use postgres::Client;

use crate::agreement::Indexed;

/// Suffix of the index's name, operator, method and operator class.
const KINDS: [(&str, &str, &str); 4] = [
    ("v", "<->", "faissivf (v vector_l2_ops)"),
    ("fs", "<=>", "faissivf (v vector_cosine_ops)"),
    ("rb", "<#>", "faissivf (v vector_ip_ops)"),
    ("g", "<+>", "faisshnsw (v vector_l1_ops)"),
];

/// The indexes of `table`: `TABLE_v`, `TABLE_fs`, `TABLE_rb` and `TABLE_g`.
pub fn of(table: &str) -> Vec<Indexed> {
    KINDS.iter().map(|(suffix, operator, _)| named(table, suffix, operator)).collect()
}

fn named(table: &str, suffix: &str, operator: &str) -> Indexed {
    Indexed {
        index: format!("{table}_{suffix}"),
        operator: operator.to_owned(),
        is_coded: suffix != "v",
        ..Indexed::l2(table)
    }
}

/// What `WITH` says of each, in the order of [`of`]. `dims` is even.
pub fn options(dims: usize, nlist: u32) -> [String; 4] {
    [
        format!("nlist = {nlist}"),
        format!("nlist = {nlist}, code = pqfs, m = {}", dims / 2),
        format!("nlist = {nlist}, code = rabitq, refine = flat"),
        "m = 8, efConstruction = 40".to_owned(),
    ]
}

/// Builds them all on `table (v vector(dims))`.
pub fn create(client: &mut Client, table: &str, dims: usize, nlist: u32) {
    for ((suffix, _, on), options) in KINDS.iter().zip(options(dims, nlist)) {
        let sql = format!("CREATE INDEX {table}_{suffix} ON {table} USING {on} WITH ({options})");
        client.batch_execute(&sql).unwrap_or_else(|e| panic!("{sql}: {}", crate::describe(&e)));
    }
}

/// Fails unless each is sound and answers as the table does.
pub fn assert_fine(client: &mut Client, table: &str, queries: &[String]) {
    for index in of(table) {
        index.assert_sound(client);
        index.assert_exact(client, queries);
    }
}

/// An index for a table of its own, ordered by `<->`.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Also the name of its table; the index is `NAME_v`.
    pub name: &'static str,
    pub method: &'static str,
    /// What `WITH` says, for 16 dimensions.
    pub options: &'static str,
}

/// Every access method, and the ways to keep vectors that differ in how pages are read and written.
pub const EACH: [Kind; 5] = [
    Kind { name: "flat", method: "faissflat", options: "code = flat" },
    Kind { name: "ivf", method: "faissivf", options: "nlist = 8" },
    Kind { name: "pqfs", method: "faissivf", options: "nlist = 8, code = pqfs, m = 8" },
    Kind { name: "rabitq", method: "faissivf", options: "nlist = 8, code = rabitq, refine = flat" },
    Kind { name: "hnsw", method: "faisshnsw", options: "m = 8, efConstruction = 40" },
];

impl Kind {
    pub const DIMS: usize = 16;

    /// CREATE INDEX, with `more` behind it.
    pub fn create_index(&self, more: &str) -> String {
        let Self { name, method, options } = self;
        format!("CREATE INDEX {name}_v ON {name} USING {method} (v) WITH ({options}){more}")
    }

    /// The table with `n` rows of [`crate::workload::install`]'s `made`, without the index.
    pub fn create_table(&self, client: &mut Client, n: u32) {
        let (name, dims) = (self.name, Self::DIMS);
        let sql = format!(
            "CREATE TABLE {name} (id bigint, v vector({dims}));
             INSERT INTO {name} SELECT i, made(i, {dims}) FROM generate_series(1, {n}) i"
        );
        client.batch_execute(&sql).unwrap_or_else(|e| panic!("{sql}: {}", crate::describe(&e)));
    }

    pub fn indexed(&self) -> Indexed {
        Indexed { is_coded: !["flat", "ivf"].contains(&self.name), ..Indexed::l2(self.name) }
    }

    /// Fails unless the index is sound and answers as the table does.
    pub fn assert_fine(&self, client: &mut Client, queries: &[String]) {
        self.indexed().assert_sound(client);
        self.indexed().assert_exact(client, queries);
    }
}
