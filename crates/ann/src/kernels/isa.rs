//! Which instruction set this CPU has, and one entry per set into the shared loops.

use super::body::{self, Op};
use super::books;
use super::columns::{self, Row, Term};
use super::lanes::{Load, Plain};
#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::nibbles::{self, Estimate, Floats, Integers, Unit};
use super::rows::Lanes;
use super::strips::{self, Word};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};
use std::sync::OnceLock;

/// The instruction sets with kernels of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// Every set that this CPU can run, best last.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut, reason = "on other CPUs there is nothing to add")]
        let mut sets = vec![Isa::Plain];
        // In the baseline.
        #[cfg(target_arch = "aarch64")]
        sets.push(Isa::Neon);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
        {
            sets.push(Isa::Avx2);
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
            {
                sets.push(Isa::Avx512);
            }
        }
        sets
    }

    /// The best set of this CPU; looked up once.
    #[inline]
    pub fn detect() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Isa::available().pop().unwrap_or(Isa::Plain))
    }
}

/// Compiles a body, a function generic over the set, once per instruction set. `name::pick(isa)` is the function
/// for a set; calling it is sound where that set is available.
macro_rules! per_isa {
    ($body:ident::$name:ident<$($g:ident: $bound:path),*>($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {
        pub mod $name {
            use super::*;

            unsafe fn plain<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the plain loop needs nothing beyond the baseline.
                unsafe { $body::$name::<Plain, $($g),*>($($arg),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: compiled for the set here; called only where it is available.
                unsafe { $body::$name::<Avx2, $($g),*>($($arg),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
            unsafe fn avx512<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: compiled for the set here; called only where it is available.
                unsafe { $body::$name::<Avx512, $($g),*>($($arg),*) }
            }

            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn neon<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: NEON is in the baseline.
                unsafe { $body::$name::<Neon, $($g),*>($($arg),*) }
            }

            #[inline]
            pub fn pick<$($g: $bound),*>(isa: Isa) -> unsafe fn($($ty),*) $(-> $ret)? {
                match isa {
                    Isa::Plain => plain::<$($g),*>,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => avx2::<$($g),*>,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => avx512::<$($g),*>,
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => neon::<$($g),*>,
                }
            }
        }
    };
}

per_isa!(body::pair<O: Op, A: Load, B: Load>(a: &[A], b: &[B]) -> f32);
per_isa!(body::distances<O: Op, E: Load>(query: &[f32], rows: &[E], out: &mut [f32]));
per_isa!(body::distances_of_four<O: Op, E: Load>(
    queries: [&[f32]; 4], rows: &[E], out: [&mut [f32]; 4]));
per_isa!(body::accumulate<O: Op, E: Load>(query: &[f32], rows: &[E], acc: &mut [Lanes]));
per_isa!(body::reduce<>(acc: &[Lanes], out: &mut [f32]));

per_isa!(nibbles::add_units<>(tables: &[Unit], units: &[Unit], sums: &mut Integers));
per_isa!(nibbles::estimate<E: Estimate>(
    sums: &Floats, how: E, factors: &[f32], limit: f32, out: &mut Floats) -> u32);
per_isa!(nibbles::block<E: Estimate>(
    tables: &[Unit], units: &[Unit], how: E, factors: &[f32], limit: f32,
    out: &mut Floats) -> u32);

per_isa!(columns::byte_columns<T: Term>(
    offsets: &[f32], scales: &[f32], units: &[Unit], sums: &mut Row));
per_isa!(columns::nibble_columns<T: Term>(
    offsets: &[f32], scales: &[f32], units: &[Unit], sums: &mut Row));
per_isa!(columns::half_columns<T: Term>(
    offsets: &[f32], scales: &[f32], units: &[Unit], sums: &mut Row));
per_isa!(books::book_table<O: Op>(x: &[f32], book: &[f32], out: &mut [f32]));
per_isa!(books::book_nearest<>(x: &[f32], book: &[f32]) -> u32);
per_isa!(strips::within<W: Word>(strip: &[u8], low: W, span: W) -> u32);
per_isa!(strips::any_of<>(strip: &[u8], bits: u64) -> u32);
per_isa!(strips::all_of<>(strip: &[u8], bits: u64) -> u32);
