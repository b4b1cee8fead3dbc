//! The scores of many points against a few centroids, all of them written out: the same product as in `tile.rs`, for those who
//! want more than the best.

use super::isa::Isa;
use super::lanes::{Lanes16, Plain};
#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::tile::{PANEL, assert_rows, products};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

type Write = unsafe fn(&[&[f32]], usize, &[f32], &[[f32; PANEL]], &mut [[f32; PANEL]]);

/// The kernel of this CPU. Points and panels of a tile are those of [`super::tile::Tile`].
#[derive(Clone, Copy)]
pub struct Scores {
    // Sound to call: picked for a set that this CPU has.
    write: Write,
}

impl Scores {
    /// The kernel for the best set of this CPU.
    pub fn detect() -> Self {
        Self::on(Isa::detect())
    }

    /// The kernel for a set, which must be available.
    pub(super) fn on(isa: Isa) -> Self {
        let write: Write = match isa {
            Isa::Plain => write_plain,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => write_avx2,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => write_avx512,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => write_neon,
        };
        Self { write }
    }

    /// Scores every point against all panels; arguments as of [`super::tile::Tile::pass_rows`]. `out` holds `bias.len()` runs of
    /// sixteen scores per point. What does not fill a tile is passed over.
    pub fn write(
        &self,
        points: &[&[f32]],
        dims: usize,
        panels: &[f32],
        bias: &[[f32; PANEL]],
        out: &mut [[f32; PANEL]],
    ) {
        assert_rows(points, dims);
        // SAFETY: picked for a set that this CPU has; every row has `dims` elements.
        unsafe { (self.write)(points, dims, panels, bias, out) }
    }
}

/// # Safety
/// As for [`Lanes16`]; every row has `dims` elements.
#[inline(always)]
unsafe fn write<S: Lanes16, const P: usize, const C: usize>(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    all_bias: &[[f32; PANEL]],
    out: &mut [[f32; PANEL]],
) {
    let outs = out.chunks_exact_mut((P * all_bias.len()).max(1));
    for (tile, out) in points.as_chunks::<P>().0.iter().zip(outs) {
        let tile = tile.map(|row| row.as_ptr());
        let groups = panels.chunks_exact((C * PANEL * dims).max(1));
        for ((group, bias), first) in groups.zip(all_bias.as_chunks::<C>().0).zip((0..).step_by(C))
        {
            // SAFETY: rows hold `dims` and `group` C·16·dims elements; the rest is Lanes16's contract.
            unsafe {
                let products = products::<S, P, C>(|i, p| *tile[p].add(i), dims, group.as_ptr());
                for (row, runs) in products.into_iter().zip(out.chunks_exact_mut(all_bias.len())) {
                    for ((product, bias), run) in row.into_iter().zip(bias).zip(&mut runs[first..])
                    {
                        S::load(bias).sub(product).store(run);
                    }
                }
            }
        }
    }
}

unsafe fn write_plain(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: the plain loop needs nothing beyond the baseline.
    unsafe { write::<Plain, 4, 1>(points, dims, panels, bias, out) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn write_avx2(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: compiled for the set here; called only where it is available.
    unsafe { write::<Avx2, 6, 1>(points, dims, panels, bias, out) }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn write_neon(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: NEON is in the baseline.
    unsafe { write::<Neon, 6, 1>(points, dims, panels, bias, out) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
unsafe fn write_avx512(
    points: &[&[f32]],
    dims: usize,
    panels: &[f32],
    bias: &[[f32; PANEL]],
    out: &mut [[f32; PANEL]],
) {
    // SAFETY: compiled for the set here; called only where it is available.
    unsafe { write::<Avx512, 12, 2>(points, dims, panels, bias, out) }
}

#[cfg(test)]
mod tests {
    use super::super::isa::Isa;
    use super::super::tests::{fma, is_fused, sample};
    use super::super::tile::{Best, PANEL, Tile};
    use super::Scores;

    #[test]
    fn every_score_is_one_chain_of_products_and_the_least_is_kept() {
        for isa in Isa::available() {
            let tile = Tile::on(isa);
            for (dims, tiles, groups) in [(1, 1, 1), (7, 2, 3), (33, 3, 2)] {
                let (n, n_panels) = (tiles * tile.points, groups * tile.panels);
                let points = sample(n * dims, 1);
                let rows: Vec<&[f32]> = points.chunks(dims).collect();
                let panels = sample(n_panels * PANEL * dims, 2);
                let bias = sample(n_panels * PANEL, 3);
                let bias = bias.as_chunks::<PANEL>().0;
                let mut out = vec![[0.0; PANEL]; n * n_panels];
                Scores::on(isa).write(&rows, dims, &panels, bias, &mut out);
                let mut best = vec![Best::NONE; n];
                tile.pass_rows(&rows, dims, &panels, bias, 0, &mut best);
                for ((row, runs), best) in rows.iter().zip(out.chunks(n_panels)).zip(best) {
                    let scores = runs.as_flattened();
                    for (slot, score) in scores.iter().enumerate() {
                        let (panel, lane) = (slot / PANEL, slot % PANEL);
                        let product = (0..dims).fold(0.0, |sum, i| {
                            let at = (panel * dims + i) * PANEL + lane;
                            fma(sum, row[i], panels[at], is_fused(isa))
                        });
                        assert_eq!(score.to_bits(), (bias[panel][lane] - product).to_bits());
                    }
                    let least = scores.iter().fold(f32::INFINITY, |least, score| least.min(*score));
                    assert_eq!(best.score(), least);
                    let first = scores.iter().position(|score| *score == least);
                    assert_eq!(Some(best.centroid() as usize), first);
                }
            }
        }
    }
}
