//! The measures of nearness that an index knows.

/// How nearness of two vectors is measured. In every place "smaller is nearer".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    /// Euclidean distance; compared by its square wherever only the order matters.
    L2,
    /// Negative inner product.
    InnerProduct,
    /// 1 − cosine similarity.
    Cosine,
    /// Taxicab distance: only where vectors are stored as they are and there are no centroids.
    L1,
}

impl Metric {
    /// The number stored in an index's metapage.
    pub fn to_u8(self) -> u8 {
        match self {
            Metric::L2 => 0,
            Metric::InnerProduct => 1,
            Metric::Cosine => 2,
            Metric::L1 => 3,
        }
    }

    /// The metric with that stored number, or `None` for a number never given out.
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Metric::L2),
            1 => Some(Metric::InnerProduct),
            2 => Some(Metric::Cosine),
            3 => Some(Metric::L1),
            _ => None,
        }
    }

    /// The name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            Metric::L2 => "l2",
            Metric::InnerProduct => "inner_product",
            Metric::Cosine => "cosine",
            Metric::L1 => "l1",
        }
    }

    /// True where centroids are kept at norm 1 and a vector belongs to the centroid of largest
    /// inner product (spherical k-means).
    pub fn is_spherical(self) -> bool {
        matches!(self, Metric::InnerProduct | Metric::Cosine)
    }

    /// True where a vector of zeros is a point like any other; else it has no direction, and nothing is nearer to it than
    /// anything else.
    pub fn has_origin(self) -> bool {
        matches!(self, Metric::L2 | Metric::L1)
    }
}

#[cfg(test)]
mod tests {
    use super::Metric;

    #[test]
    fn numbers_round_trip() {
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
            assert_eq!(Metric::from_u8(metric.to_u8()), Some(metric));
        }
        assert_eq!(Metric::from_u8(4), None);
    }
}
