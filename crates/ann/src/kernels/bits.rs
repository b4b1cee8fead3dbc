//! Counts over the bits of two strings: how many differ, how many both have. The same numbers from every
//! instruction set, since they are integers.

use super::isa::Isa;
use std::sync::OnceLock;

/// Bits that differ.
type Differing = unsafe fn(&[u8], &[u8]) -> u64;
/// Bits that both have, the first has, the second has.
type Common = unsafe fn(&[u8], &[u8]) -> [u64; 3];

/// The counts on this CPU.
#[derive(Clone, Copy)]
struct BitCounts {
    // Sound to call: picked for a set that this CPU has.
    differing: Differing,
    common: Common,
}

/// Which instructions for counting bits this CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    Plain,
    /// One 64-bit word at a time.
    #[cfg(target_arch = "x86_64")]
    Word,
    /// Eight words at a time.
    #[cfg(target_arch = "x86_64")]
    Register,
}

impl Counting {
    /// Every way that this CPU has, best last.
    pub(super) fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "on other CPUs there is nothing to add")]
        let mut ways = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("popcnt") {
            ways.push(Self::Word);
            if Isa::available().contains(&Isa::Avx512)
                && is_x86_feature_detected!("avx512vpopcntdq")
            {
                ways.push(Self::Register);
            }
        }
        ways
    }

    /// The best way of this CPU; looked up once.
    pub(super) fn detect() -> Self {
        static BEST: OnceLock<Counting> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().pop().unwrap_or(Self::Plain))
    }
}

impl BitCounts {
    fn detect() -> Self {
        Self::by(Counting::detect())
    }

    /// By one way of counting, which must be available.
    fn by(counting: Counting) -> Self {
        match counting {
            // The compiler makes NEON of these loops.
            Counting::Plain => BitCounts { differing: plain::differing, common: plain::common },
            #[cfg(target_arch = "x86_64")]
            Counting::Word => BitCounts { differing: word::differing, common: word::common },
            #[cfg(target_arch = "x86_64")]
            Counting::Register => {
                BitCounts { differing: register::differing, common: register::common }
            }
        }
    }

    fn differing(self, a: &[u8], b: &[u8]) -> u64 {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.differing)(a, b) }
    }

    fn common(self, a: &[u8], b: &[u8]) -> [u64; 3] {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.common)(a, b) }
    }
}

/// Hamming distance, as the operator `<~>` returns it: how many bits differ. The shorter length counts.
pub fn hamming_distance(a: &[u8], b: &[u8]) -> f64 {
    BitCounts::detect().differing(a, b) as f64
}

/// Jaccard distance, as the operator `<%>` returns it: one less the bits that both have among those that either has,
/// and 1 where they have none in common. The shorter length counts.
pub fn jaccard_distance(a: &[u8], b: &[u8]) -> f64 {
    jaccard_from(BitCounts::detect().common(a, b))
}

fn jaccard_from([both, of_a, of_b]: [u64; 3]) -> f64 {
    match both {
        0 => 1.0,
        _ => 1.0 - both as f64 / (of_a + of_b - both) as f64,
    }
}

/// Both cut to the shorter length, in words and what is left over.
#[inline(always)]
fn words<'a>(a: &'a [u8], b: &'a [u8]) -> [(&'a [[u8; 8]], &'a [u8]); 2] {
    let n = a.len().min(b.len());
    [a[..n].as_chunks(), b[..n].as_chunks()]
}

/// A word that begins with `bytes` and goes on with zeros.
#[inline(always)]
fn padded(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_ne_bytes(word)
}

/// The loops over words, compiled into each set's own function.
macro_rules! by_words {
    ($(#[$feature:meta])?) => {
        $(#[$feature])?
        pub unsafe fn differing(a: &[u8], b: &[u8]) -> u64 {
            let [(a, a_rest), (b, b_rest)] = super::words(a, b);
            let mut count = u64::from((super::padded(a_rest) ^ super::padded(b_rest)).count_ones());
            for (a, b) in a.iter().zip(b) {
                let (a, b) = (u64::from_ne_bytes(*a), u64::from_ne_bytes(*b));
                count += u64::from((a ^ b).count_ones());
            }
            count
        }

        $(#[$feature])?
        pub unsafe fn common(a: &[u8], b: &[u8]) -> [u64; 3] {
            let [(a, a_rest), (b, b_rest)] = super::words(a, b);
            let of = |a: u64, b: u64| [a & b, a, b].map(|bits| u64::from(bits.count_ones()));
            let mut counts = of(super::padded(a_rest), super::padded(b_rest));
            for (a, b) in a.iter().zip(b) {
                let more = of(u64::from_ne_bytes(*a), u64::from_ne_bytes(*b));
                for (count, more) in counts.iter_mut().zip(more) {
                    *count += more;
                }
            }
            counts
        }
    };
}

mod plain {
    by_words!();
}

#[cfg(target_arch = "x86_64")]
mod word {
    by_words!(#[target_feature(enable = "popcnt")]);
}

#[cfg(target_arch = "x86_64")]
mod register {
    use std::arch::x86_64::*;

    const RUN: usize = 64;

    /// The first 64 bytes of a slice, zeros where it is shorter.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(x: &[u8]) -> __m512i {
        let mask = if x.len() < RUN { (1u64 << x.len()).wrapping_sub(1) } else { u64::MAX };
        // SAFETY: a masked-off byte is not read, and the mask ends where the slice does.
        unsafe { _mm512_maskz_loadu_epi8(mask, x.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
    pub unsafe fn differing(a: &[u8], b: &[u8]) -> u64 {
        let n = a.len().min(b.len());
        let mut count = _mm512_setzero_si512();
        for (a, b) in a[..n].chunks(RUN).zip(b[..n].chunks(RUN)) {
            let differing = _mm512_xor_si512(load(a), load(b));
            count = _mm512_add_epi64(count, _mm512_popcnt_epi64(differing));
        }
        _mm512_reduce_add_epi64(count).cast_unsigned()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
    pub unsafe fn common(a: &[u8], b: &[u8]) -> [u64; 3] {
        let n = a.len().min(b.len());
        let mut counts = [_mm512_setzero_si512(); 3];
        for (a, b) in a[..n].chunks(RUN).zip(b[..n].chunks(RUN)) {
            let (a, b) = (load(a), load(b));
            for (count, bits) in counts.iter_mut().zip([_mm512_and_si512(a, b), a, b]) {
                *count = _mm512_add_epi64(*count, _mm512_popcnt_epi64(bits));
            }
        }
        let [both, of_a, of_b] = counts;
        [both, of_a, of_b].map(|count| _mm512_reduce_add_epi64(count).cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// One bit after the other.
    fn bits(bytes: &[u8]) -> impl Iterator<Item = bool> {
        bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1))
    }

    #[test]
    fn every_set_counts_bit_by_bit() {
        let mut rng = Rng::new(7);
        for n in (0..200).chain([256, 1000, 1001]) {
            let mut string = || -> Vec<u8> { (0..=n).map(|_| rng.below(256) as u8).collect() };
            let (a, b) = (string(), string());
            // At any alignment, and of unequal lengths.
            let (a, b) = (&a[1..], &b[..]);
            let pairs: Vec<(bool, bool)> = bits(a).zip(bits(b)).collect();
            let count = |wanted: fn(&(bool, bool)) -> bool| {
                pairs.iter().filter(|pair| wanted(pair)).count() as u64
            };
            for way in Counting::available() {
                let counts = BitCounts::by(way);
                assert_eq!(counts.differing(a, b), count(|(a, b)| a != b), "{n} bytes, {way:?}");
                let wanted = [count(|(a, b)| *a && *b), count(|(a, _)| *a), count(|(_, b)| *b)];
                assert_eq!(counts.common(a, b), wanted, "{n} bytes, {way:?}");
            }
        }
    }

    #[test]
    fn distances() {
        assert_eq!(hamming_distance(&[0b1010_0000], &[0b0101_0000]), 4.0);
        assert_eq!(hamming_distance(&[], &[]), 0.0);
        assert_eq!(jaccard_distance(&[0b1111_0000], &[0b1110_0000]), 0.25);
        assert_eq!(jaccard_distance(&[0b1111_0000], &[0b1111_0000]), 0.0);
        assert_eq!(jaccard_distance(&[0b1111_0000], &[0]), 1.0);
        assert_eq!(jaccard_distance(&[], &[]), 1.0);
    }
}
