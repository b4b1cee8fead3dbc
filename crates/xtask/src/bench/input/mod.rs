//! Where vectors come from: TEXMEX files, `.npy`, ann-benchmarks HDF5, or a folder that holds
//! `base.*`, `query.*` and `gt-<metric>.ivecs`.

pub mod hdf5;
pub mod npy;
pub mod texmex;

use anyhow::{Context, Result, bail};
use gauge::vectors::{Dataset, Metric, Neighbours, Vectors};
use std::path::{Path, PathBuf};

/// Loads `what`: a path, or the name of a folder under `data_dir`. `metric` overrides what the
/// files suggest (L2 where there is ground truth for it, else cosine).
pub fn load(what: &str, data_dir: Option<&Path>, metric: Option<Metric>) -> Result<Dataset> {
    let path = locate(what, data_dir)?;
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        _ if path.is_dir() => folder(&path, metric),
        Some("hdf5" | "h5") => hdf5::read(&path, metric),
        _ => bail!("{}: give a folder or an .hdf5 file", path.display()),
    }
    .with_context(|| format!("cannot load {}", path.display()))
}

fn locate(what: &str, data_dir: Option<&Path>) -> Result<PathBuf> {
    let direct = PathBuf::from(what);
    if direct.exists() {
        return Ok(direct);
    }
    match data_dir.map(|d| d.join(what)) {
        Some(inside) if inside.exists() => Ok(inside),
        Some(inside) => bail!("neither {what} nor {} exists", inside.display()),
        None => bail!("{what} does not exist (PGFAISS_DATA names a folder of data sets)"),
    }
}

fn folder(path: &Path, metric: Option<Metric>) -> Result<Dataset> {
    let name = path.file_name().map_or("data".into(), |s| s.to_string_lossy().into_owned());
    let base = vectors(&member(path, "base")?)?;
    let queries = vectors(&member(path, "query")?)?;
    let metric = metric.unwrap_or(match path.join("gt-l2.ivecs").exists() {
        true => Metric::L2,
        false => Metric::Cosine,
    });
    let given = ground_truth(path, metric)?;
    Dataset { name, metric, base, queries, given }.validate()
}

/// The file `stem`.* in a format we read.
fn member(folder: &Path, stem: &str) -> Result<PathBuf> {
    ["fvecs", "bvecs", "npy"]
        .iter()
        .map(|e| folder.join(format!("{stem}.{e}")))
        .find(|p| p.exists())
        .with_context(|| format!("no {stem}.fvecs, {stem}.bvecs or {stem}.npy"))
}

fn vectors(path: &Path) -> Result<Vectors> {
    let bytes = std::fs::read(path)?;
    let read = || match path.extension().and_then(|e| e.to_str()) {
        Some("fvecs") => texmex::fvecs(&bytes),
        Some("bvecs") => texmex::bvecs(&bytes),
        _ => match npy::parse(&bytes)? {
            // Unit vectors are shipped as int8 rows; the vector is the row divided by its norm.
            (rows, npy::Element::Int8) => Ok(rows.normalised()),
            (rows, _) => Ok(rows),
        },
    };
    read().with_context(|| path.display().to_string())
}

fn ground_truth(folder: &Path, metric: Metric) -> Result<Option<Neighbours>> {
    let stem = match metric {
        Metric::L2 => "gt-l2.ivecs",
        Metric::Cosine => "gt-cos.ivecs",
        Metric::Ip => "gt-ip.ivecs",
    };
    let path = folder.join(stem);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(texmex::ivecs(&std::fs::read(&path)?).with_context(|| path.display().to_string())?))
}
