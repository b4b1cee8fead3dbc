//! `cargo xtask site`: the documentation as a site with a search box, made by mdBook from the same files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::build::{repository, target_dir};
use crate::markdown::{Page, resolve};
use crate::tools::MDBOOK;

/// The list of chapters.
const SUMMARY: &str = "docs/SUMMARY.md";
const BOOK: &str = "[book]
title = \"pgfaiss\"
description = \"FAISS's index families as PostgreSQL index access methods\"
language = \"en\"
src = \"src\"

[build]
create-missing = false

[output.html]
no-section-label = true
";

/// Makes the site and returns the path of its first page.
pub fn build(out: &Path) -> Result<PathBuf> {
    let work = target_dir().join("site");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    stage(&work.join("src"))?;
    fs::write(work.join("book.toml"), BOOK)?;
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| out.display().to_string())?;
    }
    let mut mdbook = MDBOOK.command()?;
    mdbook.arg("build").arg(&work).arg("--dest-dir").arg(std::path::absolute(out)?);
    let said = mdbook.output().context("could not run mdbook")?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.success() && !text.contains("WARN"), "mdbook failed\n{text}");
    let dead = dead_links(out)?;
    ensure!(dead.is_empty(), "links that lead nowhere:\n  {}", dead.join("\n  "));
    Ok(out.join("index.html"))
}

/// The command.
pub fn main(out: Option<PathBuf>) -> Result<()> {
    let out = out.unwrap_or_else(|| target_dir().join("site/book"));
    let first = build(&out)?;
    println!("{}", first.display());
    Ok(())
}

/// Lays out the chapters at their places in the repository, so that links between them hold, and what they link to.
fn stage(src: &Path) -> Result<()> {
    let summary = Page::read(SUMMARY)?;
    let listed = |(link, _): (String, usize)| resolve(SUMMARY, &link).filter(|_| !link.is_empty());
    let chapters: BTreeSet<String> =
        summary.links().into_iter().filter_map(listed).map(|(path, _)| path).collect();
    for chapter in &chapters {
        let page = Page::read(chapter)?;
        for (link, line) in page.links() {
            let Some((path, _)) = resolve(chapter, &link) else { continue };
            if !path.ends_with(".md") {
                copy(&path, src)?;
            } else if !chapters.contains(&path) {
                bail!("{chapter}:{line} links to {path}, which {SUMMARY} does not list");
            }
        }
        write(&src.join(served(chapter)), &relinked(&page, served))?;
    }
    let from_the_root = |link: &str| match resolve(SUMMARY, link) {
        Some((path, _)) if !link.is_empty() => served(&path),
        _ => link.to_owned(),
    };
    write(&src.join("SUMMARY.md"), &relinked(&summary, from_the_root))
}

/// What mdBook calls a file: it would do this renaming itself, but not in the links to it.
fn served(path: &str) -> String {
    path.replace("README.md", "index.md")
}

/// The text of a page whose links lead elsewhere.
fn relinked(page: &Page, change: impl Fn(&str) -> String) -> String {
    let mut lines: Vec<String> = page.text.lines().map(str::to_owned).collect();
    for (link, number) in page.links().into_iter().filter(|(link, _)| !link.contains("://")) {
        let line = &mut lines[number - 1];
        *line = line.replace(&format!("]({link})"), &format!("]({})", change(&link)));
    }
    lines.join("\n") + "\n"
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a path without a folder")?)?;
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn copy(file: &str, src: &Path) -> Result<()> {
    let (from, to) = (repository().join(file), src.join(file));
    ensure!(from.is_file(), "{file} is linked to, and is not a file");
    fs::create_dir_all(to.parent().context("a path without a folder")?)?;
    fs::copy(&from, &to).with_context(|| from.display().to_string())?;
    Ok(())
}

/// Links of the built site that lead nowhere.
fn dead_links(site: &Path) -> Result<Vec<String>> {
    let mut pages = Vec::new();
    collect(site, &mut pages)?;
    let mut dead = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page)?;
        // Not a chapter: what search engines and printers get, and the page of errors, whose links are relative to any place.
        let name = page.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if ["print.html", "404.html", "toc.html"].contains(&name) {
            continue;
        }
        for target in targets(&text) {
            if !leads_somewhere(page, target)? {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    Ok(dead)
}

fn collect(dir: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, pages)?;
        } else if path.extension().is_some_and(|e| e == "html") {
            pages.push(path);
        }
    }
    Ok(())
}

/// The values of all `href` and `src`.
fn targets(html: &str) -> impl Iterator<Item = &str> {
    let after = |name| html.split(name).skip(1).filter_map(|rest| rest.split('"').next());
    after(" href=\"").chain(after(" src=\""))
}

fn leads_somewhere(page: &Path, target: &str) -> Result<bool> {
    if target.contains("://") || target.starts_with("mailto:") || target.starts_with("data:") {
        return Ok(true);
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => page.to_owned(),
        path => page.parent().unwrap_or(Path::new("")).join(path),
    };
    if !file.is_file() {
        return Ok(false);
    }
    let is_page = file.extension().is_some_and(|e| e == "html");
    if anchor.is_empty() || !is_page {
        return Ok(true);
    }
    Ok(fs::read_to_string(&file)?.contains(&format!("id=\"{anchor}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_changed_where_they_stand() {
        let text =
            "[a](README.md) [b](../README.md#x)\n`](README.md)` [c](https://x.org/README.md)\n";
        let page = Page { path: "docs/p.md".into(), text: text.into() };
        let changed = relinked(&page, served);
        assert!(changed.starts_with("[a](index.md) [b](../index.md#x)\n"), "{changed}");
        assert!(changed.contains("https://x.org/README.md"), "{changed}");
    }

    #[test]
    fn links_of_a_built_page_are_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("a.html");
        fs::write(&page, "<h1 id=\"x\"></h1><a href=\"a.html#x\"></a><a href=\"#y\"></a>").unwrap();
        fs::write(dir.path().join("b.html"), "<img src=\"c.svg\">").unwrap();
        let dead = dead_links(dir.path()).unwrap();
        assert_eq!(dead.len(), 2, "{dead:?}");
        assert!(
            dead.iter().any(|d| d.ends_with("#y")) && dead.iter().any(|d| d.ends_with("c.svg"))
        );
    }
}
