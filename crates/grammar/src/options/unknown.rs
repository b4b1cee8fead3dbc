//! What is said of an option that an access method does not have.

use super::{Family, Refusal};

/// What people type who know another program, and what it is here.
const ELSEWHERE: [(&str, &str); 5] = [
    ("ef_search", "efSearch"),
    ("probes", "nprobe"),
    ("nlists", "nlist"),
    ("num_lists", "nlist"),
    ("max_connections", "m"),
];

/// The refusal of option `given`, where the method has `known`, spelt as the manual spells them.
pub fn unknown(family: &Family, given: &str, known: &[&str]) -> Refusal {
    let meant = ELSEWHERE
        .iter()
        .filter(|(there, _)| *there == given)
        .find_map(|&(_, here)| known.iter().find(|name| **name == here));
    let meant = meant.or_else(|| nearest(given, known));
    let refusal = Refusal::new(format!("unrecognized parameter \"{given}\"")).detail(format!(
        "Options of access method \"{}\" are {}.",
        family.name,
        known.join(", ")
    ));
    match meant {
        Some(name) if name.eq_ignore_ascii_case(given) => {
            refusal.hint("Write it without quotes, which keep the case.")
        }
        Some(name) => refusal.hint(format!("Perhaps you meant \"{name}\".")),
        None => refusal,
    }
}

/// The name that is spelt most alike, if two thirds of the letters fit.
fn nearest<'a>(given: &str, known: &'a [&'a str]) -> Option<&'a &'a str> {
    let distance = |name: &str| strsim::osa_distance(&given.to_lowercase(), &name.to_lowercase());
    let name = known.iter().min_by_key(|name| distance(name))?;
    (3 * distance(name) <= name.len().max(given.len())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant() {
        let graph = Family { name: "faisshnsw", has_lists: false, is_graph: true };
        let known = ["m", "efConstruction", "ef_construction", "efSearch", "code"];
        for (given, meant) in [
            ("ef_search", Some("efSearch")),
            ("efsaerch", Some("efSearch")),
            ("ef_constuction", Some("ef_construction")),
            ("efconstructions", Some("efConstruction")),
            ("codes", Some("code")),
            ("lists", None),
            ("zzz", None),
        ] {
            let refusal = unknown(&graph, given, &known);
            assert_eq!(refusal.message, format!("unrecognized parameter \"{given}\""));
            let hint = meant.map(|name| format!("Perhaps you meant \"{name}\"."));
            assert_eq!(refusal.hint, hint, "{given}");
        }
        let quoted = unknown(&graph, "efSearch", &["efSearch"]).hint;
        assert!(quoted.is_some_and(|hint| hint.contains("quotes")));
    }
}
