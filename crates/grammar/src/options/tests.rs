//! Options against each other, without a server; what the server does with them is in `src/am/options/tests.rs`.

use super::*;

const IVF: Family = Family { name: "faissivf", has_lists: true, is_graph: false };
const FLAT: Family = Family { name: "faissflat", has_lists: false, is_graph: false };
const HNSW: Family = Family { name: "faisshnsw", has_lists: false, is_graph: true };

#[test]
fn a_factory_string_must_fit_the_method() {
    for (family, text, is_fine) in [
        (IVF, "IVF4,PQ8", true),
        (IVF, "PQ8", false),
        (IVF, "HNSW8", false),
        (FLAT, "PQ8", true),
        (FLAT, "IVF4,PQ8", false),
        (HNSW, "HNSW8,SQ8", true),
        (HNSW, "Flat", false),
    ] {
        let parsed = IvfOptions::parse(&family, Some(text.to_owned()), 1);
        let given =
            Given { is_graph: family.is_graph, factory: Some(text.to_owned()), ..Given::default() };
        assert_eq!(given.check(&family).is_ok(), is_fine, "{} {text}", family.name);
        assert_eq!(parsed.is_ok(), is_fine, "{} {text}", family.name);
    }
}

#[test]
fn sub_quantizers_divide_the_dimension() {
    let options =
        IvfOptions { code: Some(CodeKind::Pq { m: 8, nbits: 8 }), ..IvfOptions::default() };
    assert_eq!(options.check_dims(16), Ok(()));
    let refusal = options.check_dims(20).unwrap_err();
    assert_eq!(refusal.detail.as_deref(), Some("The nearest divisors of 20 are 5 and 10."));
}
