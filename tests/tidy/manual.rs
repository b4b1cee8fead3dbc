//! Rules of the documentation: it names everything, its links lead somewhere, and it can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use xtask::build::repository;
use xtask::markdown::{Page, resolve};
use xtask::prose::Density;

use super::{functions, has_word, none, settings, sources};

/// Lines of the README, at most.
const README_LINES: usize = 150;
/// Characters of a line of prose, at most: a sentence that is longer is two.
const LONGEST_LINE: usize = 160;

fn pages() -> Vec<Page> {
    Page::all().unwrap_or_else(|e| panic!("{e:#}"))
}

/// What users read, as opposed to what is beside the code.
fn is_for_users(page: &Page) -> bool {
    !page.path.contains('/') || page.path.starts_with("docs/")
}

fn text_of(path: &str) -> String {
    Page::read(path).unwrap_or_else(|e| panic!("{e:#}")).text
}

#[test]
fn the_reference_names_everything() {
    let (mut called, mut set, mut options) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for source in &sources() {
        if source.path.starts_with("sql/") {
            called.extend(functions(&source.text));
        } else if source.is("rs") && source.path.starts_with("src/am/") {
            for name in settings(source) {
                if name.contains('.') {
                    set.insert(name)
                } else {
                    options.insert(name)
                };
            }
        }
    }
    for (page, names) in [("functions", called), ("settings", set), ("options", options)] {
        assert!(!names.is_empty(), "no names of {page} were found");
        let text = text_of(&format!("docs/reference/{page}.md")).to_lowercase();
        let missing = names.into_iter().filter(|n| !has_word(&text, &n.to_lowercase()));
        none(&format!("docs/reference/{page}.md names every one"), missing.collect());
    }
}

#[test]
fn the_reference_names_every_sqlstate() {
    let reference = text_of("docs/reference/errors.md");
    let mut missing = BTreeSet::new();
    let mut seen = 0;
    for source in sources() {
        let is_test = source.path.ends_with("tests.rs") || source.path.contains("/testing");
        if !source.is("rs") || !source.path.starts_with("src/") || is_test {
            continue;
        }
        for (_, line) in source.code() {
            for rest in line.split("ERRCODE_").skip(1) {
                let end =
                    rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
                let name = rest[..end].to_lowercase();
                seen += 1;
                // A notice is no error.
                if name != "successful_completion" && !reference.contains(&format!("`{name}`")) {
                    missing.insert(name);
                }
            }
        }
    }
    assert!(seen > 20, "no SQLSTATEs were found");
    none("docs/reference/errors.md names every SQLSTATE", missing.into_iter().collect());
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        pages.iter().map(|page| (page.path.as_str(), page.anchors())).collect();
    let mut dead = Vec::new();
    for page in &pages {
        for (link, line) in page.links() {
            // A chapter that is to come.
            if link.is_empty() && page.path == "docs/SUMMARY.md" {
                continue;
            }
            let Some((path, anchor)) = resolve(&page.path, &link) else { continue };
            let has_anchor = match (&anchor, anchors.get(path.as_str())) {
                (None, _) => true,
                (Some(anchor), Some(known)) => known.contains(anchor),
                (Some(_), None) => false,
            };
            if !repository().join(&path).exists() || !has_anchor {
                dead.push(format!("{}:{line}: {link}", page.path));
            }
        }
    }
    none("links lead somewhere", dead);
}

/// Pages that can be reached from the README by so many clicks.
fn reached(clicks: usize) -> BTreeSet<String> {
    let mut known = BTreeSet::from(["README.md".to_owned()]);
    for _ in 0..clicks {
        for path in known.clone() {
            let Ok(page) = Page::read(&path) else { continue };
            let links = page.links().into_iter().filter_map(|(link, _)| resolve(&path, &link));
            known.extend(links.map(|(target, _)| target).filter(|t| t.ends_with(".md")));
        }
    }
    known
}

#[test]
fn every_page_is_one_click_from_the_readme() {
    let (near, mut far) = (reached(1), Vec::new());
    let summary = text_of("docs/SUMMARY.md");
    for page in pages().iter().filter(|page| page.path.starts_with("docs/")) {
        let name = page.path.trim_start_matches("docs/");
        let is_list = ["README.md", "SUMMARY.md"].contains(&name);
        if !is_list && (!near.contains(&page.path) || !summary.contains(&format!("({name})"))) {
            far.push(page.path.clone());
        }
    }
    none("README.md and docs/SUMMARY.md link to every chapter", far);
}

/// What strangers ask, and where the answer is: a page with this heading, at most two clicks from the README. The second click
/// is the heading in a list of the page's headings, or a link.
const QUESTIONS: [(&str, &str, &str); 12] = [
    ("How do I install it?", "docs/installation.md", "From a package"),
    ("How do I move from pgvector?", "docs/coming-from-pgvector.md", "Try it beside pgvector"),
    ("Does my framework work?", "docs/your-framework.md", "LangChain"),
    ("Which index should I take?", "docs/recall.md", "Which index"),
    ("How much memory for 5 million rows of 768?", "docs/recall.md", "How much memory"),
    ("Why is my index not used?", "docs/troubleshooting.md", "Why is my index not used?"),
    ("How do I search with a WHERE?", "docs/filters.md", "Filter columns"),
    ("How do I find more of the right rows?", "docs/recall.md", "Tune"),
    ("How do I combine it with text search?", "docs/queries.md", "Hybrid search"),
    ("When must I rebuild?", "docs/growing.md", "What VACUUM does"),
    ("What happens in a crash?", "docs/reliability.md", "Crashes and copies"),
    ("What does XX002 mean?", "docs/reference/errors.md", "SQLSTATEs"),
];

#[test]
fn questions_have_answers_within_two_clicks() {
    let near = reached(1);
    let lost = QUESTIONS.iter().filter(|(_, path, heading)| {
        let page = Page::read(path).unwrap_or_else(|e| panic!("{e:#}"));
        !near.contains(*path) || !page.headings().iter().any(|(_, text)| text == heading)
    });
    none("strangers find it", lost.map(|(question, ..)| (*question).to_owned()).collect());
}

#[test]
fn the_readme_is_short() {
    let lines = text_of("README.md").lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines; {README_LINES} are enough");
}

#[test]
fn pages_can_be_read() {
    let mut offences = Vec::new();
    for page in pages().iter().filter(|page| is_for_users(page)) {
        let density = Density::of(page);
        // The reference is made of tables, to look things up in.
        let most = if page.path.starts_with("docs/reference/") { 400 } else { 170 };
        let limits = [
            ("words a heading", density.words_per_heading(), most),
            ("words of the paragraph in the middle", density.paragraph, 30),
            ("words of the sentence in the middle", density.sentence, 16),
            ("words of nine sentences in ten", density.long_sentence, 28),
        ];
        for (what, found, most) in limits.into_iter().filter(|(_, found, most)| found > most) {
            offences.push(format!("{}: {found} {what}, at most {most}", page.path));
        }
    }
    none("pages are for reading", offences);
}

#[test]
fn a_line_is_a_sentence() {
    let mut offences = Vec::new();
    for page in pages().iter().filter(|page| is_for_users(page)) {
        let mut in_code = false;
        for (i, line) in page.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            let is_prose = !in_code && !line.starts_with(['|', '#', '<']);
            if is_prose && (line.chars().count() > LONGEST_LINE || has_two_sentences(line)) {
                offences.push(format!("{}:{}", page.path, i + 1));
            }
        }
    }
    none(&format!("one sentence a line, at most {LONGEST_LINE} characters"), offences);
}

/// An example that is wider does not fit a page of the site.
const WIDEST_EXAMPLE: usize = 100;

#[test]
fn examples_fit_the_page() {
    let mut wide = Vec::new();
    for page in pages().iter().filter(|page| is_for_users(page)) {
        for block in page.blocks().iter().filter(|block| block.language == "sql") {
            // What is compared with a client's script keeps its lines.
            let is_ours = block.note.as_deref().is_none_or(|note| !note.contains("tests/clients"));
            let widest = block.text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            if is_ours && widest > WIDEST_EXAMPLE {
                wide.push(format!("{}:{}: {widest} characters", page.path, block.line));
            }
        }
    }
    none(&format!("SQL has at most {WIDEST_EXAMPLE} characters a line"), wide);
}

/// Whether a sentence begins within the line. A short beginning in bold, as of an item, is none.
fn has_two_sentences(line: &str) -> bool {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || "-. ".contains(c));
    let body = match line.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
        Some((_, body)) => body.trim_start(),
        None => line,
    };
    // Code holds dots of other kinds.
    let prose: String = body.split('`').step_by(2).collect::<Vec<_>>().join("x");
    prose.split(". ").skip(1).any(|next| next.starts_with(|c: char| c.is_uppercase()))
}

#[test]
fn commands_that_are_shown_exist() {
    let main = fs::read_to_string(repository().join("crates/xtask/src/main.rs")).unwrap();
    let tasks = main.split("enum Task {").nth(1).unwrap().split("\n}").next().unwrap();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for line in tasks.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "))
    {
        let name: String = line.trim().chars().take_while(|c| c.is_alphanumeric()).collect();
        if name.starts_with(|c: char| c.is_uppercase()) {
            let dashed = name.replace("PgvectorSuite", "pgvector-suite").to_lowercase();
            known.insert(dashed);
        }
    }
    assert!(known.contains("demo") && known.contains("pgvector-suite"), "{known:?}");
    let mut unknown = BTreeSet::new();
    for page in pages() {
        for rest in page.text.split("cargo xtask ").skip(1) {
            let end =
                rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '-');
            let name = &rest[..end.unwrap_or(rest.len())];
            if !name.is_empty() && !known.contains(name) {
                unknown.insert(format!("{}: cargo xtask {name}", page.path));
            }
        }
    }
    none("commands that are shown exist", unknown.into_iter().collect());
}

#[test]
fn versions_agree() {
    let version = xtask::install::VERSION;
    let meta = fs::read_to_string(repository().join("META.json")).unwrap();
    let says = |file: &str, text: &str, what: &str| {
        assert!(text.contains(what), "{file} does not say {what}");
    };
    says("META.json", &meta, &format!("\"version\": \"{version}\""));
    says("META.json", &meta, &format!("\"version\": \"{}\"", xtask::install::VECTOR_VERSION));
    says("CHANGELOG.md", &text_of("CHANGELOG.md"), &format!("## {version}"));
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let rust = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    says("README.md", &text_of("README.md"), &format!("Rust {rust}"));
    let majors: Vec<String> = xtask::pg::SUPPORTED_MAJORS.map(|major| major.to_string()).collect();
    for workflow in ["ci", "release"] {
        let path = format!(".github/workflows/{workflow}.yml");
        let text = fs::read_to_string(repository().join(&path)).unwrap();
        says(&path, &text, &format!("major: [{}]", majors.join(", ")));
    }
}

#[test]
fn formats_of_this_release_are_in_the_table() {
    let number = |path: &str, name: &str| {
        let text = fs::read_to_string(repository().join(path)).unwrap();
        let rest = text.split(&format!("{name}: u16 = ")).nth(1);
        let rest = rest.unwrap_or_else(|| panic!("{path} has no {name}"));
        rest.split(';').next().unwrap().to_owned()
    };
    let row = format!(
        "| {} | {} | {} | {} | {} |",
        xtask::install::VERSION,
        number("crates/pages/src/lists/meta.rs", "FORMAT_VERSION"),
        number("crates/pages/src/hnsw/meta.rs", "FORMAT_VERSION"),
        number("crates/pages/src/page.rs", "OPAQUE_VERSION"),
        number("crates/pages/src/blob.rs", "VERSION"),
    );
    assert!(text_of("RELEASING.md").contains(&row), "RELEASING.md has no row {row}");
}
