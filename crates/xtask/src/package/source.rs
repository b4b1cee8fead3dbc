//! The source archive and the bill of materials.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{output, time_of_commit};
use crate::build::repository;
use crate::install::VERSION;
use crate::tools::CYCLONEDX;

/// What is committed, as an archive for PGXN and packagers: the same commit gives the same bytes.
pub fn archive(out: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(out.join(format!("pgfaiss-{VERSION}.tar.gz")))?;
    let tar = path.with_extension("");
    let mut git = Command::new("git");
    git.current_dir(repository()).args(["archive", "--format=tar"]);
    git.arg(format!("--prefix=pgfaiss-{VERSION}/")).arg("--output").arg(&tar).arg("HEAD");
    output(&mut git)?;
    // Without the name and the time of the file.
    output(Command::new("gzip").args(["-9", "-n", "-f"]).arg(&tar))?;
    Ok(path)
}

/// Every crate that is in the library, as CycloneDX.
pub fn bill_of_materials(out: &Path) -> Result<PathBuf> {
    let mut cyclonedx = CYCLONEDX.command()?;
    cyclonedx.current_dir(repository()).args(["cyclonedx", "--format", "json", "--target"]);
    cyclonedx.arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
    cyclonedx.args(["--override-filename", "bom"]).env("SOURCE_DATE_EPOCH", time_of_commit()?);
    let said = cyclonedx.output().context("could not run cargo-cyclonedx")?;
    if !said.status.success() {
        bail!("cargo-cyclonedx failed\n{}", String::from_utf8_lossy(&said.stderr));
    }
    let path = out.join(format!("pgfaiss-{VERSION}.cdx.json"));
    // It writes one beside each manifest of the workspace; the root's is that of the library.
    for manifest in manifests()? {
        let bom = manifest.with_file_name("bom.json");
        if manifest == repository().join("Cargo.toml") {
            let text = fs::read_to_string(&bom).with_context(|| bom.display().to_string())?;
            fs::write(&path, without_places(&text)?)?;
        }
        fs::remove_file(&bom).ok();
    }
    Ok(path)
}

/// The manifests of the workspace.
fn manifests() -> Result<Vec<PathBuf>> {
    let mut cargo = crate::build::cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let metadata: serde_json::Value = serde_json::from_str(&output(&mut cargo)?)?;
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    Ok(packages.iter().filter_map(|p| Some(PathBuf::from(p["manifest_path"].as_str()?))).collect())
}

/// The bill without what differs from one machine to another: paths, and a number that is drawn.
fn without_places(text: &str) -> Result<String> {
    let here = repository().display().to_string();
    let mut bill: serde_json::Value = serde_json::from_str(&text.replace(&here, "."))?;
    if let Some(bill) = bill.as_object_mut() {
        bill.remove("serialNumber");
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&bill)?))
}
