//! Markdown files as the tests and the site see them: code blocks, links and headings.

pub mod examples;

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::build::repository;

/// Folders that hold no text of ours.
const SKIPPED: [&str; 6] = ["target", ".git", "data", "node_modules", "__pycache__", "seeds"];

/// One Markdown file.
pub struct Page {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
}

/// A fenced code block.
pub struct Block {
    /// The first word behind the fence: `sql`, `text`, `sh` ….
    pub language: String,
    pub text: String,
    /// Where the text stands in the file.
    pub range: Range<usize>,
    /// Where the whole block, with its fences, stands in the file.
    pub fences: Range<usize>,
    /// The number of the line of the first fence.
    pub line: usize,
    /// What an HTML comment of the form `<!-- docs: … -->` directly before the block says.
    pub note: Option<String>,
}

impl Page {
    /// Reads one file of the repository.
    pub fn read(path: &str) -> Result<Self> {
        let file = repository().join(path);
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// Every Markdown file of the repository, in the order of the paths.
    pub fn all() -> Result<Vec<Self>> {
        let mut paths = Vec::new();
        collect(repository(), "", &mut paths)?;
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        Parser::new_ext(&self.text, options).into_offset_iter()
    }

    /// The fenced code blocks, in their order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    is_open = true;
                    let start =
                        range.start + self.text[range.clone()].find('\n').map_or(0, |n| n + 1);
                    blocks.push(Block {
                        language: info.split_whitespace().next().unwrap_or("").to_owned(),
                        text: String::new(),
                        range: start..start,
                        line: self.text[..range.start].matches('\n').count() + 1,
                        note: note_before(&self.text[..range.start]),
                        fences: range,
                    });
                }
                Event::Text(text) if is_open => {
                    if let Some(block) = blocks.last_mut() {
                        block.text.push_str(&text);
                        block.range.end = range.end;
                    }
                }
                Event::End(TagEnd::CodeBlock) => is_open = false,
                _ => {}
            }
        }
        blocks
    }

    /// What links and pictures point at, each with the number of its line.
    pub fn links(&self) -> Vec<(String, usize)> {
        let targets = self.events().filter_map(|(event, range)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let line = self.text[..range.start].matches('\n').count() + 1;
                Some((dest_url.to_string(), line))
            }
            _ => None,
        });
        targets.collect()
    }

    /// The headings: level and text.
    pub fn headings(&self) -> Vec<(HeadingLevel, String)> {
        let mut headings: Vec<(HeadingLevel, String)> = Vec::new();
        let mut is_open = false;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    is_open = true;
                    headings.push((level, String::new()));
                }
                Event::Text(text) | Event::Code(text) if is_open => {
                    if let Some((_, heading)) = headings.last_mut() {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => is_open = false,
                _ => {}
            }
        }
        headings
    }

    /// The anchors that links may name behind a `#`.
    pub fn anchors(&self) -> BTreeSet<String> {
        self.headings().iter().map(|(_, text)| anchor(text)).collect()
    }
}

/// The anchor of a heading, as GitHub and mdBook make it.
pub fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// The target of a link, seen from the root of the repository: its path and, if it names one, its anchor. None for
/// links that lead out of the repository.
pub fn resolve(page: &str, link: &str) -> Option<(String, Option<String>)> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (link, None),
    };
    if path.is_empty() {
        return Some((page.to_owned(), anchor));
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some((parts.join("/"), anchor))
}

/// What `<!-- docs: … -->` says at the end of `text`.
fn note_before(text: &str) -> Option<String> {
    let comment = text.trim_end().strip_suffix("-->")?;
    let start = comment.rfind("<!-- docs:")?;
    let note = &comment[start + "<!-- docs:".len()..];
    (!note.contains("-->")).then(|| note.trim().to_owned())
}

fn collect(dir: &Path, prefix: &str, paths: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) || name.starts_with(".venv") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{prefix}{name}/"), paths)?;
        } else if name.ends_with(".md") {
            paths.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A `b` c: d\n\ntext [x](y.md#z)\n\n<!-- docs: varies -->\n```sql\nSELECT 1;\n```\n\n```text\none\n```\n";

    fn page() -> Page {
        Page { path: "docs/p.md".to_owned(), text: TEXT.to_owned() }
    }

    #[test]
    fn blocks_have_their_places_and_notes() {
        let blocks = page().blocks();
        assert_eq!(blocks.len(), 2);
        assert_eq!((blocks[0].language.as_str(), blocks[0].line), ("sql", 6));
        assert_eq!(&TEXT[blocks[0].range.clone()], "SELECT 1;\n");
        assert_eq!(blocks[0].note.as_deref(), Some("varies"));
        assert_eq!((blocks[1].text.as_str(), blocks[1].note.as_deref()), ("one\n", None));
    }

    #[test]
    fn links_are_resolved_from_their_page() {
        assert_eq!(page().links(), [("y.md#z".to_owned(), 3)]);
        let target = |link: &str| resolve("docs/a/p.md", link);
        assert_eq!(target("../b.md#c"), Some(("docs/b.md".into(), Some("c".into()))));
        assert_eq!(target("#c"), Some(("docs/a/p.md".into(), Some("c".into()))));
        assert_eq!(target("https://example.org/x"), None);
    }

    #[test]
    fn anchors_are_those_of_github() {
        assert!(page().anchors().contains("a-b-c-d"));
        assert_eq!(anchor("Why is my index not used?"), "why-is-my-index-not-used");
        assert_eq!(anchor("`faiss.search`"), "faisssearch");
    }
}
