//! Rules of thumb that FAISS's practice has settled on.

/// The most inverted lists an index can have.
pub const MAX_NLIST: u32 = 1 << 22;
/// From this many lists on, centroids are trained by levels and rows assigned by groups of centroids.
pub const LEVELS_NLIST_MIN: usize = 4096;
/// Below this many training points per centroid the clustering is poor: the caller warns.
pub const MIN_POINTS_PER_CENTROID: usize = 39;
/// More training points per centroid than this change nothing: the sample is cut here.
pub const MAX_POINTS_PER_CENTROID: usize = 256;
/// As `MAX_POINTS_PER_CENTROID`, for centroids trained by levels.
pub const MAX_POINTS_BY_LEVELS: usize = 128;

/// The number of inverted lists for `n` rows: 4·√n to the nearest power of two, at most n / 39 (so that there are
/// enough rows to train on), between 1 and `MAX_NLIST`. It balances the coarse step (nlist distances) against
/// the scan (n·nprobe/nlist of them).
pub fn optimal_nlist(n: u64) -> u32 {
    let wished = 4.0 * (n as f64).sqrt();
    let below = 2f64.powi(wished.max(1.0).log2().floor() as i32);
    let nearest = if wished - below < 2.0 * below - wished { below } else { 2.0 * below };
    let trainable = n / MIN_POINTS_PER_CENTROID as u64;
    (nearest as u64).min(trainable).clamp(1, u64::from(MAX_NLIST)) as u32
}

/// How many rows to draw for training `nlist` centroids.
pub fn training_sample(nlist: u32) -> usize {
    let by_levels = is_by_levels(nlist as usize);
    let points = if by_levels { MAX_POINTS_BY_LEVELS } else { MAX_POINTS_PER_CENTROID };
    nlist as usize * points
}

/// Whether `nlist` lists are trained by levels even where memory has room for one level.
pub fn is_by_levels(nlist: usize) -> bool {
    nlist >= LEVELS_NLIST_MIN
}

#[cfg(test)]
mod tests {
    use super::optimal_nlist;

    #[test]
    fn nlist_follows_the_rows() {
        let expected = [
            (0, 1),
            (1, 1),
            (38, 1),
            (78, 2),
            (5_000, 128),
            (20_000, 512),
            (60_000, 1024),
            (100_000, 1024),
            (200_000, 2048),
            (1_000_000, 4096),
            (100_000_000, 32_768),
            (1_000_000_000, 131_072),
            (u64::MAX, 4_194_304),
        ];
        for (n, nlist) in expected {
            assert_eq!(optimal_nlist(n), nlist, "n = {n}");
        }
    }

    #[test]
    fn nlist_is_the_nearest_power_of_two() {
        // 4·√n = 1536 lies just between 1024 and 2048.
        assert_eq!(optimal_nlist(147_455), 1024);
        assert_eq!(optimal_nlist(147_456), 2048);
    }
}
