//! Sixteen f32 lanes: what an instruction set must offer to carry the canonical sum.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Sixteen f32 values that are computed on together.
///
/// # Safety
/// Every method may use the instructions of the implementing type's set: the caller has checked that
/// the CPU has them (`Isa::detect`), and is itself compiled for them or inlined into what is.
pub unsafe trait Lanes16: Copy {
    /// How many values the registers hold.
    const REGISTERS: usize;
    unsafe fn zero() -> Self;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(x: &[f32; 16]) -> Self;
    unsafe fn load_f16(x: &[f16; 16]) -> Self;
    /// The first `x.len()` (< 16) lanes from `x`, the others zero.
    unsafe fn load_head(x: &[f32]) -> Self;
    unsafe fn load_head_f16(x: &[f16]) -> Self;
    unsafe fn store(self, out: &mut [f32; 16]);
    unsafe fn sub(self, other: Self) -> Self;
    /// `a · b + self` with one rounding (with two where the CPU has no fused multiply-add).
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// `self + |a|`.
    unsafe fn add_abs(self, a: Self) -> Self;
    /// The first `n` (< 16) lanes of `self`, the others of `old`.
    unsafe fn head_or(self, n: usize, old: Self) -> Self;
    /// The canonical reduction 16→8→4→2→1, each time the upper half added to the lower half, of
    /// four sums at once.
    unsafe fn reduce4(rows: [Self; 4]) -> [f32; 4];
    /// Sixteen small integers as floats.
    unsafe fn load_u8(x: &[u8; 16]) -> Self;
    /// The low nibbles of sixteen bytes, and the high ones, as floats.
    unsafe fn load_nibbles(x: &[u8; 16]) -> (Self, Self);
    /// Lane by lane: (`self`, `at`) where `self < best`, else (`best`, `best_at`).
    unsafe fn lesser(self, at: Self, best: Self, best_at: Self) -> (Self, Self);
    /// Lane by lane: where `self < best`, `best = self` and `best_at = at`.
    unsafe fn keep_less(self, at: u32, best: &mut [f32; 16], best_at: &mut [u32; 16]);
}

/// An element that the kernels can widen to lanes. Closed: only f32 and f16.
pub trait Load: Sized + Copy {
    /// # Safety
    /// As for [`Lanes16`].
    unsafe fn load<S: Lanes16>(x: &[Self; 16]) -> S;
    /// # Safety
    /// As for [`Lanes16`]; `x` has fewer than 16 elements.
    unsafe fn load_head<S: Lanes16>(x: &[Self]) -> S;
}

impl Load for f32 {
    #[inline(always)]
    unsafe fn load<S: Lanes16>(x: &[f32; 16]) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { S::load(x) }
    }
    #[inline(always)]
    unsafe fn load_head<S: Lanes16>(x: &[f32]) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { S::load_head(x) }
    }
}

impl Load for f16 {
    #[inline(always)]
    unsafe fn load<S: Lanes16>(x: &[f16; 16]) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { S::load_f16(x) }
    }
    #[inline(always)]
    unsafe fn load_head<S: Lanes16>(x: &[f16]) -> S {
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { S::load_head_f16(x) }
    }
}

/// The plain loop, for CPUs without a set of their own. Where the architecture always has a fused multiply-add
/// (aarch64) it is used, so that there, too, every set gives the same bits.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Plain([f32; 16]);

impl Plain {
    /// Lane by lane.
    #[inline(always)]
    pub fn from_fn(lane: impl FnMut(usize) -> f32) -> Self {
        Plain(std::array::from_fn(lane))
    }

    /// The sixteen values.
    #[inline(always)]
    pub fn lanes(self) -> [f32; 16] {
        self.0
    }
}

#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    // Without the instruction, mul_add is a library call of some 50 ns.
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

// SAFETY: uses no instruction beyond the target's baseline.
unsafe impl Lanes16 for Plain {
    const REGISTERS: usize = 4;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Plain([0.0; 16])
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Plain([x; 16])
    }
    #[inline(always)]
    unsafe fn load(x: &[f32; 16]) -> Self {
        Plain(*x)
    }
    #[inline(always)]
    unsafe fn load_f16(x: &[f16; 16]) -> Self {
        let mut lanes = [0.0; 16];
        x.convert_to_f32_slice(&mut lanes);
        Plain(lanes)
    }
    #[inline(always)]
    unsafe fn load_head(x: &[f32]) -> Self {
        let mut lanes = [0.0; 16];
        for (lane, value) in lanes.iter_mut().zip(x) {
            *lane = *value;
        }
        Plain(lanes)
    }
    #[inline(always)]
    unsafe fn load_head_f16(x: &[f16]) -> Self {
        let mut lanes = [0.0; 16];
        for (lane, value) in lanes.iter_mut().zip(x) {
            *lane = value.to_f32();
        }
        Plain(lanes)
    }
    #[inline(always)]
    unsafe fn store(self, out: &mut [f32; 16]) {
        *out = self.0;
    }
    #[inline(always)]
    unsafe fn sub(mut self, other: Self) -> Self {
        for (lane, y) in self.0.iter_mut().zip(other.0) {
            *lane -= y;
        }
        self
    }
    #[inline(always)]
    unsafe fn fma(mut self, a: Self, b: Self) -> Self {
        for ((lane, x), y) in self.0.iter_mut().zip(a.0).zip(b.0) {
            *lane = multiply_add(x, y, *lane);
        }
        self
    }
    #[inline(always)]
    unsafe fn add_abs(mut self, a: Self) -> Self {
        for (lane, x) in self.0.iter_mut().zip(a.0) {
            *lane += x.abs();
        }
        self
    }
    #[inline(always)]
    unsafe fn head_or(self, n: usize, mut old: Self) -> Self {
        for (lane, x) in old.0.iter_mut().zip(self.0).take(n) {
            *lane = x;
        }
        old
    }
    #[inline(always)]
    unsafe fn reduce4(rows: [Self; 4]) -> [f32; 4] {
        rows.map(|row| {
            let mut sum = row.0;
            for half in [8, 4, 2, 1] {
                for lane in 0..half {
                    sum[lane] += sum[lane + half];
                }
            }
            sum[0]
        })
    }
    #[inline(always)]
    unsafe fn load_u8(x: &[u8; 16]) -> Self {
        Plain(x.map(f32::from))
    }
    #[inline(always)]
    unsafe fn load_nibbles(x: &[u8; 16]) -> (Self, Self) {
        (Plain(x.map(|byte| f32::from(byte & 15))), Plain(x.map(|byte| f32::from(byte >> 4))))
    }
    #[inline(always)]
    unsafe fn lesser(self, at: Self, mut best: Self, mut best_at: Self) -> (Self, Self) {
        for lane in 0..16 {
            let less = self.0[lane] < best.0[lane];
            best_at.0[lane] = if less { at.0[lane] } else { best_at.0[lane] };
            best.0[lane] = if less { self.0[lane] } else { best.0[lane] };
        }
        (best, best_at)
    }
    #[inline(always)]
    unsafe fn keep_less(self, at: u32, best: &mut [f32; 16], best_at: &mut [u32; 16]) {
        for lane in 0..16 {
            if self.0[lane] < best[lane] {
                best[lane] = self.0[lane];
                best_at[lane] = at;
            }
        }
    }
}
