//! Codes of vectors of bits: the bits themselves, padded with zeros, beside how many are set. Nothing is lost.

use super::{Factors, Grid, GridQuery, finite};
use crate::element::{Bits, Element};
use crate::kernels::counts::{PairCount, count, jaccard_from};
use crate::metric::Metric;

impl Grid {
    /// [`Grid::encode`].
    pub(super) fn encode_bits(&self, vector: &[f32], code: &mut [u8]) -> Factors {
        code.iter_mut().take(self.size).for_each(|byte| *byte = 0);
        let packed = Bits::pack(vector);
        code.iter_mut().zip(&packed).for_each(|(to, from)| *to = from.0);
        Factors { bias: 0.0, step: count(&packed) as f32 }
    }

    /// [`Grid::query`].
    pub(super) fn query_of_bits(&self, vector: &[f32]) -> GridQuery {
        let mut query = self.empty_query();
        let Factors { step, .. } = self.encode_bits(vector, &mut query.code);
        query.constant = step;
        query
    }
}

impl GridQuery {
    /// [`Grid::aim`].
    pub(super) fn aim_at_bits(&mut self, code: &[u8], factors: Factors) {
        self.code.iter_mut().zip(code).for_each(|(to, from)| *to = *from);
        self.constant = factors.step;
    }

    /// The key of a code. Under Jaccard distance the operator's, rounded.
    #[inline]
    pub(super) fn finish_bits(&self, sum: PairCount, code: &[u8], factors: Factors) -> f32 {
        if factors.bias == f32::INFINITY {
            return factors.bias;
        }
        let counted = sum.of(bytemuck::cast_slice(&self.code), bytemuck::cast_slice(code)) as f32;
        match self.metric {
            Metric::Jaccard => {
                let key = jaccard_from(counted, self.constant, factors.step) as f32;
                if key.is_finite() { key } else { finite(key) }
            }
            _ => counted,
        }
    }
}
