//! What a stored vector is made of: f32 or f16.

use crate::kernels::Load;
use half::f16;

/// Stored element of a vector: `f32`, or `half::f16`. Little-endian in pages. The list is closed:
/// the kernels have a load instruction for each.
pub trait Element: Load + bytemuck::Pod + PartialEq + Send + Sync + 'static {
    /// The number stored in an index's metapage.
    const TAG: u8;
    /// The name shown to users.
    const NAME: &'static str;
    /// The value; exact.
    fn to_f32(self) -> f32;
    /// The nearest element; ties to even. Too large a value becomes an infinity.
    fn from_f32(value: f32) -> Self;
}

impl Element for f32 {
    const TAG: u8 = 0;
    const NAME: &'static str = "f32";
    fn to_f32(self) -> f32 {
        self
    }
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Element for f16 {
    const TAG: u8 = 1;
    const NAME: &'static str = "f16";
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }
}
