//! Rules of thumb that FAISS's practice has settled on.

/// The most inverted lists an index can have.
pub const MAX_NLIST: u32 = 65_536;
/// Below this many training points per centroid the clustering is poor: the caller warns.
pub const MIN_POINTS_PER_CENTROID: usize = 39;
/// More training points per centroid than this change nothing: the sample is cut here.
pub const MAX_POINTS_PER_CENTROID: usize = 256;

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
    nlist as usize * MAX_POINTS_PER_CENTROID
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
            (u64::MAX, 65_536),
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
