//! Options of an index, within the ranges that the server lets through: an index that has a layout on pages, whatever the
//! dimension, or a refusal.
#![no_main]

use ann::Metric;
use ann::factory::LINKS_RANGE;
use grammar::options::{EF_CONSTRUCTION_RANGE, Family, Given, IvfOptions, NLIST_MAX, Settings};
use libfuzzer_sys::fuzz_target;
use pages::damage::Dice;
use pages::hnsw;
use pages::lists::{Attributes, CodeParams, ListsParams, size};

const FAMILIES: [Family; 3] = [
    Family { name: "faissivf", has_lists: true, is_graph: false },
    Family { name: "faissflat", has_lists: false, is_graph: false },
    Family { name: "faisshnsw", has_lists: false, is_graph: true },
];
const WORDS: [&str; 22] = [
    "IVF",
    "HNSW",
    "PQ",
    "OPQ",
    "RR",
    "Flat",
    "SQ8",
    "SQ4",
    "SQfp16",
    "RaBitQ",
    "L2norm",
    "RFlat",
    "Refine(SQ8)",
    "Refine(SQfp16)",
    "x4fs",
    "np",
    "x",
    "_",
    ",",
    "k",
    "M",
    "(",
];

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let family = FAMILIES[data.below(3) as usize];
    let (dims, rows) = (1 + data.below(16_000) as usize, u64::from(data.below(1 << 24)));
    let given = given(&mut data, &family);
    if given.check(&family).is_err() {
        return;
    }
    let options = given.resolve().expect("what was checked resolves");
    if options.check_dims(dims).is_ok() {
        layout(&options, dims, rows, &mut data);
    }
});

fn given(dice: &mut &[u8], family: &Family) -> Given {
    fn some<T>(dice: &mut &[u8], value: impl FnOnce(&mut &[u8]) -> T) -> Option<T> {
        (dice.below(3) == 0).then(|| value(dice))
    }
    let links = u32::from(*LINKS_RANGE.start())..u32::from(*LINKS_RANGE.end()) + 1;
    let (m, codes) = if family.is_graph { (links, 3) } else { (1..4097, 7) };
    let (least, most) = EF_CONSTRUCTION_RANGE;
    Given {
        is_graph: family.is_graph,
        settings: Settings::Faiss,
        nlist: some(dice, |d| d.below(NLIST_MAX as u32 + 1)).filter(|_| family.has_lists),
        lists: some(dice, |d| 1 + d.below(1 << 15)).filter(|_| family.has_lists),
        code: some(dice, |d| d.below(codes) as u8),
        m: some(dice, |d| (m.start + d.below(m.end - m.start)) as u16),
        nbits: some(dice, |d| 1 + d.below(12) as u8).filter(|_| !family.is_graph),
        opq: some(dice, |d| d.below(2) == 1).filter(|_| !family.is_graph),
        refine: some(dice, |d| d.below(4) as u8).filter(|_| !family.is_graph),
        seed: some(dice, |d| u64::from(d.below(u32::MAX))),
        factory: some(dice, factory),
        model: some(dice, |d| "m".repeat(d.below(70) as usize)).filter(|_| !family.is_graph),
        nprobe: some(dice, |d| 1 + d.below(1 << 16)),
        k_factor: some(dice, |d| 1 + d.below(1024)),
        efconstruction: some(dice, |d| (least as u32) + d.below((most - least) as u32 + 1)),
        ef_construction: some(dice, |d| (least as u32) + d.below((most - least) as u32 + 1)),
        ef_search: some(dice, |d| 1 + d.below(1000)),
    }
}

/// Words and numbers in a row, mostly with commas between them.
fn factory(dice: &mut &[u8]) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(8) {
        text += WORDS[dice.below(WORDS.len() as u32) as usize];
        if dice.below(2) == 0 {
            let most = [10, 200, 70_000][dice.below(3) as usize];
            text += &dice.below(most).to_string();
        }
        if dice.below(4) > 0 {
            text.push(',');
        }
    }
    text.trim_end_matches(',').to_owned()
}

fn layout(options: &IvfOptions, dims: usize, rows: u64, dice: &mut &[u8]) {
    let element = dice.below(2) as u8;
    let metric = [Metric::L2, Metric::InnerProduct, Metric::Cosine][dice.below(3) as usize];
    if let Some(graph) = options.graph {
        let code = match graph.code.map(|code| code.to_numbers().0) {
            None => hnsw::Code::Flat,
            Some(1) => hnsw::Code::SqFp16,
            Some(_) => hnsw::Code::Sq8,
        };
        let params = hnsw::MetaParams {
            element,
            metric,
            dims,
            m: graph.m.into(),
            ef_construction: graph.ef_construction as usize,
            code,
            seed: options.seed,
            trained_rows: 0,
        };
        assert!(hnsw::size::built_bytes(&params, rows).is_some());
        return;
    }
    let code = options.code.map(|kind| CodeParams {
        kind,
        refine: options.refine,
        rotation: options.rotation,
        normalize: options.normalize,
    });
    let widths: Vec<u8> = (0..dice.below(9)).map(|_| 1 << dice.below(5)).collect();
    let attributes = Attributes::new(&widths).expect("eight values of up to 16 bytes are attributes");
    let params = ListsParams { element, metric, dims, code, attributes };
    assert!(size::built_bytes(&params, options.nlist as usize, rows).is_some());
}
