//! Every access method with every code and refinement, dealt out to tables a few at a time: an index for each operator, so that a
//! query names its index. The seed says which; seeds that follow each other go through all of them.

use postgres::Client;

use crate::agreement::Indexed;
use crate::random::Random;
use crate::workload::queries_of;

/// Codes of `faissflat` and `faissivf` but flat. `HALF` and `EIGHTH` stand for parts of the dimension.
const CODES: [&str; 9] = [
    "code = sqfp16",
    "code = sq8",
    "code = sq4",
    "code = pq, m = EIGHTH, nbits = 4",
    "code = pq, m = EIGHTH, nbits = 8",
    "code = pqfs, m = HALF",
    "code = rabitq",
    "code = rabitq, nbits = 4",
    "code = pqfs, m = EIGHTH, opq = on",
];
const REFINES: [&str; 4] = ["heap", "flat", "sqfp16", "sq8"];
/// What fits `<+>`.
const TAXICAB: [(&str, &str); 4] = [
    ("faisshnsw", "code = flat"),
    ("faisshnsw", "code = sqfp16"),
    ("faisshnsw", "code = sq8"),
    ("faissflat", "code = flat"),
];
const OPERATORS: [(&str, &str, &str); 4] =
    [("l2", "<->", "l2"), ("ip", "<#>", "ip"), ("cos", "<=>", "cosine"), ("l1", "<+>", "l1")];
/// No divisor of the catalogue's length, so that neighbours in it come to different tables.
const STRIDE: usize = 17;
const ROTATED_MAX: usize = 1000;

/// An index of a table, and how it is made.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Method, code and refinement, as the table of results has them.
    pub name: String,
    pub indexed: Indexed,
    /// What follows `ON TABLE`.
    pub definition: String,
}

/// What a table is given: the type of its column `v`, and an index for each of the four operators.
#[derive(Clone, Debug)]
pub struct Deal {
    pub table: String,
    pub element: &'static str,
    pub dims: usize,
    pub kinds: Vec<Kind>,
    nlist: u64,
}

/// Methods and options: all that `<->`, `<#>` and `<=>` can have.
fn catalogue() -> Vec<(&'static str, String)> {
    let mut all =
        vec![("faissflat", "code = flat".to_owned()), ("faissivf", "code = flat".to_owned())];
    for (i, code) in CODES.iter().enumerate() {
        for (j, refine) in REFINES.iter().enumerate() {
            all.push(("faissivf", format!("{code}, refine = {refine}")));
            // Without lists half of them: the pages are the same.
            if (i + j) % 2 == 0 {
                all.push(("faissflat", format!("{code}, refine = {refine}")));
            }
        }
    }
    all.push(("faissivf", "factory = 'RR,IVFNLIST,RaBitQ,RFlat'".to_owned()));
    all.push(("faisshnsw", "code = flat".to_owned()));
    all.push(("faisshnsw", "code = sqfp16".to_owned()));
    all.push(("faisshnsw", "code = sq8".to_owned()));
    all
}

impl Deal {
    /// For `table`, whose vectors have `dims` dimensions, a multiple of 8.
    pub fn new(seed: u64, table: &str, dims: usize) -> Self {
        let mut random = Random::new(seed);
        let (all, at) = (catalogue(), seed as usize);
        let element = *random.pick(&["vector", "vector", "halfvec"]);
        let nlist = random.between(1, 12);
        let shift = random.below(3) as usize;
        let mut deal = Self { table: table.to_owned(), element, dims, kinds: Vec::new(), nlist };
        for i in 0..3 {
            let (method, options) = &all[(3 * at + i) * STRIDE % all.len()];
            deal.add(method, options, (i + shift) % 3);
        }
        let (method, options) = TAXICAB[at % TAXICAB.len()];
        deal.add(method, options, 3);
        deal
    }

    fn add(&mut self, method: &str, options: &str, operator: usize) {
        // With `id` for a filter column, half of the time.
        let has_filter = operator % 2 == 1;
        let (suffix, operator, class) = OPERATORS[operator];
        // A rotation of so many dimensions would take the memory of hours of this.
        let options = match self.dims > ROTATED_MAX {
            true => options.replace(", opq = on", "").replace("RR,", ""),
            false => options.to_owned(),
        };
        let name = options.replace("code = ", "").replace(", m = HALF", "");
        let options = self.filled_in(method, &options);
        let filter = if has_filter { ", id" } else { "" };
        self.kinds.push(Kind {
            name: format!("{method} {}", name.replace(", m = EIGHTH", "")),
            indexed: Indexed {
                index: format!("{}_{suffix}", self.table),
                operator: operator.to_owned(),
                has_filter,
                is_coded: method == "faisshnsw" || !options.starts_with("code = flat"),
                ..Indexed::l2(&self.table)
            },
            definition: format!(
                "USING {method} (v {}_{class}_ops{filter}) WITH ({options})",
                self.element
            ),
        });
    }

    fn filled_in(&self, method: &str, options: &str) -> String {
        let options = options
            .replace("HALF", &(self.dims / 2).to_string())
            .replace("EIGHTH", &(self.dims / 8).to_string())
            .replace("NLIST", &self.nlist.to_string());
        match method {
            "faissivf" if !options.contains("factory") => {
                format!("{options}, nlist = {}", self.nlist)
            }
            "faisshnsw" => format!("{options}, m = 6, efConstruction = 32"),
            _ => options,
        }
    }

    /// The type of the column.
    pub fn column(&self) -> String {
        format!("{}({})", self.element, self.dims)
    }

    /// Vectors near nothing in particular, of the type of the column, as SQL literals.
    pub fn queries(&self, client: &mut Client, n: i64) -> Vec<String> {
        queries_of(client, self.element, self.dims, n)
    }

    /// Builds them all.
    pub fn create(&self, client: &mut Client) {
        for Kind { indexed, definition, .. } in &self.kinds {
            let sql = format!("CREATE INDEX {} ON {} {definition}", indexed.index, self.table);
            client.batch_execute(&sql).unwrap_or_else(|e| panic!("{sql}: {}", crate::describe(&e)));
        }
    }

    /// The index of any of them.
    pub fn any(&self, random: &mut Random) -> &str {
        &random.pick(&self.kinds).indexed.index
    }

    /// Fails unless each is sound and answers as the table does.
    pub fn assert_fine(&self, client: &mut Client, queries: &[String]) {
        for kind in &self.kinds {
            kind.indexed.assert_sound(client);
            kind.indexed.assert_exact(client, queries);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn seeds_in_a_row_deal_everything() {
        let n = catalogue().len();
        let mut seen = BTreeSet::new();
        for seed in 100..100 + n as u64 / 3 + 4 {
            let deal = Deal::new(seed, "t", 16);
            assert_eq!(deal.kinds.len(), 4);
            seen.extend(deal.kinds.into_iter().map(|kind| kind.name));
        }
        // With "faissflat flat" and the graphs among both hands.
        assert_eq!(seen.len(), n, "{seen:?}");
    }
}
