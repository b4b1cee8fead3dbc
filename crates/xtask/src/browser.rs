//! Looking at a page in a real browser without a screen: what a reader would see, and what would be in the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::setup;

/// Names of the browser, and the package that has it on Debian.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const PACKAGE: &str = "chromium";

/// What the browser saw.
#[derive(Debug, Default, Deserialize)]
pub struct Seen {
    pub heading: String,
    pub charts: usize,
    pub tables: usize,
    /// What is wrong, in words.
    pub faults: Vec<String>,
}

/// Run in the page, after it has loaded.
const INSPECT: &str = include_str!("browser/inspect.js");

/// The browser; installs it where it is missing and can be.
pub fn ensure() -> Result<PathBuf> {
    let present = || PROGRAMS.iter().find(|name| setup::has_program(name)).map(PathBuf::from);
    if let Some(program) = present() {
        return Ok(program);
    }
    setup::install_packages(&[PACKAGE])?;
    present().with_context(|| format!("no browser; install one of {}", PROGRAMS.join(", ")))
}

/// Opens a local page in a window of this width and says what is to be seen.
pub fn look(page: &Path, width: u32) -> Result<Seen> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    // Beside the page, so that it finds its pictures and styles.
    let copy = page.with_extension(format!("seen-{width}.html"));
    let script = format!("<script>{INSPECT}</script>");
    fs::write(&copy, text.replacen("</body>", &format!("{script}</body>"), 1))?;
    let dump = run(width, 1000, &["--dump-dom".to_owned(), url(&copy)?]);
    fs::remove_file(&copy)?;
    let dump = dump?;
    let json = dump
        .split_once("<pre id=\"seen\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .map(|(json, _)| json.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        .with_context(|| format!("the browser did not get through {}", page.display()))?;
    Ok(serde_json::from_str(&json)?)
}

/// Fails if anything is in the reader's way, in a wide window or on a telephone.
pub fn must_be_readable(page: &Path) -> Result<Seen> {
    let wide = look(page, 1200)?;
    let narrow = look(page, 500)?;
    let faults: Vec<String> = wide.faults.iter().chain(&narrow.faults).cloned().collect();
    ensure!(faults.is_empty(), "{}:\n  {}", page.display(), faults.join("\n  "));
    Ok(wide)
}

/// Writes a picture of the top of a page.
pub fn picture(page: &Path, to: &Path, width: u32, height: u32) -> Result<()> {
    let to = std::path::absolute(to)?;
    run(width, height, &[format!("--screenshot={}", to.display()), url(page)?])?;
    ensure!(to.exists(), "the browser wrote no picture of {}", page.display());
    Ok(())
}

fn url(page: &Path) -> Result<String> {
    Ok(format!("file://{}", std::path::absolute(page)?.display()))
}

fn run(width: u32, height: u32, arguments: &[String]) -> Result<String> {
    let profile = tempfile::tempdir()?;
    let mut browser = Command::new(ensure()?);
    // The sandbox needs rights that containers do not give; the pages are our own.
    browser.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    browser.args(["--disable-dev-shm-usage", "--virtual-time-budget=5000"]);
    browser.arg(format!("--window-size={width},{height}"));
    browser.arg(format!("--user-data-dir={}", profile.path().display())).args(arguments);
    let out = browser.output().context("could not run the browser")?;
    if !out.status.success() {
        bail!("the browser failed\n{}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
