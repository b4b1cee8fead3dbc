//! What is built on a hostile table, and which index of FAISS it is measured against.

/// How rows are compared: a name, the operator, and what operator classes of it end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub operator: &'static str,
}

pub const METRICS: [Metric; 4] = [
    Metric { name: "l2", operator: "<->" },
    Metric { name: "ip", operator: "<#>" },
    Metric { name: "cosine", operator: "<=>" },
    Metric { name: "l1", operator: "<+>" },
];

/// The settings of both sides.
pub const NLIST: usize = 32;
pub const NPROBE: usize = 16;
pub const K_FACTOR: usize = 8;
pub const M: usize = 16;
pub const EF_CONSTRUCTION: usize = 64;
pub const EF_SEARCH: usize = 40;
/// Longer vectors are not rotated: a rotation takes the square of their length.
const ROTATED_MAX: usize = 1_000;

/// An access method with a code.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    pub method: &'static str,
    pub code: &'static str,
    /// FAISS's factory string of the code, ours and theirs. PQM and HALF stand for parts of the dimension.
    factory: &'static str,
}

/// Codes of `faissflat` and `faissivf`.
const CODES: [(&str, &str); 8] = [
    ("flat", "Flat"),
    ("sqfp16", "SQfp16"),
    ("sq8", "SQ8"),
    ("sq4", "SQ4"),
    ("pq", "PQEIGHTH"),
    ("pqfs", "PQHALFx4fs"),
    ("rabitq", "RaBitQ"),
    ("rabitq4", "RaBitQ4"),
];
/// The code where none is asked for.
const CHOSEN: &str = "chosen";
/// Codes of `faisshnsw`; each is held against FAISS's graph over the vectors themselves.
const GRAPH_CODES: [&str; 3] = ["flat", "sqfp16", "sq8"];

/// Every method with every code.
pub fn all() -> Vec<Index> {
    let lists = ["faissflat", "faissivf"].into_iter();
    let listed =
        lists.flat_map(|method| CODES.map(|(code, factory)| Index { method, code, factory }));
    // What a build chooses loses nothing that vectors as they are do not lose.
    let chosen = Index { method: "faissivf", code: CHOSEN, factory: "Flat" };
    let graphs = GRAPH_CODES.map(|code| Index { method: "faisshnsw", code, factory: "" });
    listed.chain([chosen]).chain(graphs).collect()
}

impl Index {
    /// As the report and the command line have it.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.code)
    }

    /// Whether there is an operator class.
    pub fn has(&self, metric: Metric) -> bool {
        metric.name != "l1" || self.method == "faisshnsw" || self.name() == "faissflat flat"
    }

    /// Whether the first answer rests on guesses that real distances put in order.
    pub fn is_lossy(&self) -> bool {
        self.method != "faisshnsw" && !["flat", CHOSEN].contains(&self.code)
    }

    fn listed(&self, dims: usize) -> String {
        let rotation =
            if self.code.starts_with("rabitq") && dims <= ROTATED_MAX { "RR," } else { "" };
        let lists = if self.method == "faissivf" { format!("IVF{NLIST},") } else { String::new() };
        let code = self.factory.replace("EIGHTH", &part(dims, 8).to_string());
        let code = code.replace("HALF", &part(dims, 2).to_string());
        format!("{rotation}{lists}{code}")
    }

    /// What WITH says.
    pub fn options(&self, dims: usize) -> String {
        match self.method {
            "faisshnsw" => {
                format!("m = {M}, efConstruction = {EF_CONSTRUCTION}, code = {}", self.code)
            }
            _ if self.code == CHOSEN => format!("nlist = {NLIST}"),
            _ => format!("factory = '{}'", self.listed(dims)),
        }
    }

    /// FAISS's index at the same settings; what we re-rank from the table it re-ranks from vectors it keeps.
    pub fn theirs(&self, dims: usize) -> String {
        match self.method {
            "faisshnsw" => format!("HNSW{M}"),
            // Without "np" it takes seconds to sort centroids for a search that is not ours.
            _ if self.code == "pq" => format!("{}np,RFlat", self.listed(dims)),
            _ if self.is_lossy() => format!("{},RFlat", self.listed(dims)),
            _ => self.listed(dims),
        }
    }
}

/// How many parts of `length` dimensions there are, if these divide the whole, else one for each dimension.
fn part(dims: usize, length: usize) -> usize {
    if dims.is_multiple_of(length) { dims / length } else { dims }
}

/// What our settings are set by.
pub fn settings() -> String {
    format!(
        "SET faiss.nprobe = {NPROBE}; SET faiss.k_factor = {K_FACTOR}; SET faiss.efSearch = {EF_SEARCH}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_built_alike() {
        let all = all();
        let named = |name: &str| all.iter().find(|i| i.name() == name).unwrap();
        assert_eq!(named("faissivf pqfs").options(32), "factory = 'IVF32,PQ16x4fs'");
        assert_eq!(named("faissivf pqfs").theirs(3), "IVF32,PQ3x4fs,RFlat");
        assert_eq!(named("faissflat rabitq").theirs(32), "RR,RaBitQ,RFlat");
        assert_eq!(named("faissflat rabitq").options(2_000), "factory = 'RaBitQ'");
        assert_eq!(named("faisshnsw sq8").theirs(32), "HNSW16");
        assert!(named("faissflat flat").has(METRICS[3]) && !named("faissivf flat").has(METRICS[3]));
    }
}
