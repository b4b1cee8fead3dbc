//! The distance kernels: one canonical sum, the same bits from every instruction set.
//!
//! A sum of d products is kept in sixteen f32 lanes. Lane l takes the elements i ≡ l (mod 16) in increasing i,
//! one fused multiply-add each; a tail shorter than sixteen touches only its lanes; f16 elements are widened
//! first. In the end the lanes are folded 16→8→4→2→1 by adding the upper half to the lower half. Every
//! variant here follows that order, so an index scan and the SQL operator agree to the last bit.
//! The only exception is an x86 CPU without FMA: it multiplies and adds in two roundings, everywhere.
//!
//! `lanes.rs` what a set of instructions offers · `x86.rs` AVX2 and AVX-512 · `neon.rs` NEON · `body.rs` the loops ·
//! `isa.rs` which set this CPU has · `rows.rs` many rows against one query or four · `nibbles/` table sums of
//! 4-bit codes · `columns.rs`, `lookup.rs` scans of scalar and product codes · `bytes.rs` integer sums over the
//! bytes of two codes · `bits.rs` counts over the bits of two strings, `counts.rs` of many against one · `steps.rs`
//! differences of codes with a step each · `books.rs` codebooks · `product.rs` matrix products and `sparse.rs` vectors by
//! their elements other than zero, which have no canonical order · `strips.rs` tests of attributes. This folder holds the only `unsafe` code of the package.

mod bits;
mod body;
pub(crate) mod books;
pub(crate) mod bytes;
pub(crate) mod columns;
pub(crate) mod counts;
mod isa;
mod lanes;
pub(crate) mod lookup;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod nibbles;
pub(crate) mod product;
mod rows;
pub(crate) mod scores;
pub(crate) mod short;
pub mod sparse;
pub(crate) mod steps;
mod strips;
pub(crate) mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

pub use bits::{hamming_distance, jaccard_distance};
pub use counts::jaccard_from;
pub use lanes::Load;
pub use nibbles::at_most;
pub use rows::{Lanes, RowKernel, append_ahead, prefetch, prefetch_at, prefetch_near};
pub use strips::{StripKernel, Word, has_all, has_any};

use crate::element::Float;

fn canonical<O: body::Op, A: Float, B: Float>(a: &[A], b: &[B]) -> f32 {
    // SAFETY: the set was detected on this CPU.
    unsafe { isa::pair::pick::<O, A, B>(isa::Isa::detect())(a, b) }
}

/// Σ (a − b)². The shorter length counts; callers compare dimensions first.
pub fn l2_sqr<A: Float, B: Float>(a: &[A], b: &[B]) -> f32 {
    canonical::<body::L2Sqr, A, B>(a, b)
}

/// Σ a·b. The shorter length counts.
pub fn dot<A: Float, B: Float>(a: &[A], b: &[B]) -> f32 {
    canonical::<body::Dot, A, B>(a, b)
}

/// Σ |a − b|. The shorter length counts.
pub fn l1<A: Float, B: Float>(a: &[A], b: &[B]) -> f32 {
    canonical::<body::L1, A, B>(a, b)
}

/// Σ a².
pub fn norm_sqr<A: Float>(a: &[A]) -> f32 {
    canonical::<body::Dot, A, A>(a, a)
}

/// Euclidean distance, as the operator `<->` returns it.
pub fn l2_distance<A: Float, B: Float>(a: &[A], b: &[B]) -> f64 {
    f64::from(l2_sqr(a, b)).sqrt()
}

/// Negative inner product, as the operator `<#>` returns it.
pub fn negative_inner_product<A: Float, B: Float>(a: &[A], b: &[B]) -> f64 {
    -f64::from(dot(a, b))
}

/// Cosine distance, as the operator `<=>` returns it; NaN when either vector is zero.
pub fn cosine_distance<A: Float, B: Float>(a: &[A], b: &[B]) -> f64 {
    cosine_from(dot(a, b), norm_sqr(a), norm_sqr(b))
}

/// Cosine distance from an inner product and the two squared norms: 1 − similarity, the similarity
/// clamped to [−1, 1]; NaN stays NaN.
pub fn cosine_from(dot: f32, norm_sqr_a: f32, norm_sqr_b: f32) -> f64 {
    let similarity = f64::from(dot) / (f64::from(norm_sqr_a) * f64::from(norm_sqr_b)).sqrt();
    1.0 - similarity.clamp(-1.0, 1.0)
}
