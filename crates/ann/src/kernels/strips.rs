//! Tests of the values of 32 rows, the strip of an attribute: which of them lie within bounds, or have bits in common with
//! others. Values are unsigned, least byte first, and lie one after the other.
//!
//! Each loop is compiled once per instruction set: the compiler makes vector instructions of it.

use super::isa::{self, Isa};
use crate::codec::LANES;

/// A value of a strip.
pub trait Word: Copy + Send + Sync {
    /// Its bytes.
    const BYTES: usize;

    /// The value that lies in these bytes.
    fn read(bytes: &[u8]) -> Self;
    /// The low bytes of a number.
    fn of(number: u128) -> Self;
    /// Whether it is `low`, or one of the `span` values behind it.
    fn is_within(self, low: Self, span: Self) -> bool;
}

macro_rules! words {
    ($($word:ty),*) => {$(
        impl Word for $word {
            const BYTES: usize = size_of::<Self>();

            #[inline(always)]
            fn read(bytes: &[u8]) -> Self {
                bytes.try_into().map_or(0, Self::from_le_bytes)
            }

            #[inline(always)]
            fn of(number: u128) -> Self {
                number as Self
            }

            #[inline(always)]
            fn is_within(self, low: Self, span: Self) -> bool {
                self.wrapping_sub(low) <= span
            }
        }
    )*};
}

words!(u8, u16, u32, u64, u128);

/// Which values of a strip are `low` or one of the `span` behind it, the first in the lowest bit. None of one that is too short.
///
/// # Safety
/// None; the signature is that of a kernel.
#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "it says which set to compile for")]
pub(super) unsafe fn within<Set, W: Word>(strip: &[u8], low: W, span: W) -> u32 {
    flags::<W>(strip, |word| word.is_within(low, span))
}

/// Which values of 64 bits have one of `bits`.
///
/// # Safety
/// As for [`within`].
#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "it says which set to compile for")]
pub(super) unsafe fn any_of<Set>(strip: &[u8], bits: u64) -> u32 {
    flags::<u64>(strip, |word| word & bits != 0)
}

/// Which values of 64 bits have all of `bits`.
///
/// # Safety
/// As for [`within`].
#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "it says which set to compile for")]
pub(super) unsafe fn all_of<Set>(strip: &[u8], bits: u64) -> u32 {
    flags::<u64>(strip, |word| word & bits == bits)
}

#[inline(always)]
fn flags<W: Word>(strip: &[u8], passes: impl Fn(W) -> bool) -> u32 {
    let mut flags = [0; LANES];
    let Some(strip) = strip.get(..LANES * W::BYTES) else { return 0 };
    for (flag, word) in flags.iter_mut().zip(strip.chunks_exact(W::BYTES)) {
        *flag = u8::from(passes(W::read(word)));
    }
    packed(&flags)
}

/// The lowest bits of 32 bytes that are 0 or 1: the product brings bit 0 of byte i of eight to bit 56 + i, and nothing else there.
#[inline(always)]
fn packed(flags: &[u8; LANES]) -> u32 {
    let eights = flags.as_chunks::<8>().0.iter().enumerate();
    eights.fold(0, |bits, (i, eight)| {
        let product = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080);
        bits | ((product >> 56) as u32) << (8 * i)
    })
}

/// The tests for this CPU, for values of one width.
#[derive(Debug, Clone, Copy)]
pub struct StripKernel<W: Word> {
    within: unsafe fn(&[u8], W, W) -> u32,
}

impl<W: Word> StripKernel<W> {
    /// Those of the CPU's best set.
    #[inline]
    pub fn detect() -> Self {
        Self { within: isa::within::pick::<W>(Isa::detect()) }
    }

    /// Which of 32 values lie within closed bounds, the first in the lowest bit; none if the strip is too short.
    #[inline]
    pub fn within(&self, strip: &[u8], low: W, span: W) -> u32 {
        // SAFETY: the set was detected on this CPU.
        unsafe { (self.within)(strip, low, span) }
    }
}

/// Which of 32 values of 64 bits have one of `bits`, the first in the lowest bit; none if the strip is too short.
#[inline]
pub fn has_any(strip: &[u8], bits: u64) -> u32 {
    // SAFETY: the set was detected on this CPU.
    unsafe { isa::any_of::pick(Isa::detect())(strip, bits) }
}

/// As `has_any`, for those that have all of `bits`.
#[inline]
pub fn has_all(strip: &[u8], bits: u64) -> u32 {
    // SAFETY: the set was detected on this CPU.
    unsafe { isa::all_of::pick(Isa::detect())(strip, bits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn strip<W: Word>(rng: &mut Rng) -> Vec<u8> {
        // Few different bytes, so that values meet their bounds.
        (0..LANES * W::BYTES).map(|_| [0, 1, 127, 128, 255][rng.below(5) as usize]).collect()
    }

    fn check<W: Word + Into<u128>>() {
        let mut rng = Rng::new(W::BYTES as u64);
        for _ in 0..200 {
            let strip = strip::<W>(&mut rng);
            let value = |lane: usize| W::read(&strip[lane * W::BYTES..][..W::BYTES]).into();
            let (a, b) = (value(rng.below(32) as usize), value(rng.below(32) as usize));
            let (low, high): (u128, u128) = (a.min(b), a.max(b));
            let expected = (0..LANES)
                .filter(|lane| (low..=high).contains(&value(*lane)))
                .fold(0, |mask, lane| mask | 1u32 << lane);
            for isa in Isa::available() {
                let kernel = StripKernel::<W> { within: isa::within::pick::<W>(isa) };
                let found = kernel.within(&strip, W::of(low), W::of(high - low));
                assert_eq!(found, expected, "{isa:?}");
            }
            let kernel = StripKernel::<W>::detect();
            assert_eq!(kernel.within(&strip[1..], W::of(low), W::of(high - low)), 0);
        }
    }

    #[test]
    fn values_within_bounds_are_found() {
        check::<u8>();
        check::<u16>();
        check::<u32>();
        check::<u64>();
        check::<u128>();
    }

    #[test]
    fn bits_in_common_are_found() {
        let mut rng = Rng::new(7);
        for _ in 0..200 {
            let strip = strip::<u64>(&mut rng);
            let values: Vec<u64> = strip.chunks_exact(8).map(u64::read).collect();
            let bits = values[3] & values[5];
            let mask = |passes: &dyn Fn(u64) -> bool| {
                let passing = (0..LANES).filter(|lane| passes(values[*lane]));
                passing.fold(0, |mask, lane| mask | 1u32 << lane)
            };
            for isa in Isa::available() {
                // SAFETY: the set is available.
                let (any, all) = unsafe {
                    (isa::any_of::pick(isa)(&strip, bits), isa::all_of::pick(isa)(&strip, bits))
                };
                assert_eq!(any, mask(&|value| value & bits != 0));
                assert_eq!(all, mask(&|value| value & bits == bits));
            }
            assert_eq!(has_any(&strip, bits), mask(&|value| value & bits != 0));
            assert_eq!(has_all(&strip, bits), mask(&|value| value & bits == bits));
        }
    }
}
