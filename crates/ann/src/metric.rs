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
    /// How many bits differ: only for bits. Of their components, 0 and 1, this is squared L2.
    Hamming,
    /// 1 − common bits / bits that either has: only for bits.
    Jaccard,
}

impl Metric {
    /// The number stored in an index's metapage.
    pub fn to_u8(self) -> u8 {
        match self {
            Metric::L2 => 0,
            Metric::InnerProduct => 1,
            Metric::Cosine => 2,
            Metric::L1 => 3,
            Metric::Hamming => 4,
            Metric::Jaccard => 5,
        }
    }

    /// The metric with that stored number, or `None` for a number never given out.
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Metric::L2),
            1 => Some(Metric::InnerProduct),
            2 => Some(Metric::Cosine),
            3 => Some(Metric::L1),
            4 => Some(Metric::Hamming),
            5 => Some(Metric::Jaccard),
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
            Metric::Hamming => "hamming",
            Metric::Jaccard => "jaccard",
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
        !self.is_spherical()
    }

    /// True where vectors are made of bits.
    pub fn is_of_bits(self) -> bool {
        matches!(self, Metric::Hamming | Metric::Jaccard)
    }

    /// True where rows carry their squared norm (of bits: how many are set), which their distances need.
    pub fn has_norms(self) -> bool {
        matches!(self, Metric::Cosine | Metric::Jaccard)
    }

    /// True where lossy codes can estimate distances.
    pub fn has_codes(self) -> bool {
        matches!(self, Metric::L2 | Metric::InnerProduct | Metric::Cosine)
    }

    /// True where there can be centroids, and vectors are nearer to each other where they are nearer to the same.
    pub fn has_centroids(self) -> bool {
        !matches!(self, Metric::L1 | Metric::Jaccard)
    }
}

#[cfg(test)]
mod tests {
    use super::Metric;

    #[test]
    fn numbers_round_trip() {
        for number in 0..=5 {
            assert_eq!(Metric::from_u8(number).map(Metric::to_u8), Some(number));
        }
        assert_eq!(Metric::from_u8(6), None);
    }
}
