//! The vectors of a measurement in memory: a row-major matrix of f32, the metric they are compared
//! by, and the set of both.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// How two vectors are compared; smaller distances are nearer under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    L2,
    Ip,
    Cosine,
}

impl Metric {
    /// The SQL operator that orders by this metric.
    pub fn operator(self) -> &'static str {
        match self {
            Metric::L2 => "<->",
            Metric::Ip => "<#>",
            Metric::Cosine => "<=>",
        }
    }

    /// The operator class of type `vector`; ours and pgvector's have the same names.
    pub fn opclass(self) -> &'static str {
        match self {
            Metric::L2 => "vector_l2_ops",
            Metric::Ip => "vector_ip_ops",
            Metric::Cosine => "vector_cosine_ops",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Metric::L2 => "l2",
            Metric::Ip => "ip",
            Metric::Cosine => "cosine",
        }
    }

    /// The distance in double precision by a plain loop: the truth every system is judged by,
    /// so it shares no code with any of them. A zero vector is infinitely far under cosine.
    pub fn distance(self, a: &[f32], b: &[f32]) -> f64 {
        let pairs = a.iter().zip(b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
        match self {
            Metric::L2 => pairs.map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(),
            Metric::Ip => -pairs.map(|(x, y)| x * y).sum::<f64>(),
            Metric::Cosine => {
                let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
                for (x, y) in pairs {
                    xy += x * y;
                    xx += x * x;
                    yy += y * y;
                }
                if xx == 0.0 || yy == 0.0 { f64::INFINITY } else { 1.0 - xy / (xx * yy).sqrt() }
            }
        }
    }
}

impl std::str::FromStr for Metric {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Metric> {
        match text {
            "l2" => Ok(Metric::L2),
            "ip" => Ok(Metric::Ip),
            "cosine" => Ok(Metric::Cosine),
            _ => bail!("the metrics are l2, ip and cosine"),
        }
    }
}

/// Row-major vectors of one dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    dims: usize,
    data: Vec<f32>,
}

impl Vectors {
    /// Takes the values of whole rows. Refuses a dimension outside 1..=16,000, half a row,
    /// and values that are not finite (no system could store them).
    pub fn new(dims: usize, data: Vec<f32>) -> Result<Self> {
        ensure!((1..=16_000).contains(&dims), "dimension {dims} is outside 1..16000");
        ensure!(
            data.len().is_multiple_of(dims),
            "{} values are not whole rows of {dims}",
            data.len()
        );
        if let Some(at) = data.iter().position(|x| !x.is_finite()) {
            bail!("row {} holds a value that is not finite", at / dims);
        }
        Ok(Vectors { dims, data })
    }

    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.data.len() / self.dims
    }

    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.dims..(i + 1) * self.dims]
    }

    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.dims)
    }

    pub fn as_flat(&self) -> &[f32] {
        &self.data
    }

    /// The first `n` rows (all, if there are fewer).
    pub fn first(&self, n: usize) -> Vectors {
        let n = n.min(self.len());
        Vectors { dims: self.dims, data: self.data[..n * self.dims].to_vec() }
    }

    /// Every row divided by its L2 norm; zero rows stay.
    pub fn normalised(mut self) -> Vectors {
        for row in self.data.chunks_exact_mut(self.dims) {
            let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
            }
        }
        self
    }
}

/// Nearest rows that a file gives for each query, `k` row numbers per query, nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    pub k: usize,
    pub ids: Vec<u32>,
}

/// What one measurement runs on.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub name: String,
    pub metric: Metric,
    pub base: Vectors,
    pub queries: Vectors,
    /// The file's own ground truth, which ours is checked against.
    pub given: Option<Neighbours>,
}

impl Dataset {
    /// Checks that base and queries belong together.
    pub fn validate(self) -> Result<Self> {
        let (b, q) = (self.base.dims(), self.queries.dims());
        ensure!(b == q, "{}: base has {b} dimensions, queries have {q}", self.name);
        ensure!(!self.base.is_empty(), "{}: no base rows", self.name);
        ensure!(!self.queries.is_empty(), "{}: no queries", self.name);
        if let Some(given) = &self.given {
            let n = given.ids.len() / given.k.max(1);
            ensure!(
                n >= self.queries.len(),
                "{}: ground truth for {n} of {} queries",
                self.name,
                self.queries.len()
            );
        }
        Ok(self)
    }

    /// The same set cut to its first `rows` rows and `queries` queries. The given ground truth
    /// speaks of all rows, so it goes when rows go.
    pub fn cut(&self, rows: usize, queries: usize) -> Dataset {
        let given = if rows >= self.base.len() { self.given.clone() } else { None };
        Dataset {
            name: self.name.clone(),
            metric: self.metric,
            base: self.base.first(rows),
            queries: self.queries.first(queries),
            given,
        }
    }
}
