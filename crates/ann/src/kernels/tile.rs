//! The nearest centroid of many points: a small matrix product whose results never leave the registers.
//!
//! A tile is P points times 16·C centroids. Its inner products are summed in P·C registers over all dimensions
//! (the outer-product order of Goto and van de Geijn 2008); then bias − product is compared with the best
//! so far, lane by lane. No matrix of distances is ever written. Every product is one chain of fused
//! multiply-adds in the order of the dimensions, so the result is the same on every CPU with FMA.

use super::isa::Isa;
use super::lanes::{Lanes16, Plain};
#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

/// Centroids of a panel: its elements of one dimension lie together.
pub const PANEL: usize = 16;

/// The smallest score of one point, in each of sixteen lanes, and in which panel it was.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Best {
    score: [f32; PANEL],
    panel: [u32; PANEL],
}

impl Best {
    /// Nothing seen yet.
    pub const NONE: Best = Best { score: [f32::INFINITY; PANEL], panel: [0; PANEL] };

    /// The centroid of smallest score; the lower number wins a tie. 0 when nothing was below +∞.
    pub fn centroid(&self) -> u32 {
        let mut best = (f32::INFINITY, 0);
        for (lane, (&score, &panel)) in (0u32..).zip(self.score.iter().zip(&self.panel)) {
            let centroid = panel * PANEL as u32 + lane;
            if score < best.0 || (score == best.0 && score < f32::INFINITY && centroid < best.1) {
                best = (score, centroid);
            }
        }
        best.1
    }

    /// The smallest score of all; +∞ when nothing was below.
    pub fn score(&self) -> f32 {
        self.score.iter().fold(f32::INFINITY, |least, score| least.min(*score))
    }
}

type Pass = unsafe fn(&[f32], usize, &[f32], &[[f32; PANEL]], u32, &mut [Best]);
type PassRows = unsafe fn(&[&[f32]], usize, &[f32], &[[f32; PANEL]], u32, &mut [Best]);

/// The tile of this CPU.
#[derive(Clone, Copy)]
pub struct Tile {
    /// Points of a tile.
    pub points: usize,
    /// Panels of a tile: their number in a call must be a multiple of this.
    pub panels: usize,
    // Sound to call: picked for a set that this CPU has.
    pass: Pass,
    pass_rows: PassRows,
}

impl Tile {
    /// The tile for the best set of this CPU.
    pub fn detect() -> Self {
        Self::on(Isa::detect())
    }

    /// The tile for a set, which must be available.
    pub(super) fn on(isa: Isa) -> Self {
        let (points, panels, pass, pass_rows): (_, _, Pass, PassRows) = match isa {
            Isa::Plain => (4, 1, pass_plain, rows_plain),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => (6, 1, pass_avx2, rows_avx2),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => (12, 2, pass_avx512, rows_avx512),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => (6, 1, pass_neon, rows_neon),
        };
        Tile { points, panels, pass, pass_rows }
    }

    /// Scores every point against some panels and keeps the best.
    ///
    /// `points`: tiles of `self.points` points, dimension by dimension; `panels`: panels of sixteen
    /// centroids, dimension by dimension; `bias`: one value per centroid of these panels, from which the inner
    /// product is subtracted; `first_panel`: the number of the first of them; `best`: one per point.
    /// What does not fill a tile is passed over.
    pub fn pass(
        &self,
        points: &[f32],
        dims: usize,
        panels: &[f32],
        bias: &[[f32; PANEL]],
        first_panel: u32,
        best: &mut [Best],
    ) {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.pass)(points, dims, panels, bias, first_panel, best) }
    }

    /// As `pass`, for points that lie anywhere, a row of `dims` elements each: worth while where a point meets too few centroids to be
    /// laid out for them.
    pub fn pass_rows(
        &self,
        points: &[&[f32]],
        dims: usize,
        panels: &[f32],
        bias: &[[f32; PANEL]],
        first_panel: u32,
        best: &mut [Best],
    ) {
        assert_rows(points, dims);
        // SAFETY: picked for a set that this CPU has; every row has `dims` elements.
        unsafe { (self.pass_rows)(points, dims, panels, bias, first_panel, best) }
    }
}

/// The kernels read as many elements of every row.
pub(super) fn assert_rows(points: &[&[f32]], dims: usize) {
    assert!(points.iter().all(|row| row.len() >= dims), "a row is too short for a kernel");
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn pass<S: Lanes16, const P: usize, const C: usize>(
    points: &[f32],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    let panel_groups = panels.chunks_exact((C * PANEL * dims).max(1));
    for ((group, bias), first) in
        panel_groups.zip(bias.as_chunks::<C>().0).zip((first_panel..).step_by(C))
    {
        let tiles = points.chunks_exact((P * dims).max(1));
        for (tile, best) in tiles.zip(best.as_chunks_mut::<P>().0) {
            let tile = tile.as_ptr();
            // SAFETY: `tile` holds P·dims and `group` C·16·dims elements; the rest is Lanes16's contract.
            unsafe {
                let products =
                    products::<S, P, C>(|i, p| *tile.add(i * P + p), dims, group.as_ptr());
                keep::<S, P, C>(products, bias, first, best);
            }
        }
    }
}

/// # Safety
/// As for [`Lanes16`]; every row has `dims` elements.
#[inline(always)]
unsafe fn pass_rows<S: Lanes16, const P: usize, const C: usize>(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // A tile stays in the first or second cache while all panels pass.
    for (tile, best) in points.as_chunks::<P>().0.iter().zip(best.as_chunks_mut::<P>().0) {
        let tile = tile.map(|row| row.as_ptr());
        let panel_groups = panels.chunks_exact((C * PANEL * dims).max(1));
        for ((group, bias), first) in
            panel_groups.zip(bias.as_chunks::<C>().0).zip((first_panel..).step_by(C))
        {
            // SAFETY: rows hold `dims` and `group` C·16·dims elements; the rest is Lanes16's contract.
            unsafe {
                let products = products::<S, P, C>(|i, p| *tile[p].add(i), dims, group.as_ptr());
                keep::<S, P, C>(products, bias, first, best);
            }
        }
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn keep<S: Lanes16, const P: usize, const C: usize>(
    products: [[S; C]; P],
    bias: &[[f32; PANEL]; C],
    first: u32,
    best: &mut [Best; P],
) {
    for (best, row) in best.iter_mut().zip(products) {
        for ((product, bias), at) in row.into_iter().zip(bias).zip(first..) {
            // SAFETY: the caller's contract.
            unsafe {
                let score = S::load(bias).sub(product);
                score.keep_less(at, &mut best.score, &mut best.panel);
            }
        }
    }
}

/// The inner products of P points and C panels; `point` gives the element of a dimension and a point.
///
/// # Safety
/// As for [`Lanes16`]; `group` points to C·16·dims elements, and `point` may be asked for P points of `dims` elements.
#[inline(always)]
pub(super) unsafe fn products<S: Lanes16, const P: usize, const C: usize>(
    point: impl Fn(usize, usize) -> f32,
    dims: usize,
    group: *const f32,
) -> [[S; C]; P] {
    // SAFETY: offsets stay below what the caller vouches for; the rest is Lanes16's contract.
    unsafe {
        let mut sums = [[S::zero(); C]; P];
        for i in 0..dims {
            let mut centroids = [S::zero(); C];
            for (c, lanes) in centroids.iter_mut().enumerate() {
                *lanes = S::load(&*group.add((c * dims + i) * PANEL).cast::<[f32; PANEL]>());
            }
            for (p, row) in sums.iter_mut().enumerate() {
                let x = S::splat(point(i, p));
                for (sum, lanes) in row.iter_mut().zip(centroids) {
                    *sum = sum.fma(x, lanes);
                }
            }
        }
        sums
    }
}

unsafe fn pass_plain(
    points: &[f32],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // SAFETY: the plain loop needs nothing beyond the baseline.
    unsafe { pass::<Plain, 4, 1>(points, dims, panels, bias, first_panel, best) }
}

/// Twelve registers of sums, two of centroids, one of points.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn pass_avx2(
    points: &[f32],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // SAFETY: compiled for the set here; called only where it is available.
    unsafe { pass::<Avx2, 6, 1>(points, dims, panels, bias, first_panel, best) }
}

/// 24 registers of sums, four of a panel.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn pass_neon(
    points: &[f32],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // SAFETY: NEON is in the baseline.
    unsafe { pass::<Neon, 6, 1>(points, dims, panels, bias, first_panel, best) }
}

/// Twenty-four registers of sums, two of centroids; points are broadcast from memory.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
unsafe fn pass_avx512(
    points: &[f32],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // SAFETY: compiled for the set here; called only where it is available.
    unsafe { pass::<Avx512, 12, 2>(points, dims, panels, bias, first_panel, best) }
}

unsafe fn rows_plain(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // SAFETY: the plain loop needs nothing beyond the baseline; the rest is the caller's contract.
    unsafe { pass_rows::<Plain, 4, 1>(points, dims, panels, bias, first_panel, best) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn rows_avx2(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // SAFETY: compiled for the set here; called only where it is available.
    unsafe { pass_rows::<Avx2, 6, 1>(points, dims, panels, bias, first_panel, best) }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn rows_neon(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // SAFETY: NEON is in the baseline.
    unsafe { pass_rows::<Neon, 6, 1>(points, dims, panels, bias, first_panel, best) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
unsafe fn rows_avx512(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    first_panel: u32,
    best: &mut [Best],
) {
    // SAFETY: compiled for the set here; called only where it is available.
    unsafe { pass_rows::<Avx512, 12, 2>(points, dims, panels, bias, first_panel, best) }
}
