//! A vector's code as FAISS stores it: RaBitQ's with its factors, which our pages keep in another form or not at all.

use ann::Metric;
use ann::codec::{CodeKind, Codec, Coding};

/// RaBitQ's bound of its error: how many deviations FAISS allows for.
const DEVIATIONS: f64 = 1.9;

/// Makes codes of files from codes of ours.
pub struct Coder<'c> {
    codec: &'c Codec,
    kind: CodeKind,
    dims: usize,
    by_product: bool,
}

impl<'c> Coder<'c> {
    /// With a trained code of `kind`.
    pub fn new(codec: &'c Codec, kind: CodeKind, dims: usize, metric: Metric) -> Self {
        Self { codec, kind, dims, by_product: metric != Metric::L2 }
    }

    /// Bytes of a code.
    pub fn size(&self) -> usize {
        self.kind.code_size(self.dims)
    }

    /// Writes the code of `x`, a member of the list with this centroid, into `size()` bytes. `bare` is what the codec made of it, to
    /// begin with, as `encode_batch` leaves it.
    pub fn complete(&self, bare: &[u8], x: &[f32], centroid: &[f32], out: &mut [u8]) {
        let bare = bare.get(..self.codec.bare_size()).unwrap_or(bare);
        let mut put = Fill(out);
        let Codec::RaBitQ(rabitq) = self.codec else { return put.bytes(bare) };
        let moments = Moments::of(x, centroid, &rabitq.decode(bare));
        let (signs, magnitudes) = bare.split_at(self.dims.div_ceil(8).min(bare.len()));
        let [first, second, error, add, rescale] = moments.factors(self.dims, self.by_product);
        put.bytes(signs);
        put.floats(&[first, second]);
        if !matches!(self.kind, CodeKind::RaBitQ { nbits: 1 }) {
            put.floats(&[error]);
            put.bytes(magnitudes);
            put.floats(&[add, rescale]);
        }
    }
}

/// Writes one thing after the other; what has no room is left out.
struct Fill<'o>(&'o mut [u8]);

impl Fill<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let rest = std::mem::take(&mut self.0);
        let (head, tail) = rest.split_at_mut(bytes.len().min(rest.len()));
        head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.0 = tail;
    }

    fn floats(&mut self, floats: &[f64]) {
        // A residual of the longest vectors may have factors beyond a 32-bit float.
        let finite = |x: f64| (x as f32).clamp(f32::MIN, f32::MAX);
        floats.iter().for_each(|x| self.bytes(&finite(*x).to_le_bytes()));
    }
}

/// Sums over the components of a vector x, its centroid c, r = x − c and the code's odd integers w.
#[derive(Default)]
struct Moments {
    rr: f64,
    xx: f64,
    cr: f64,
    wr: f64,
    /// Σ|r|
    sum: f64,
}

impl Moments {
    fn of(x: &[f32], centroid: &[f32], weights: &[f32]) -> Self {
        let mut moments = Self::default();
        for (i, (x, w)) in x.iter().zip(weights).enumerate() {
            let c = centroid.get(i).copied().unwrap_or(0.0);
            let r = f64::from(x - c);
            moments.rr += r * r;
            moments.xx += f64::from(*x).powi(2);
            moments.cr += f64::from(c) * r;
            moments.wr += f64::from(*w) * r;
            moments.sum += r.abs();
        }
        moments
    }

    /// What FAISS stores: of the signs alone |r|² (under inner product less |x|²), |r| / a with a = Σ|r| / (|r|·√d), and how much the
    /// estimate may be wrong; of all bits what is added, and what the product is multiplied with.
    fn factors(&self, dims: usize, by_product: bool) -> [f64; 5] {
        let dims = dims as f64;
        let norm = self.rr.sqrt();
        // Where the residual is zero there is no direction, and its cosine counts as 1.
        let a = if norm > 0.0 { self.sum / (norm * dims.sqrt()) } else { 1.0 };
        let spread = ((1.0 / (a * a) - 1.0).max(0.0) / (dims - 1.0).max(1.0)).sqrt();
        let gain = if self.wr > 0.0 { self.rr / self.wr } else { 0.0 };
        let error = DEVIATIONS * norm * spread;
        if by_product {
            [self.rr - self.xx, norm / a, error, self.cr, 2.0 * gain]
        } else {
            [self.rr, norm / a, 2.0 * error, self.rr, -4.0 * gain]
        }
    }
}
