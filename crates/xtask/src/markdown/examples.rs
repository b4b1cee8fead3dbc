//! SQL that the documentation shows, and what it says comes out.
//!
//! A block ` ```sql ` is typed into psql, all of a page in one session. A block ` ```text ` directly after it is what psql
//! must show. An HTML comment before a block says what is special about it:
//!
//! - `<!-- docs: not run: REASON -->`: this SQL is for another server than a test has;
//! - `<!-- docs: error -->`: this SQL ends in the error that is shown;
//! - `<!-- docs: varies -->`: the numbers in this output depend on the machine;
//! - `<!-- docs: not compared: REASON -->`: so do its rows;
//! - `<!-- docs: demo -->` anywhere before the first block: the page begins where `cargo xtask demo` ends.

use std::ops::Range;

use super::{Block, Page};

/// Stands before the output of each block; no example prints it.
const MARK: &str = "-- example";

/// One block of SQL.
#[derive(Debug, PartialEq, Eq)]
pub struct Example {
    pub sql: String,
    pub line: usize,
    /// Whether it is meant to end in an error.
    pub fails: bool,
    /// Why it cannot be run, if so.
    pub not_run: Option<String>,
    pub shown: Option<Shown>,
}

/// What is said to come out.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    pub text: String,
    /// Where in the page.
    pub range: Range<usize>,
    /// How much of it is the same everywhere.
    pub kept: Kept,
}

/// What of an output is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Everything,
    AllButNumbers,
    Nothing,
}

/// All SQL of a page, or what is wrong with its notes.
pub fn of(page: &Page) -> Result<Vec<Example>, String> {
    let mut examples = Vec::new();
    let blocks = page.blocks();
    for (i, block) in blocks.iter().enumerate() {
        if block.language != "sql" {
            continue;
        }
        let mut example = Example {
            sql: block.text.clone(),
            line: block.line,
            fails: false,
            not_run: None,
            shown: blocks.get(i + 1).and_then(|next| shown(page, block, next)),
        };
        match block.note.as_deref() {
            None | Some("demo") => {}
            Some("error") => example.fails = true,
            Some(note) => match note.strip_prefix("not run: ") {
                Some(reason) => example.not_run = Some(reason.to_owned()),
                None => return Err(format!("{}:{}: note \"{note}\"", page.path, block.line)),
            },
        }
        examples.push(example);
    }
    Ok(examples)
}

/// Whether the page begins where the demo ends.
pub fn needs_demo(page: &Page) -> bool {
    page.text.contains("<!-- docs: demo -->")
}

/// The output of `block`, if `next` is that: nothing but its note stands between them.
fn shown(page: &Page, block: &Block, next: &Block) -> Option<Shown> {
    let between = page.text[block.fences.end..next.fences.start].trim();
    let is_output = next.language == "text"
        && (between.is_empty() || between.starts_with("<!-- docs:") && next.note.is_some());
    is_output.then(|| Shown {
        text: next.text.clone(),
        range: next.range.clone(),
        kept: match next.note.as_deref() {
            Some("varies") => Kept::AllButNumbers,
            Some(note) if note.starts_with("not compared: ") => Kept::Nothing,
            _ => Kept::Everything,
        },
    })
}

/// What is typed into psql.
pub fn script(examples: &[Example]) -> String {
    let mut script = String::new();
    for (i, example) in examples.iter().enumerate() {
        if example.not_run.is_none() {
            script.push_str(&format!("\\echo {MARK} {i}\n{}\n", example.sql));
        }
    }
    script
}

/// What psql showed for each example: its number and the text.
pub fn outputs(all: &str) -> Vec<(usize, String)> {
    let mut outputs: Vec<(usize, String)> = Vec::new();
    for line in all.lines() {
        match line.strip_prefix(MARK).and_then(|number| number.trim().parse().ok()) {
            Some(number) => outputs.push((number, String::new())),
            None => {
                if let Some((_, text)) = outputs.last_mut() {
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
            }
        }
    }
    for (_, text) in &mut outputs {
        *text = format!("{}\n", text.trim_matches('\n'));
    }
    outputs
}

/// What is wrong with the output of an example, if anything is.
pub fn complaint(example: &Example, actual: &str) -> Option<String> {
    let has_failed = actual.lines().any(|line| line.starts_with("ERROR:"));
    if has_failed != example.fails {
        let wanted = if example.fails { "an error was expected" } else { "it fails" };
        return Some(format!("line {}: {wanted}\n{}{actual}", example.line, example.sql));
    }
    let shown = example.shown.as_ref()?;
    let is_same = match shown.kept {
        Kept::Everything => shown.text.trim() == actual.trim(),
        Kept::AllButNumbers => without_numbers(&shown.text) == without_numbers(actual),
        Kept::Nothing => !shown.text.trim().is_empty(),
    };
    (!is_same).then(|| {
        format!("line {}: the page shows\n{}but it is\n{actual}", example.line, shown.text)
    })
}

/// The text with every number replaced by one sign, and white space and rules of tables by another.
fn without_numbers(text: &str) -> String {
    let mut kept = String::new();
    for c in text.trim().chars() {
        let c = match c {
            '0'..='9' | '.' => '0',
            c if c.is_whitespace() || c == '-' || c == '+' => ' ',
            c => c,
        };
        if !(kept.ends_with(c) && (c == '0' || c == ' ')) {
            kept.push(c);
        }
    }
    kept
}

/// The page with the outputs as they are.
pub fn updated(page: &Page, examples: &[Example], outputs: &[(usize, String)]) -> String {
    let mut text = page.text.clone();
    for (number, actual) in outputs.iter().rev() {
        let example = &examples[*number];
        if let Some(shown) = &example.shown
            && complaint(example, actual).is_some()
        {
            text.replace_range(shown.range.clone(), actual);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: "x.md".to_owned(), text: text.to_owned() }
    }

    const TWO: &str = "```sql\nSELECT 1;\n```\n\n<!-- docs: varies -->\n```text\n 1.5 ms\n```\n\n<!-- docs: error -->\n```sql\nSELECT x;\n```\n\nProse.\n\n```text\nnot an output\n```\n";

    #[test]
    fn examples_have_their_outputs() {
        let examples = of(&page(TWO)).unwrap();
        assert_eq!(examples.len(), 2);
        assert!(
            examples[0].shown.as_ref().unwrap().kept == Kept::AllButNumbers && !examples[0].fails
        );
        assert!(examples[1].fails && examples[1].shown.is_none());
        assert!(of(&page("<!-- docs: nonsense -->\n```sql\n```\n")).is_err());
    }

    #[test]
    fn what_psql_shows_is_cut_at_the_marks() {
        let examples = of(&page(TWO)).unwrap();
        assert!(script(&examples).starts_with("\\echo -- example 0\nSELECT 1;\n"));
        let all = "-- example 0\n 3 ms  \n\n-- example 1\nERROR:  no x\n";
        let outputs = outputs(all);
        assert_eq!(outputs, [(0, " 3 ms\n".to_owned()), (1, "ERROR:  no x\n".to_owned())]);
        assert_eq!(complaint(&examples[0], &outputs[0].1), None);
        assert_eq!(complaint(&examples[1], &outputs[1].1), None);
    }

    #[test]
    fn a_wrong_page_is_complained_of_and_mended() {
        let wrong = page(&TWO.replace("<!-- docs: varies -->\n", ""));
        let examples = of(&wrong).unwrap();
        let outputs = [(0, " 3 ms\n".to_owned())];
        assert!(complaint(&examples[0], " 3 ms\n").unwrap().contains("1.5 ms"));
        assert!(complaint(&examples[0], "ERROR:  no\n").unwrap().contains("it fails"));
        assert!(complaint(&examples[1], "fine\n").unwrap().contains("an error was expected"));
        assert!(updated(&wrong, &examples, &outputs).contains("```text\n 3 ms\n```"));
    }

    #[test]
    fn only_numbers_may_vary() {
        assert_eq!(without_numbers(" 12.5 |  a\n-----+--\n"), without_numbers("1 | a\n--+-"));
        assert_ne!(without_numbers("1 row"), without_numbers("1 line"));
    }
}
