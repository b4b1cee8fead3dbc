//! Lossy codes: recall@10 no lower than FAISS's with the same factory string, nprobe and k_factor, and
//! as the baselines say.

use checks::agreement::assert_sound;
use gauge::truth::Truth;
use gauge::vectors::Dataset;
use postgres::Client;

use crate::{FAISS_SLACK, NPROBES, baselines, full, recall, run};

const OUR_NPROBES: [u32; 2] = [10, 40];
/// Candidates re-ranked per row, FAISS's and ours.
pub const K_FACTOR: u32 = 8;
/// Codes that are measured where `PGFAISS_FULL` does not ask for all: those that are soon trained,
/// and fewer where the data are not on every machine.
const USUAL: usize = 4;
const USUAL_ELSEWHERE: usize = 2;

/// A code under its factory string.
pub struct Code {
    /// Without the number of lists: what the baselines call it.
    name: String,
    ours: String,
    /// We always refine: from the table where the string does not say otherwise.
    pub theirs: String,
}

/// The codes to measure on a data set; `is_always_there` on every machine.
pub fn of(dims: usize, nlist: u32, is_always_there: bool) -> Vec<Code> {
    let m = if dims.is_multiple_of(16) { 16 } else { dims / 5 };
    let code = |before: &str, code: &str, ours: &str, theirs: &str| Code {
        name: format!("{before}{code}{ours}"),
        ours: format!("{before}IVF{nlist},{code}{ours}"),
        theirs: format!("{before}IVF{nlist},{code}{theirs}"),
    };
    let mut codes = vec![
        code("", &format!("PQ{}x4fs", dims / 2), "", ",RFlat"),
        code("RR,", "RaBitQ", ",RFlat", ",RFlat"),
        code("", "SQ8", "", ""),
        code("RR,", "RaBitQ4", "", ""),
        code("", &format!("PQ{m}"), ",RFlat", ",RFlat"),
    ];
    if !full() {
        codes.truncate(if is_always_there { USUAL } else { USUAL_ELSEWHERE });
    }
    codes
}

/// Replaces index `t_v` by one of `code`; `bounds` is FAISS's recall at each of `NPROBES`.
pub fn measure(
    client: &mut Client,
    (name, set): (&str, &Dataset),
    truth: &Truth,
    code: &Code,
    bounds: &[f64],
) {
    let class = set.metric.opclass();
    let Code { name: code_name, ours: factory, theirs } = code;
    run(client, &format!("DROP INDEX t_v; SET faiss.k_factor = {K_FACTOR}"));
    run(
        client,
        &format!("CREATE INDEX t_v ON t USING faissivf (v {class}) WITH (factory = '{factory}')"),
    );
    assert_sound(client, "t_v");
    let mut measured = Vec::new();
    for (nprobe, bound) in NPROBES.into_iter().zip(bounds) {
        if !OUR_NPROBES.contains(&nprobe) {
            continue;
        }
        let recall = recall(client, set, truth, nprobe, set.queries.len());
        eprintln!(
            "{name}: {factory}, nprobe {nprobe}: recall@10 {recall:.4}, FAISS {theirs} {bound:.4}"
        );
        assert!(recall >= bound - FAISS_SLACK, "{factory}: {recall:.4}, FAISS {bound:.4}");
        measured.push((nprobe, recall));
    }
    let nlist = crate::nlist(client);
    let key = format!("{name} {code_name}");
    baselines::of(&key, set.base.len(), set.queries.len(), nlist).check(&measured);
}
