//! What is done to vectors before they come to an index.

use super::Reader;
use crate::error::{Error, FourCc};
use crate::index::{Step, Transform};
use crate::source::Span;

impl Reader<'_> {
    pub(super) fn transform(&mut self) -> Result<Transform, Error> {
        let (at, outer) = (self.at, self.code);
        self.code = FourCc(self.raw("a type of transform")?);
        let step = match &self.code.0 {
            b"LTra" => self.linear(false)?,
            b"rrot" => self.linear(true)?,
            b"Pcam" => {
                for what in ["the power of eigenvalues", "epsilon"] {
                    self.f32(what)?;
                }
                self.bool("the flag of a random rotation")?;
                self.i32("the number of bins")?;
                for what in ["the mean", "the eigenvalues", "the principal components"] {
                    self.array(4, what)?;
                }
                self.linear(false)?
            }
            b"VNrm" => {
                let at = self.at;
                let norm = self.f32("the norm")?;
                if norm != 2.0 {
                    return Err(self.damaged(at, format!("division by norm {norm}, not 2")));
                }
                Step::Normalize
            }
            b"VCnt" => self.array(4, "the mean").map(|_mean| Step::Other)?,
            b"RmDT" => self.array(4, "the columns").map(|_columns| Step::Other)?,
            b"HRot" => self.i32("the seed").map(|_seed| Step::Other)?,
            _ => {
                return Err(Error::Unsupported {
                    code: self.code,
                    at,
                    what: "a transform of this type has no counterpart here".into(),
                    hint: "Transforms that are read are OPQ, random rotations, PCA and normalisation.",
                });
            }
        };
        let (dims_in, dims_out) = (self.width("input")?, self.width("output")?);
        let is_trained = self.bool("the flag of training")?;
        if let Step::Linear { matrix, bias, .. } = step {
            let wanted = dims_in as u64 * dims_out as u64;
            if is_trained && matrix.len != wanted {
                self.same(matrix.at, "the length of the matrix", matrix.len, wanted)?;
            }
            if bias.len != 0 {
                self.same(bias.at, "the length of the bias", bias.len, dims_out as u64)?;
            }
        }
        let transform =
            Transform { code: self.code, at, dims: (dims_in, dims_out), is_trained, step };
        self.code = outer;
        Ok(transform)
    }

    fn width(&mut self, what: &str) -> Result<usize, Error> {
        let at = self.at;
        let dims = self.i32(what)?;
        match usize::try_from(dims) {
            Ok(n) if (1..=1 << 20).contains(&n) => Ok(n),
            _ => Err(self.damaged(at, format!("{what} of {dims} dimensions"))),
        }
    }

    fn linear(&mut self, is_random: bool) -> Result<Step, Error> {
        let has_bias = self.bool("the flag of a bias")?;
        let matrix = self.array(4, "the matrix")?;
        let bias = self.array(4, "the bias")?;
        let bias = if has_bias { bias } else { Span::default() };
        Ok(Step::Linear { is_random, matrix, bias })
    }
}
