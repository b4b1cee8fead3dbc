//! The scalar quantizer: each component of a residual by itself, as a 16-bit float or as one of 256 or 16 steps of the
//! component's range.

use super::{CodeKind, Coding, LANES, Space, Sums, residual};
use crate::kernels::columns::{Column, ColumnKernel};
use crate::kmeans::TrainError;
use crate::metric::Metric;
use half::f16;

/// A trained scalar quantizer.
///
/// Steps are FAISS's: with b bits a component x becomes trunc(u · (2^b − 1)), u = (x − min) / range clamped to 0..=1, and stands for
/// the middle of its step.
#[derive(Clone, Debug)]
pub struct Sq {
    column: Column,
    metric: Metric,
    dims: usize,
    /// The least value of each component, then their ranges; nothing for 16-bit floats.
    params: Vec<f32>,
    /// What code 0 stands for, for each component.
    zeros: Vec<f32>,
    /// Less the width of a step.
    scales: Vec<f32>,
    kernel: ColumnKernel,
}

/// A query made ready.
#[derive(Clone, Debug, Default)]
pub struct SqQuery {
    q: Vec<f32>,
    /// What the kernel takes the codes from (L2), or multiplies them by.
    offsets: Vec<f32>,
    /// The estimate of a vector whose codes are all 0, without its list (inner product; 0 under L2).
    origin: f32,
    base: f32,
}

impl Sq {
    /// The ranges of the points' components, for `Sq8` and `Sq4`.
    pub fn train(points: &[f32], dims: usize) -> Result<Vec<f32>, TrainError> {
        let n = points.len().checked_div(dims).unwrap_or(0);
        if dims == 0 {
            return Err(TrainError::Shape { points: n, k: 1, dims });
        }
        let (first, rest) =
            points.split_at_checked(dims).ok_or(TrainError::TooFewPoints { points: n, k: 1 })?;
        if let Some(at) = points.iter().position(|x| !x.is_finite()) {
            return Err(TrainError::NotFinite { row: at / dims });
        }
        let (mut least, mut most) = (first.to_vec(), first.to_vec());
        for row in rest.chunks_exact(dims) {
            for (x, (least, most)) in row.iter().zip(least.iter_mut().zip(&mut most)) {
                *least = x.min(*least);
                *most = x.max(*most);
            }
        }
        let ranges: Vec<f32> = least.iter().zip(&most).map(|(least, most)| most - least).collect();
        least.extend(ranges);
        Ok(least)
    }

    /// The quantizer of these parameters, of which the caller has checked length and finiteness. `None` for a kind
    /// that is no scalar quantizer.
    pub(super) fn new(kind: CodeKind, space: Space, params: Vec<f32>) -> Option<Self> {
        let (column, steps) = match kind {
            CodeKind::SqFp16 => (Column::Halves, 1.0),
            CodeKind::Sq8 => (Column::Bytes, 255.0),
            CodeKind::Sq4 => (Column::Nibbles, 15.0),
            _ => return None,
        };
        let Space { dims, metric } = space;
        let (mut zeros, mut scales) = (vec![0.0; dims], vec![-1.0; dims]);
        if column != Column::Halves {
            let (least, ranges) = params.split_at_checked(dims)?;
            for (i, (least, range)) in least.iter().zip(ranges).enumerate() {
                scales[i] = -range / steps;
                zeros[i] = least - 0.5 * scales[i];
            }
        }
        if column == Column::Nibbles {
            // Two components share a unit; one that is not there adds 0.
            scales.resize(dims.next_multiple_of(2), 0.0);
        }
        let kernel =
            if metric == Metric::L2 { ColumnKernel::squares } else { ColumnKernel::products };
        Some(Sq { column, metric, dims, params, zeros, scales, kernel: kernel(column) })
    }

    /// The vector (or residual) that a code stands for.
    pub fn decode(&self, code: &[u8]) -> Vec<f32> {
        let step = |i: usize| {
            let byte = |i: usize| code.get(i).copied().unwrap_or(0);
            match self.column {
                Column::Halves => f16::from_le_bytes([byte(2 * i), byte(2 * i + 1)]).to_f32(),
                Column::Bytes => f32::from(byte(i)),
                Column::Nibbles => f32::from(byte(i / 2) >> (i % 2 * 4) & 15),
            }
        };
        let parts = self.zeros.iter().zip(&self.scales).enumerate();
        parts.map(|(i, (zero, scale))| zero - scale * step(i)).collect()
    }

    /// Each component's place in its range.
    fn places<'a>(&'a self, x: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        let (least, ranges) = self.params.split_at(self.params.len() / 2);
        x.iter().zip(least.iter().zip(ranges)).map(|(x, (least, range))| {
            let place = if *range == 0.0 { 0.0 } else { (x - least) / range };
            place.clamp(0.0, 1.0)
        })
    }
}

/// FAISS's rounding to a 16-bit float: the nearest, and away from zero where two are equally near. One more bit at
/// the far end turns a tie into a little more than it, and changes no other result. What is too large becomes the largest:
/// an infinity would be far from everything, itself included.
fn to_half(x: f32) -> f16 {
    let largest = f16::MAX.to_f32();
    f16::from_f32(f32::from_bits(x.clamp(-largest, largest).to_bits() | 1))
}

impl Coding for Sq {
    type Query = SqQuery;

    fn code_size(&self) -> usize {
        match self.column {
            Column::Halves => 2 * self.dims,
            Column::Bytes => self.dims,
            Column::Nibbles => self.dims.div_ceil(2),
        }
    }

    fn units(&self) -> usize {
        self.code_size()
    }

    fn n_factors(&self) -> usize {
        0
    }

    fn by_residual(&self) -> bool {
        true
    }

    fn params(&self) -> &[f32] {
        &self.params
    }

    fn encode(&self, x: &[f32], centroid: &[f32], code: &mut [u8], _factors: &mut [f32]) {
        let mut rest = Vec::with_capacity(x.len());
        residual(x, centroid, &mut rest);
        match self.column {
            Column::Halves => {
                for (bytes, x) in code.as_chunks_mut().0.iter_mut().zip(rest) {
                    *bytes = to_half(x).to_le_bytes();
                }
            }
            Column::Bytes => {
                for (byte, place) in code.iter_mut().zip(self.places(&rest)) {
                    *byte = (place * 255.0) as u8;
                }
            }
            Column::Nibbles => {
                code.fill(0);
                for (i, place) in self.places(&rest).enumerate() {
                    let step = (f64::from(place) * 15.0) as u8;
                    if let Some(byte) = code.get_mut(i / 2) {
                        *byte |= step << (i % 2 * 4);
                    }
                }
            }
        }
    }

    fn pack(&self, code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]) {
        let units = units.chunks_exact_mut(LANES);
        if self.column == Column::Halves {
            // Units 2i and 2i + 1 hold component i of the first and of the other sixteen vectors.
            for (unit, units) in (first_unit..).zip(units) {
                if let (true, Some(half)) = (unit % 2 == lane / 16, code.get(unit / 2 * 2..)) {
                    let slots = units.iter_mut().skip(lane % 16 * 2);
                    slots.zip(half.iter().take(2)).for_each(|(slot, byte)| *slot = *byte);
                }
            }
        } else {
            for (units, byte) in units.zip(code.iter().skip(first_unit)) {
                units[lane] = *byte;
            }
        }
    }

    fn unpack(&self, first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]) {
        let units = units.chunks_exact(LANES);
        if self.column == Column::Halves {
            for (unit, units) in (first_unit..).zip(units) {
                if let (true, Some(half)) = (unit % 2 == lane / 16, code.get_mut(unit / 2 * 2..)) {
                    let bytes = units.iter().skip(lane % 16 * 2);
                    half.iter_mut().take(2).zip(bytes).for_each(|(slot, byte)| *slot = *byte);
                }
            }
        } else {
            for (units, byte) in units.zip(code.iter_mut().skip(first_unit)) {
                *byte = units[lane];
            }
        }
    }

    fn query(&self) -> SqQuery {
        SqQuery::default()
    }

    fn prepare(&self, query: &mut SqQuery, q: &[f32]) {
        query.q.clear();
        query.q.extend_from_slice(q);
        query.offsets.clear();
        query.offsets.resize(self.scales.len(), 0.0);
        (query.origin, query.base) = (0.0, 0.0);
        if self.metric != Metric::L2 {
            let parts = q.iter().zip(self.zeros.iter().zip(&self.scales));
            for (offset, (q, (zero, scale))) in query.offsets.iter_mut().zip(parts) {
                *offset = q * scale;
                query.origin -= q * zero;
            }
        }
    }

    fn enter_list(&self, query: &mut SqQuery, centroid: &[f32], coarse_distance: f32) {
        if self.metric == Metric::L2 {
            residual(&query.q, centroid, &mut query.offsets);
            for (offset, zero) in query.offsets.iter_mut().zip(&self.zeros) {
                *offset -= zero;
            }
            query.offsets.resize(self.scales.len(), 0.0);
        } else {
            query.base = query.origin + coarse_distance;
        }
    }

    fn accumulate(&self, query: &SqQuery, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        let units = units.as_chunks().0;
        self.kernel.accumulate(&query.offsets, &self.scales, first_unit, units, &mut sums.floats);
    }

    fn estimates(&self, query: &SqQuery, sums: &Sums, _factors: &[f32], out: &mut [f32; LANES]) {
        *out = sums.floats.map(|sum| query.base + sum);
    }
}
