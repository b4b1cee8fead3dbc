//! The table behind an index that is damaged: what vector a row has follows from its tid.

use ann::element::{Bits, Element};
use ann::rng::Rng;
use ann::topk::Hit;

use crate::error::Error;
use crate::search::attributes::Attributes;
use crate::search::exact::ExactQuery;
use crate::search::rerank::Exact;
use crate::tid::Tid;

/// The tid of row number `i`.
pub fn tid_no(i: u32) -> Tid {
    Tid::new(i / 50, (i % 50 + 1) as u16)
}

/// Fills a vector with numbers between -0.5 and 0.5 (Steele and others 2014, SplitMix64).
pub fn fill(key: u64, vector: &mut [f32]) {
    let mut state = key.wrapping_mul(0xD134_2543_DE82_EF95);
    for place in vector {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        *place = ((z >> 40) as f32 / (1 << 24) as f32) - 0.5;
    }
}

/// The vector of a row; every fifth has that of the row before.
pub fn vector_of<E: Element>(tid: Tid, dims: usize) -> Vec<E> {
    let tid = tid.to_u64();
    let mut vector = vec![0.0; dims];
    fill(tid - u64::from(tid % 5 == 1), &mut vector);
    // Of bits one in two is set.
    let shift = if E::TAG == Bits::TAG { 0.5 } else { 0.0 };
    vector.iter_mut().for_each(|x| *x += shift);
    E::pack(&vector)
}

/// What a row has beside its tid, as an insert takes it: one attribute in four is null, and any bytes are a value.
pub fn attributes_of(tid: Tid, attributes: &Attributes) -> Vec<u8> {
    let mut rng = Rng::new(tid.to_u64());
    let mut bytes = vec![0; attributes.entry_size()];
    bytes.fill_with(|| rng.below(256) as u8);
    if let Some(nulls) = bytes.first_mut() {
        *nulls &= rng.below(256) as u8;
    }
    bytes
}

/// Real distances from the table, in which every tid has a row.
pub struct Table<'a, E> {
    query: &'a ExactQuery,
    dims: usize,
    element: std::marker::PhantomData<E>,
}

impl<'a, E: Element> Table<'a, E> {
    /// The table as a query sees it.
    pub fn new(query: &'a ExactQuery, dims: usize) -> Self {
        Self { query, dims, element: std::marker::PhantomData }
    }
}

impl<E: Element> Exact for Table<'_, E> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        for (i, candidate) in candidates.iter().enumerate() {
            let row = vector_of::<E>(Tid::from_u64(candidate.id), self.dims);
            each(i, self.query.key(&row));
        }
        Ok(())
    }
}
