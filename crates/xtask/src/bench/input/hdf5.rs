//! The HDF5 files of ann-benchmarks: datasets `train`, `test`, `neighbors`, and the attribute
//! `distance`.

use anyhow::{Context, Result, bail, ensure};
use gauge::vectors::{Dataset, Metric, Neighbours, Vectors};
use hdf5_reader::Hdf5File;
use std::path::Path;

/// Reads a whole file; `metric` wins over the file's attribute.
pub fn read(path: &Path, metric: Option<Metric>) -> Result<Dataset> {
    let bytes = std::fs::read(path)?;
    let name = path.file_stem().map_or("hdf5".into(), |s| s.to_string_lossy().into_owned());
    parse(bytes, name, metric)
}

fn parse(bytes: Vec<u8>, name: String, metric: Option<Metric>) -> Result<Dataset> {
    let file = Hdf5File::from_vec(bytes).context("not a readable HDF5 file")?;
    let metric = match metric {
        Some(metric) => metric,
        None => stated_metric(&file)?,
    };
    let base = matrix(&file, "train")?;
    let queries = matrix(&file, "test")?;
    let given = if file.dataset("neighbors").is_ok() { Some(neighbours(&file)?) } else { None };
    Dataset { name, metric, base, queries, given }.validate()
}

fn stated_metric(file: &Hdf5File) -> Result<Metric> {
    let attribute = file.root_group()?.attribute("distance").context("no attribute 'distance'")?;
    match attribute.read_string()?.trim_end_matches('\0') {
        "euclidean" => Ok(Metric::L2),
        "angular" => Ok(Metric::Cosine),
        "dot" | "ip" => Ok(Metric::Ip),
        other => bail!("distance {other:?} is not supported (euclidean, angular, dot)"),
    }
}

fn matrix(file: &Hdf5File, name: &str) -> Result<Vectors> {
    let set = file.dataset(name).with_context(|| format!("no dataset {name:?}"))?;
    let &[_, dims] = set.shape() else { bail!("dataset {name:?} is not two-dimensional") };
    let dims = usize::try_from(dims)?;
    let data = match set.read_array::<f32>() {
        Ok(values) => values.into_iter().collect(),
        Err(_) => set.read_array::<f64>()?.into_iter().map(|x| x as f32).collect(),
    };
    Vectors::new(dims, data)
}

fn neighbours(file: &Hdf5File) -> Result<Neighbours> {
    let set = file.dataset("neighbors")?;
    let &[_, k] = set.shape() else { bail!("dataset \"neighbors\" is not two-dimensional") };
    let k = usize::try_from(k)?;
    ensure!(k > 0, "dataset \"neighbors\" is empty");
    let ids: Vec<i64> = match set.read_array::<i32>() {
        Ok(values) => values.into_iter().map(i64::from).collect(),
        Err(_) => set.read_array::<i64>()?.into_iter().collect(),
    };
    let ids = ids
        .into_iter()
        .map(|id| u32::try_from(id).context("a neighbour is not a row number"))
        .collect::<Result<_>>()?;
    Ok(Neighbours { k, ids })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by h5py: 20 × 4 `train`, 3 × 4 `test`, 5 neighbours, distance = euclidean;
    /// value (r, c) of `train` is r + c / 10, of `test` 2r + c / 10.
    const TINY: &[u8] = include_bytes!("tiny-euclidean.hdf5");

    #[test]
    fn reads_an_ann_benchmarks_file() {
        let set = parse(TINY.to_vec(), "tiny".into(), None).unwrap();
        assert_eq!((set.metric, set.base.len(), set.base.dims()), (Metric::L2, 20, 4));
        assert_eq!(set.queries.row(1), [2.0, 2.1, 2.2, 2.3]);
        let given = set.given.unwrap();
        assert_eq!((given.k, given.ids[0], given.ids[5]), (5, 0, 2));
    }

    #[test]
    fn the_caller_may_choose_the_metric() {
        let set = parse(TINY.to_vec(), "tiny".into(), Some(Metric::Cosine)).unwrap();
        assert_eq!(set.metric, Metric::Cosine);
    }

    #[test]
    fn refuses_malformed_files() {
        assert!(parse(Vec::new(), "empty".into(), None).is_err());
        for cut in [8, 100, 600, TINY.len() / 2] {
            assert!(parse(TINY[..cut].to_vec(), "cut".into(), None).is_err(), "cut at {cut}");
        }
    }
}
