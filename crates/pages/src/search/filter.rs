//! Filters of a scan: what the attributes of a row must be for it to come back.
//!
//! Attributes are unsigned numbers, in whose order the values are that they stand for; so every comparison is a set of
//! [`Intervals`]. A filter is made once for a scan, and tells of each block which of its 32 lanes pass, before anything else of
//! the block is looked at.

pub mod intervals;

use std::ops::Range;
use std::sync::Arc;

use ann::codec::{LANES, UNIT};
use ann::kernels::{StripKernel, Word, has_all, has_any};

use crate::bytes::u32_at;
use crate::search::attributes::{Attributes, nulls_at};
use crate::search::row_set::RowSet;
use crate::tid::Tid;
pub use intervals::Intervals;

/// More intervals than this are searched for each lane.
const INTERVALS_AT_ONCE: usize = 8;

/// What one attribute must be. A null passes no condition but [`Condition::Null`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It is null.
    Null,
    /// It is not null.
    NotNull,
    /// It lies in one of these.
    Within(Intervals),
    /// It has 64 bits, and one of these among them.
    AnyOf(u64),
    /// It has 64 bits, and all of these among them.
    AllOf(u64),
}

/// What the attributes of a row must be: all of some tests. And where it must be.
#[derive(Debug, Clone)]
pub struct Filter {
    tests: Vec<Test>,
    /// The rows that may pass; None: all.
    rows: Option<Arc<RowSet>>,
    /// Whether no row can pass.
    is_never: bool,
}

/// A condition, and where the attribute lies in a block of attributes.
#[derive(Debug, Clone)]
struct Test {
    attribute: usize,
    condition: Condition,
    /// The byte of the block where its null bits begin, and those of its strip.
    nulls: usize,
    strip: Range<usize>,
    width: Width,
}

/// How wide the values of a strip are, with the kernel for them.
#[derive(Debug, Clone, Copy)]
enum Width {
    W1(StripKernel<u8>),
    W2(StripKernel<u16>),
    W4(StripKernel<u32>),
    W8(StripKernel<u64>),
    W16(StripKernel<u128>),
}

impl Width {
    fn new(bytes: usize) -> Option<Self> {
        Some(match bytes {
            1 => Self::W1(StripKernel::detect()),
            2 => Self::W2(StripKernel::detect()),
            4 => Self::W4(StripKernel::detect()),
            8 => Self::W8(StripKernel::detect()),
            16 => Self::W16(StripKernel::detect()),
            _ => return None,
        })
    }

    /// Which values of a strip, of the lanes in `among`, lie in one of the intervals.
    fn within(self, strip: &[u8], intervals: &Intervals, among: u32) -> u32 {
        match self {
            Self::W1(kernel) => lanes_within(kernel, strip, intervals, among),
            Self::W2(kernel) => lanes_within(kernel, strip, intervals, among),
            Self::W4(kernel) => lanes_within(kernel, strip, intervals, among),
            Self::W8(kernel) => lanes_within(kernel, strip, intervals, among),
            Self::W16(kernel) => lanes_within(kernel, strip, intervals, among),
        }
    }
}

fn lanes_within<W: Word + Into<u128>>(
    kernel: StripKernel<W>,
    strip: &[u8],
    intervals: &Intervals,
    among: u32,
) -> u32 {
    let all = intervals.bounds();
    if all.len() <= INTERVALS_AT_ONCE {
        let one = |(low, high): &(u128, u128)| {
            kernel.within(strip, W::of(*low), W::of(high.wrapping_sub(*low)))
        };
        return among & all.iter().map(one).fold(0, |lanes, some| lanes | some);
    }
    let values = strip.chunks_exact(W::BYTES).zip(0..LANES as u32);
    let passing = values.filter(|(value, lane)| {
        among & 1 << lane != 0 && intervals.contains(W::read(value).into())
    });
    passing.fold(0, |lanes, (_, lane)| lanes | 1 << lane)
}

impl Filter {
    /// All of some conditions, each with the number of its attribute; None if there is no such attribute, or one of bits has not 64
    /// of them.
    pub fn new(
        attributes: &Attributes,
        conditions: impl IntoIterator<Item = (usize, Condition)>,
    ) -> Option<Self> {
        let mut filter = Self { tests: Vec::new(), rows: None, is_never: false };
        for (attribute, condition) in conditions {
            filter.add(Test::new(attributes, attribute, condition)?);
        }
        filter.is_never = filter.tests.iter().any(|test| match &test.condition {
            Condition::Within(intervals) => intervals.bounds().is_empty(),
            _ => false,
        });
        Some(filter)
    }

    /// Only the rows of a set.
    pub fn among(rows: Arc<RowSet>) -> Self {
        Self { tests: Vec::new(), rows: Some(rows), is_never: false }
    }

    /// Only those of the rows that are in a set.
    pub fn and_among(self, rows: Arc<RowSet>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// Adds a test; bounds of one attribute become one.
    fn add(&mut self, test: Test) {
        if let Condition::Within(new) = &test.condition {
            let same = self.tests.iter_mut().filter(|known| known.attribute == test.attribute);
            for known in same {
                if let Condition::Within(old) = &mut known.condition {
                    *old = old.intersection(new);
                    return;
                }
            }
        }
        self.tests.push(test);
    }

    /// Whether no row can pass.
    pub fn is_never(&self) -> bool {
        self.is_never
    }

    /// Which of the lanes in `among` pass by their attributes, the first in the lowest bit. `attributes`: those of a block.
    #[inline]
    pub fn by_attributes(&self, attributes: &[u8], among: u32) -> u32 {
        let mut lanes = among;
        for test in &self.tests {
            lanes = test.lanes(attributes, lanes);
            if lanes == 0 {
                return 0;
            }
        }
        lanes
    }

    /// Whether it looks at attributes.
    pub fn has_tests(&self) -> bool {
        !self.tests.is_empty()
    }

    /// Whether it looks at which row it is.
    pub fn has_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// Whether a row may pass, whatever its attributes are.
    #[inline]
    pub fn allows(&self, tid: Tid) -> bool {
        self.rows.as_ref().is_none_or(|rows| rows.contains(tid))
    }

    /// Which lanes of a block pass. `tid`: that of a lane.
    #[inline]
    pub fn lanes(&self, attributes: &[u8], tid: impl Fn(usize) -> Tid) -> u32 {
        let lanes = self.by_attributes(attributes, u32::MAX);
        match self.rows.as_ref().filter(|_| lanes != 0) {
            Some(rows) => lanes_among(rows, tid, lanes),
            None => lanes,
        }
    }
}

/// Which of the lanes in `among` have a row of the set.
fn lanes_among(rows: &RowSet, tid: impl Fn(usize) -> Tid, among: u32) -> u32 {
    let mut left = among;
    let mut lanes = 0;
    while left != 0 {
        let lane = left.trailing_zeros() as usize;
        left &= left - 1;
        lanes |= u32::from(rows.contains(tid(lane))) << lane;
    }
    lanes
}

impl Test {
    fn new(attributes: &Attributes, attribute: usize, condition: Condition) -> Option<Self> {
        let bytes = attributes.widths().nth(attribute)?;
        let is_of_bits = matches!(condition, Condition::AnyOf(_) | Condition::AllOf(_));
        if is_of_bits && bytes != size_of::<u64>() {
            return None;
        }
        let start = attributes.strip_at(attribute);
        Some(Self {
            attribute,
            condition,
            nulls: nulls_at(attribute),
            strip: start..start + bytes * UNIT,
            width: Width::new(bytes)?,
        })
    }

    /// Which of the lanes in `among` pass.
    #[inline]
    fn lanes(&self, block: &[u8], among: u32) -> u32 {
        let nulls = u32_at(block, self.nulls);
        let among = match self.condition {
            Condition::Null => return among & nulls,
            _ => among & !nulls,
        };
        let strip = block.get(self.strip.clone()).unwrap_or_default();
        match &self.condition {
            Condition::Null | Condition::NotNull => among,
            Condition::Within(intervals) => self.width.within(strip, intervals, among),
            Condition::AnyOf(bits) => among & has_any(strip, *bits),
            Condition::AllOf(bits) => among & has_all(strip, *bits),
        }
    }
}
