//! The reviewed list of differences: sections `[sql/NAME]` and `[t/NAME]` with the lines that differ (`-` pgvector's, `+` ours) or
//! the assertions that fail. A line `# …` says why. After `?` stands what need not occur: recall close to a threshold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Outcome;

/// What the list says of each test.
pub struct Differences {
    sections: BTreeMap<String, Section>,
}

#[derive(Default)]
struct Section {
    /// In their order.
    certain: Vec<String>,
    possible: Vec<String>,
}

/// How an outcome compares with the list.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No difference, and none expected.
    Same,
    /// As many as were expected.
    Expected(usize),
    /// These are new, or did not occur.
    Unexpected(Vec<String>),
}

impl Differences {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut sections: BTreeMap<String, Section> = BTreeMap::new();
        let mut current = None;
        for (number, line) in (1..).zip(text.lines()) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                current = Some(name.to_owned());
                sections.entry(name.to_owned()).or_default();
                continue;
            }
            let Some(name) = &current else { bail!("line {number} belongs to no test: {line}") };
            let section = sections.entry(name.clone()).or_default();
            match line.strip_prefix("? ") {
                Some(possible) => section.possible.push(possible.to_owned()),
                None => section.certain.push(line.to_owned()),
            }
        }
        Ok(Self { sections })
    }

    pub fn verdict(&self, name: &str, found: &[String]) -> Verdict {
        let none = Section::default();
        let section = self.sections.get(name).unwrap_or(&none);
        let mut missing = section.certain.clone();
        let mut possible = section.possible.clone();
        let mut lines = Vec::new();
        for line in found {
            if let Some(at) = missing.iter().position(|expected| expected == line) {
                missing.remove(at);
            } else if let Some(at) = possible.iter().position(|expected| expected == line) {
                possible.remove(at);
            } else {
                lines.push(line.clone());
            }
        }
        lines.extend(missing.into_iter().map(|line| format!("did not occur: {line}")));
        match (lines.is_empty(), found.len()) {
            (true, 0) => Verdict::Same,
            (true, n) => Verdict::Expected(n),
            (false, _) => Verdict::Unexpected(lines),
        }
    }
}

/// Outcomes in the form of the list.
pub fn listed(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.found.is_empty()) {
        text.push_str(&format!("[{}]\n", outcome.name));
        outcome.found.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn outcomes_are_held_against_the_list() {
        let list = Differences::parse("# why\n[sql/a]\n-x\n+y\n\n[t/b]\n? low recall\n").unwrap();
        assert_eq!(list.verdict("sql/a", &lines(&["-x", "+y"])), Verdict::Expected(2));
        assert_eq!(
            list.verdict("sql/a", &lines(&["-x", "+z"])),
            Verdict::Unexpected(lines(&["+z", "did not occur: +y"]))
        );
        assert_eq!(list.verdict("t/b", &[]), Verdict::Same);
        assert_eq!(list.verdict("t/b", &lines(&["low recall"])), Verdict::Expected(1));
        assert_eq!(
            list.verdict("t/c", &lines(&["low recall"])),
            Verdict::Unexpected(lines(&["low recall"]))
        );
        assert!(Differences::parse("-x").is_err());
    }
}
