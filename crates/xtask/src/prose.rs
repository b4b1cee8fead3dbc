//! `cargo xtask prose`: how dense the Markdown files are. The tidy test holds the limits.

use anyhow::Result;
use pulldown_cmark::{Event, Tag, TagEnd};

use crate::markdown::Page;

/// A line longer than this is hard to compare with another version of it.
pub const LONG_LINE: usize = 120;

/// The measurements of one page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Density {
    /// Words outside code blocks, those of tables included.
    pub words: usize,
    pub headings: usize,
    pub blocks: usize,
    pub links: usize,
    /// Words of the paragraph in the middle; an item of a list is a paragraph.
    pub paragraph: usize,
    /// Words of the sentence in the middle, and of the one that nine in ten do not exceed.
    pub sentence: usize,
    pub long_sentence: usize,
    pub lines: usize,
    /// Lines over [`LONG_LINE`] characters, outside tables and code blocks.
    pub long_lines: usize,
}

impl Density {
    /// Measures a page.
    pub fn of(page: &Page) -> Self {
        let mut density = Self { lines: page.text.lines().count(), ..Self::default() };
        let mut paragraphs = Vec::new();
        let mut sentences = Vec::new();
        let (mut text, mut in_code, mut in_table) = (String::new(), false, false);
        let mut code = Vec::new();
        for (event, range) in page.events() {
            match event {
                Event::Start(Tag::CodeBlock(_) | Tag::Table(_)) | Event::End(TagEnd::Table) => {
                    let starts = matches!(event, Event::Start(_));
                    let is_code = matches!(event, Event::Start(Tag::CodeBlock(_)));
                    (in_code, in_table) = (is_code, starts && !is_code);
                    density.blocks += usize::from(is_code);
                    if starts {
                        code.push(range);
                    }
                }
                Event::End(TagEnd::CodeBlock) => in_code = false,
                Event::Start(Tag::Heading { .. }) => density.headings += 1,
                Event::Start(Tag::Link { .. } | Tag::Image { .. }) => density.links += 1,
                Event::Text(_) | Event::Code(_) if in_code => {}
                Event::Text(part) | Event::Code(part) => text.push_str(&part),
                Event::SoftBreak | Event::HardBreak => text.push(' '),
                Event::End(
                    TagEnd::Paragraph | TagEnd::Item | TagEnd::Heading(_) | TagEnd::TableCell,
                ) => {
                    let words = text.split_whitespace().count();
                    density.words += words;
                    let is_prose = !in_table && !matches!(event, Event::End(TagEnd::Heading(_)));
                    if words > 0 && is_prose {
                        paragraphs.push(words);
                        sentences.extend(lengths_of_sentences(&text));
                    }
                    text.clear();
                }
                _ => {}
            }
        }
        density.long_lines = long_lines(page, &code);
        density.paragraph = quantile(&mut paragraphs, 50);
        density.sentence = quantile(&mut sentences, 50);
        density.long_sentence = quantile(&mut sentences, 90);
        density
    }

    /// Words for each heading.
    pub fn words_per_heading(&self) -> usize {
        self.words / self.headings.max(1)
    }
}

/// The lines over [`LONG_LINE`] characters that are not within `excepted`.
fn long_lines(page: &Page, excepted: &[std::ops::Range<usize>]) -> usize {
    let mut start = 0;
    let mut long = 0;
    for line in page.text.split_inclusive('\n') {
        let is_excepted = excepted.iter().any(|range| range.contains(&start));
        long += usize::from(!is_excepted && line.trim_end().chars().count() > LONG_LINE);
        start += line.len();
    }
    long
}

/// How many words each sentence of a paragraph has.
fn lengths_of_sentences(text: &str) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut words = 0;
    for word in text.split_whitespace() {
        words += 1;
        if word.trim_end_matches(['"', ')', '*']).ends_with(['.', '?', '!']) {
            lengths.push(words);
            words = 0;
        }
    }
    if words > 0 {
        lengths.push(words);
    }
    lengths
}

fn quantile(values: &mut [usize], percent: usize) -> usize {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get(last * percent / 100).copied().unwrap_or(0)
}

/// Prints the table of all pages.
pub fn main() -> Result<()> {
    println!(
        "{:<38} {:>6} {:>9} {:>9} {:>10} {:>9} {:>6} {:>6} {:>6} {:>6}",
        "",
        "words",
        "headings",
        "per head",
        "paragraph",
        "sentence",
        "p90",
        "blocks",
        "links",
        "> 120"
    );
    for page in Page::all()? {
        let d = Density::of(&page);
        println!(
            "{:<38} {:>6} {:>9} {:>9} {:>10} {:>9} {:>6} {:>6} {:>6} {:>6}",
            page.path,
            d.words,
            d.headings,
            d.words_per_heading(),
            d.paragraph,
            d.sentence,
            d.long_sentence,
            d.blocks,
            d.links,
            d.long_lines
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_measured() {
        let text = "# One head\n\nFour words are here. Two more.\n\n- an item\n\n```sql\nSELECT 1;\n```\n\n| a | b c |\n|---|---|\n| d | [e](f) |\n";
        let page = Page { path: "x.md".into(), text: text.into() };
        let density = Density::of(&page);
        assert_eq!((density.words, density.headings, density.words_per_heading()), (15, 1, 15));
        assert_eq!((density.blocks, density.links, density.long_lines), (1, 1, 0));
        assert_eq!((density.paragraph, density.sentence, density.long_sentence), (2, 2, 2));
    }

    #[test]
    fn only_lines_of_prose_are_too_long() {
        let long = "x ".repeat(70);
        let text = format!("{long}\n\n```text\n{long}\n```\n\n| a |\n|---|\n| {long} |\n");
        let page = Page { path: "x.md".into(), text };
        assert_eq!(Density::of(&page).long_lines, 1);
    }
}
