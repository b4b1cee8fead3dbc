//! Pages as a reader sees them: the site, the bench's report and that of an index are opened in a real browser, wide and narrow.
//! Pictures of them are left in `target/browser`, to be looked at.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::browser::{self, Seen};
use xtask::build::{repository, target_dir};
use xtask::site;

fn pictures() -> PathBuf {
    let dir = target_dir().join("browser");
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Fails if anything is in the reader's way; leaves a picture called `name`.
fn look_at(page: &Path, name: &str) -> Seen {
    let seen = browser::must_be_readable(page).unwrap_or_else(|e| panic!("{e:#}"));
    let picture = pictures().join(format!("{name}.png"));
    browser::picture(page, &picture, 1200, 1800).unwrap_or_else(|e| panic!("{e:#}"));
    let narrow = pictures().join(format!("{name}-narrow.png"));
    browser::picture(page, &narrow, 500, 1200).unwrap_or_else(|e| panic!("{e:#}"));
    seen
}

#[test]
fn the_site_can_be_read() {
    let out = target_dir().join("site/book");
    let first = site::build(&out).unwrap_or_else(|e| panic!("{e:#}"));
    assert_eq!(look_at(&first, "site").heading, "pgfaiss");
    for page in ["docs/getting-started", "docs/recall", "docs/codes", "docs/reference/options"] {
        let seen = look_at(&out.join(format!("{page}.html")), &page.replace('/', "-"));
        assert!(!seen.heading.is_empty());
    }
    let chapters = fs::read_dir(out.join("docs")).unwrap().flatten();
    let pages = chapters.filter(|f| f.path().extension().is_some_and(|e| e == "html")).count();
    assert!(pages >= 19, "the site has {pages} chapters");
}

#[test]
fn the_report_of_an_index_can_be_read() {
    let db = checks::Database::new("report");
    let mut client = db.connect();
    checks::load(&mut client, "words", &checks::dictionary().base);
    for (name, index, charts) in [
        ("lists", "faissivf (v vector_cosine_ops)", 3),
        ("coded", "faissivf (v vector_cosine_ops) WITH (code = pqfs, m = 96)", 3),
        ("graph", "faisshnsw (v vector_cosine_ops) WITH (m = 8, efConstruction = 40)", 2),
    ] {
        let index_name = format!("words_{name}");
        client.batch_execute(&format!("CREATE INDEX {index_name} ON words USING {index}")).unwrap();
        let page: String = client
            .query_one("SELECT faiss.report($1::text::regclass)", &[&index_name])
            .unwrap_or_else(|e| panic!("{}", checks::describe(&e)))
            .get(0);
        let path = pictures().join(format!("report-{name}.html"));
        fs::write(&path, page).unwrap();
        let seen = look_at(&path, &format!("report-{name}"));
        assert_eq!(seen.heading, format!("Index {index_name} of table words"));
        assert_eq!(seen.charts, charts, "{name}");
    }
}

#[test]
fn the_report_of_the_bench_can_be_read() {
    let records = repository().join("docs/images/bench.jsonl");
    let copy = pictures().join("bench.jsonl");
    fs::copy(records, &copy).unwrap();
    xtask::bench::draw(&copy).unwrap_or_else(|e| panic!("{e:#}"));
    let seen = look_at(&copy.with_extension("html"), "bench");
    assert_eq!(seen.heading, "Vector search in PostgreSQL, measured");
    assert!(seen.charts >= 4 && seen.tables >= 3, "{seen:?}");
}

#[test]
fn a_page_with_faults_is_not_let_through() {
    let path = pictures().join("faulty.html");
    let page = "<html><body><h1>x</h1><div style=\"width:3000px\">wide</div><img src=\"none.png\"><figure>\
        <svg viewBox=\"0 0 300 100\" width=\"300\"><text x=\"10\" y=\"50\">one label</text>\
        <text x=\"12\" y=\"52\">another</text><text x=\"290\" y=\"20\">cut off here</text></svg></figure></body></html>";
    fs::write(&path, page).unwrap();
    let faults = browser::look(&path, 800).unwrap_or_else(|e| panic!("{e:#}")).faults.join("\n");
    for fault in ["wide", "no picture", "lies on", "cut off"] {
        assert!(faults.contains(fault), "{fault} is not in\n{faults}");
    }
}
