//! The product quantizer (Jégou, Douze and Schmid 2011): a vector is cut into m parts, and each is named by the number of
//! the nearest of 2^nbits centroids.

use super::{CodeKind, Coding, LANES, Space, Sums, UNIT, bits, residual};
use crate::kernels::books::BookKernel;
use crate::kernels::lookup;
use crate::metric::Metric;

/// How codes lie in units, by their bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    /// 4 bits: two sub-quantizers in a unit, the first in the low nibbles.
    Nibbles,
    /// 5 to 8 bits: a sub-quantizer in a unit.
    Bytes,
    /// 9 to 12 bits, three units for two sub-quantizers: the low bytes of the first, those of the second, and nibbles
    /// with the high bits of both. An odd last sub-quantizer has its low bytes and its high bits.
    Wide,
}

/// Entries of a sub-quantizer's table where codes are bytes: any byte of a damaged page finds a place.
const BYTE_TABLE: usize = 256;

/// A trained product quantizer.
#[derive(Clone, Debug)]
pub struct Pq {
    m: usize,
    nbits: u8,
    dsub: usize,
    ksub: usize,
    metric: Metric,
    layout: Layout,
    /// The codebooks as FAISS stores them: sub-quantizer, centroid, component.
    params: Vec<f32>,
    /// As `params`, in columns: sub-quantizer, component, centroid.
    columns: Vec<f32>,
    kernel: BookKernel,
}

/// A query made ready.
#[derive(Clone, Debug, Default)]
pub struct PqQuery {
    /// The query; negative but under L2.
    q: Vec<f32>,
    /// Less the list's centroid.
    difference: Vec<f32>,
    /// What each centroid adds, sub-quantizer by sub-quantizer; an even number of tables.
    tables: Vec<f32>,
    base: f32,
}

/// What a unit of wide codes holds, and of which sub-quantizer.
enum Part {
    Low(usize),
    /// High bits of this sub-quantizer in the low nibbles, of the next (if there is one) in the others.
    High(usize),
}

impl Pq {
    /// The quantizer of these codebooks, whose length and finiteness the caller has checked. `None` for a kind that
    /// is no product quantizer or does not fit the dimension.
    pub(super) fn new(kind: CodeKind, space: Space, params: Vec<f32>) -> Option<Self> {
        let CodeKind::Pq { m, nbits } = kind else { return None };
        if !kind.fits(space.dims) {
            return None;
        }
        let m = usize::from(m);
        let (dsub, ksub) = (space.dims / m, 1 << nbits);
        let mut columns = vec![0.0; params.len()];
        for (book, columns) in params.chunks(dsub * ksub).zip(columns.chunks_mut(dsub * ksub)) {
            for (i, column) in columns.chunks_mut(ksub).enumerate() {
                for (slot, x) in column.iter_mut().zip(book.iter().skip(i).step_by(dsub)) {
                    *slot = *x;
                }
            }
        }
        let layout = match nbits {
            4 => Layout::Nibbles,
            5..=8 => Layout::Bytes,
            _ => Layout::Wide,
        };
        let (metric, kernel) = (space.metric, BookKernel::detect());
        Some(Pq { m, nbits, dsub, ksub, metric, layout, params, columns, kernel })
    }

    /// The vector (or residual) that a code stands for.
    pub fn decode(&self, code: &[u8]) -> Vec<f32> {
        let books = self.params.chunks(self.dsub * self.ksub).enumerate();
        let centroid = |(sub, book): (usize, &'_ [f32])| {
            let at = usize::from(self.number(code, sub)) * self.dsub;
            book[at..at + self.dsub].to_vec()
        };
        books.flat_map(centroid).collect()
    }

    /// The centroid that a code names for a sub-quantizer.
    fn number(&self, code: &[u8], sub: usize) -> u16 {
        bits::read(code, sub * usize::from(self.nbits), self.nbits)
    }

    /// Entries between the tables of two sub-quantizers.
    fn stride(&self) -> usize {
        if self.layout == Layout::Bytes { BYTE_TABLE } else { self.ksub }
    }

    /// Fills in what each centroid adds.
    fn fill(&self, x: &[f32], tables: &mut [f32]) {
        let books = self.columns.chunks(self.dsub * self.ksub);
        let parts = x.chunks(self.dsub).zip(books).zip(tables.chunks_mut(self.stride()));
        for ((x, book), table) in parts {
            let table = &mut table[..self.ksub];
            if self.metric == Metric::L2 {
                self.kernel.l2_sqr(x, book, table);
            } else {
                self.kernel.dot(x, book, table);
            }
        }
    }

    fn part(&self, unit: usize) -> Part {
        let first = unit / 3 * 2;
        match unit % 3 {
            0 => Part::Low(first),
            1 if first + 1 < self.m => Part::Low(first + 1),
            _ => Part::High(first),
        }
    }

    /// The byte of a code that stands in its lane of a unit.
    fn byte(&self, code: &[u8], unit: usize) -> u8 {
        let byte = |i: usize| code.get(i).copied().unwrap_or(0);
        match self.layout {
            Layout::Nibbles => byte(unit),
            Layout::Bytes if self.nbits == 8 => byte(unit),
            Layout::Bytes => self.number(code, unit) as u8,
            Layout::Wide => match self.part(unit) {
                Part::Low(sub) => self.number(code, sub) as u8,
                Part::High(sub) => {
                    let high = |sub| (self.number(code, sub) >> 8) as u8;
                    high(sub) | if sub + 1 < self.m { high(sub + 1) << 4 } else { 0 }
                }
            },
        }
    }

    fn set_byte(&self, code: &mut [u8], unit: usize, byte: u8) {
        let (nbits, byte) = (usize::from(self.nbits), u16::from(byte));
        match self.layout {
            Layout::Nibbles => bits::write(code, unit * 8, 8, byte),
            Layout::Bytes => bits::write(code, unit * nbits, self.nbits, byte),
            Layout::Wide => match self.part(unit) {
                Part::Low(sub) => bits::write(code, sub * nbits, 8, byte),
                Part::High(sub) => {
                    bits::write(code, sub * nbits + 8, self.nbits - 8, byte);
                    if sub + 1 < self.m {
                        bits::write(code, (sub + 1) * nbits + 8, self.nbits - 8, byte >> 4);
                    }
                }
            },
        }
    }

    /// Low bytes wait in the integers until the unit with the high bits is there, perhaps in a later call.
    fn accumulate_wide(&self, tables: &[f32], sums: &mut Sums, first: usize, units: &[[u8; UNIT]]) {
        for (unit, bytes) in (first..).zip(units) {
            match self.part(unit) {
                Part::Low(sub) if sub % 2 == 0 => sums.integers = bytes.map(u16::from),
                Part::Low(_) => {
                    for (low, byte) in sums.integers.iter_mut().zip(bytes) {
                        *low |= u16::from(*byte) << 8;
                    }
                }
                Part::High(sub) => {
                    let table = |sub: usize| tables.chunks(self.ksub).nth(sub).unwrap_or_default();
                    let low = sums.integers.map(|low| low as u8);
                    lookup::wide(table(sub), &low, bytes, 0, &mut sums.floats);
                    if sub + 1 < self.m {
                        let low = sums.integers.map(|low| (low >> 8) as u8);
                        lookup::wide(table(sub + 1), &low, bytes, 4, &mut sums.floats);
                    }
                }
            }
        }
    }
}

impl Coding for Pq {
    type Query = PqQuery;

    fn code_size(&self) -> usize {
        (self.m * usize::from(self.nbits)).div_ceil(8)
    }

    fn units(&self) -> usize {
        match self.layout {
            Layout::Nibbles => self.m.div_ceil(2),
            Layout::Bytes => self.m,
            Layout::Wide => self.m / 2 * 3 + self.m % 2 * 2,
        }
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
        code.fill(0);
        let books = self.columns.chunks(self.dsub * self.ksub);
        for (sub, (x, book)) in rest.chunks(self.dsub).zip(books).enumerate() {
            let nearest = self.kernel.nearest(x, book) as u16;
            bits::write(code, sub * usize::from(self.nbits), self.nbits, nearest);
        }
    }

    fn pack(&self, code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]) {
        for (unit, bytes) in (first_unit..self.units()).zip(units.chunks_exact_mut(UNIT)) {
            bytes[lane] = self.byte(code, unit);
        }
    }

    fn unpack(&self, first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]) {
        for (unit, bytes) in (first_unit..self.units()).zip(units.chunks_exact(UNIT)) {
            self.set_byte(code, unit, bytes[lane]);
        }
    }

    fn query(&self) -> PqQuery {
        PqQuery::default()
    }

    fn prepare(&self, query: &mut PqQuery, q: &[f32]) {
        query.base = 0.0;
        query.tables.clear();
        query.tables.resize(self.stride() * self.m.next_multiple_of(2), 0.0);
        query.q.clear();
        if self.metric == Metric::L2 {
            query.q.extend_from_slice(q);
        } else {
            query.q.extend(q.iter().map(|x| -x));
            self.fill(&query.q, &mut query.tables);
        }
    }

    fn enter_list(&self, query: &mut PqQuery, centroid: &[f32], coarse_distance: f32) {
        if self.metric == Metric::L2 {
            residual(&query.q, centroid, &mut query.difference);
            self.fill(&query.difference, &mut query.tables);
        } else {
            query.base = coarse_distance;
        }
    }

    fn accumulate(&self, query: &PqQuery, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        let units = units.as_chunks().0;
        let tables = &query.tables;
        match self.layout {
            Layout::Nibbles => {
                let pairs = tables.as_chunks().0.as_chunks().0;
                let pairs = pairs.get(first_unit..).unwrap_or_default();
                lookup::nibbles(pairs, units, &mut sums.floats);
            }
            Layout::Bytes => {
                let tables = tables.as_chunks().0.get(first_unit..).unwrap_or_default();
                lookup::bytes(tables, units, &mut sums.floats);
            }
            Layout::Wide => self.accumulate_wide(tables, sums, first_unit, units),
        }
    }

    fn estimates(&self, query: &PqQuery, sums: &Sums, _factors: &[f32], out: &mut [f32; LANES]) {
        *out = sums.floats.map(|sum| query.base + sum);
    }
}
