//! The table of systems: what is built, how it is tuned, and whose it is. To measure another one,
//! add a line.

use super::record::Family;
use gauge::vectors::Metric;

/// Settings tried one after the other; `{v}` in the template takes each value.
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    /// `name = {v}`, several of them separated by `; ` in SQL and by `,` for FAISS.
    pub template: &'static str,
    pub values: &'static [u32],
}

/// A system reached through SQL.
#[derive(Clone, Copy, Debug)]
pub struct SqlSystem {
    pub name: &'static str,
    pub family: Family,
    /// Created in this order; the first brings the type `vector`.
    pub extensions: &'static [&'static str],
    /// The access method and what follows the operator class; none for a plain scan.
    pub index: Option<(&'static str, &'static str)>,
    pub knob: Knob,
}

/// An index of FAISS in memory.
#[derive(Clone, Copy, Debug)]
pub struct MemorySystem {
    pub name: &'static str,
    pub factory: &'static str,
    /// Parameters set before the build.
    pub before: &'static str,
    pub knob: Knob,
}

const NO_KNOB: Knob = Knob { template: "", values: &[0] };
const PROBES: &[u32] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];
const BEAM: &[u32] = &[10, 20, 40, 80, 160, 320, 640];
const OURS: &[&str] = &["pgfaiss"];
const VECTOR: &[&str] = &["vector"];

const fn ours(
    name: &'static str,
    method: &'static str,
    with: &'static str,
    knob: Knob,
) -> SqlSystem {
    SqlSystem { name, family: Family::Ours, extensions: OURS, index: Some((method, with)), knob }
}

const fn peer(
    name: &'static str,
    extensions: &'static [&'static str],
    method: &'static str,
    with: &'static str,
    knob: Knob,
) -> SqlSystem {
    SqlSystem { name, family: Family::Peer, extensions, index: Some((method, with)), knob }
}

const fn plain(name: &'static str, extensions: &'static [&'static str]) -> SqlSystem {
    SqlSystem { name, family: Family::Exact, extensions, index: None, knob: NO_KNOB }
}

const NPROBE: Knob = Knob { template: "faiss.nprobe = {v}", values: PROBES };
const HNSW_EF_SEARCH: Knob = Knob { template: "hnsw.ef_search = {v}", values: BEAM };
const EF_SEARCH: Knob = Knob { template: "faiss.efSearch = {v}", values: BEAM };

/// Every SQL system, ours first. `{nlist}` and `{pq_m}` are filled in for the data at hand.
pub const SQL: &[SqlSystem] = &[
    plain("exact (pgfaiss)", OURS),
    ours("faissflat sq8", "faissflat", "WITH (code = 'sq8')", NO_KNOB),
    ours("faissivf flat", "faissivf", "WITH (nlist = {nlist}, code = flat)", NPROBE),
    ours("faissivf sq8", "faissivf", "WITH (nlist = {nlist}, code = 'sq8')", NPROBE),
    ours("faissivf pqfs", "faissivf", "WITH (factory = 'IVF{nlist},PQ{pq_m}x4fs')", NPROBE),
    ours(
        "faissivf pqfs,RFlat",
        "faissivf",
        "WITH (factory = 'IVF{nlist},PQ{pq_m}x4fs,RFlat')",
        NPROBE,
    ),
    ours("faissivf rabitq", "faissivf", "WITH (factory = 'RR,IVF{nlist},RaBitQ')", NPROBE),
    ours(
        "faissivf rabitq,RFlat",
        "faissivf",
        "WITH (factory = 'RR,IVF{nlist},RaBitQ,RFlat')",
        NPROBE,
    ),
    ours("faisshnsw 16/64", "faisshnsw", "WITH (m = 16, efconstruction = 64)", EF_SEARCH),
    ours("faisshnsw 32/200", "faisshnsw", "WITH (m = 32, efconstruction = 200)", EF_SEARCH),
    SqlSystem {
        name: "hnsw 16/64 of our vector",
        family: Family::Ours,
        extensions: VECTOR,
        index: Some(("hnsw", "WITH (m = 16, ef_construction = 64)")),
        knob: HNSW_EF_SEARCH,
    },
    plain("exact (pgvector)", VECTOR),
    peer(
        "pgvector hnsw 16/64",
        VECTOR,
        "hnsw",
        "WITH (m = 16, ef_construction = 64)",
        HNSW_EF_SEARCH,
    ),
    peer(
        "pgvector ivfflat",
        VECTOR,
        "ivfflat",
        "WITH (lists = {nlist})",
        Knob { template: "ivfflat.probes = {v}", values: PROBES },
    ),
    peer(
        "vectorscale diskann",
        &["vector", "vectorscale"],
        "diskann",
        "",
        Knob {
            template: "diskann.query_search_list_size = {v}; diskann.query_rescore = {v}",
            values: BEAM,
        },
    ),
    peer(
        "vchord vchordrq",
        &["vector", "vchord"],
        "vchordrq",
        "WITH (options = 'residual_quantization = true\n[build.internal]\nlists = [{nlist}]\n')",
        Knob { template: "vchordrq.probes = {v}", values: PROBES },
    ),
];

/// The in-memory limit. The codes are those of ours, so that the difference is the database.
pub const MEMORY: &[MemorySystem] = &[
    MemorySystem {
        name: "FAISS IVF,Flat",
        factory: "IVF{nlist},Flat",
        before: "",
        knob: Knob { template: "nprobe={v}", values: PROBES },
    },
    MemorySystem {
        name: "FAISS IVF,PQfs,RFlat",
        factory: "IVF{nlist},PQ{pq_m}x4fs,RFlat",
        before: "",
        knob: Knob { template: "nprobe={v},k_factor_rf=16", values: PROBES },
    },
    MemorySystem {
        name: "FAISS IVF,RaBitQ,RFlat",
        factory: "RR,IVF{nlist},RaBitQ,RFlat",
        before: "",
        knob: Knob { template: "nprobe={v},k_factor_rf=16", values: PROBES },
    },
    // For many neighbours sixteen candidates for each are more than it takes.
    MemorySystem {
        name: "FAISS IVF,PQfs,RFlat, k_factor 4",
        factory: "IVF{nlist},PQ{pq_m}x4fs,RFlat",
        before: "",
        knob: Knob { template: "nprobe={v},k_factor_rf=4", values: PROBES },
    },
    MemorySystem {
        name: "FAISS IVF,RaBitQ,RFlat, k_factor 4",
        factory: "RR,IVF{nlist},RaBitQ,RFlat",
        before: "",
        knob: Knob { template: "nprobe={v},k_factor_rf=4", values: PROBES },
    },
    MemorySystem {
        name: "FAISS HNSW16",
        factory: "HNSW16",
        before: "efConstruction=64",
        knob: Knob { template: "efSearch={v}", values: BEAM },
    },
    MemorySystem {
        name: "FAISS HNSW32",
        factory: "HNSW32",
        before: "efConstruction=200",
        knob: Knob { template: "efSearch={v}", values: BEAM },
    },
];

impl Knob {
    /// Each setting in full.
    pub fn settings(&self) -> Vec<String> {
        self.values.iter().map(|v| self.template.replace("{v}", &v.to_string())).collect()
    }
}

impl SqlSystem {
    /// The statement that builds the index over `table(v)`.
    pub fn create_index(&self, table: &str, metric: Metric, shape: Shape) -> Option<String> {
        let (method, with) = self.index?;
        let with = shape.fill(with);
        let opclass = metric.opclass();
        Some(format!("CREATE INDEX {table}_v ON {table} USING {method} (v {opclass}) {with}"))
    }
}

/// What the structural parameters follow from; the same for every system of a run.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub rows: usize,
    pub dims: usize,
}

impl Shape {
    /// 4·√N to the nearest power of two, at most N/39, as FAISS's guidelines have it.
    pub fn nlist(self) -> usize {
        let wanted = 4.0 * (self.rows as f64).sqrt();
        let power = 2f64.powf(wanted.log2().round()) as usize;
        power.min(self.rows / 39).clamp(1, 1 << 22)
    }

    /// Two dimensions to a 4-bit sub-quantizer: half a byte for eight bytes of floats.
    pub fn pq_m(self) -> usize {
        if self.dims.is_multiple_of(2) { self.dims / 2 } else { self.dims }
    }

    pub fn fill(self, template: &str) -> String {
        let nlist = self.nlist().to_string();
        template.replace("{nlist}", &nlist).replace("{pq_m}", &self.pq_m().to_string())
    }
}

/// Whether a name was asked for: no filter takes all, else one of the parts must occur in it.
pub fn wanted(filter: &[String], name: &str) -> bool {
    let name = name.to_lowercase();
    filter.is_empty() || filter.iter().any(|f| name.contains(&f.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_knobs_have_values() {
        let names: Vec<&str> =
            SQL.iter().map(|s| s.name).chain(MEMORY.iter().map(|s| s.name)).collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
        let knobs = SQL.iter().map(|s| s.knob).chain(MEMORY.iter().map(|s| s.knob));
        assert!(knobs.into_iter().all(|k| !k.values.is_empty()));
    }

    #[test]
    fn statements_are_filled_in() {
        let shape = Shape { rows: 200_000, dims: 128 };
        assert_eq!((shape.nlist(), shape.pq_m()), (2048, 64));
        assert_eq!(Shape { rows: 100_000, dims: 99 }.nlist(), 1024);
        assert_eq!(Shape { rows: 390, dims: 4 }.nlist(), 10);
        assert_eq!(Shape { rows: 5, dims: 4 }.nlist(), 1);
        for system in SQL {
            let Some(text) = system.create_index("t", Metric::Cosine, shape) else { continue };
            assert!(!text.contains('{') && text.contains("vector_cosine_ops"), "{text}");
        }
        assert_eq!(NPROBE.settings()[2], "faiss.nprobe = 4");
    }

    #[test]
    fn the_filter_takes_parts_of_names() {
        assert!(wanted(&[], "FAISS HNSW16"));
        assert!(wanted(&["hnsw".into()], "FAISS HNSW16"));
        assert!(!wanted(&["ivf".into()], "FAISS HNSW16"));
    }
}
