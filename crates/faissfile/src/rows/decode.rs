//! Vectors from the bytes that stand for them.

use ann::Metric;
use ann::codec::pq::Pq as PqCodec;
use ann::codec::rabitq::RaBitQ as RaBitQCodec;
use ann::codec::sq::Sq as SqCodec;
use ann::codec::{CodeKind, Codec, Space};

use crate::error::Error;
use crate::import::refused;
use crate::index::{INNER_PRODUCT, Index, Pq, RaBitQ, Sq};
use crate::source::{Source, Span};

/// What bytes stand for.
enum Kind {
    Flat,
    Sq(SqCodec),
    Pq(PqCodec),
    RaBitQ { codec: RaBitQCodec, nbits: u8, by_product: bool },
}

/// A decoder, with room for some vectors.
pub(super) struct Decoder {
    kind: Kind,
    dims: usize,
    width: usize,
    /// What residuals are against where there are no lists.
    centre: Vec<f32>,
    bytes: Vec<u8>,
    vectors: Vec<f32>,
}

impl Decoder {
    fn new(kind: Kind, dims: usize, width: usize) -> Self {
        Self { kind, dims, width, centre: Vec::new(), bytes: Vec::new(), vectors: Vec::new() }
    }

    pub(super) fn flat(dims: usize) -> Self {
        Self::new(Kind::Flat, dims, dims * size_of::<f32>())
    }

    pub(super) fn sq(source: &mut dyn Source, index: &Index, sq: &Sq) -> Result<Self, Error> {
        let kind = match sq.kind {
            0 => CodeKind::Sq8,
            1 => CodeKind::Sq4,
            4 => CodeKind::SqFp16,
            _ => return Err(no_decoder(index)),
        };
        let trained = if kind == CodeKind::SqFp16 { Span::default() } else { sq.trained };
        match codec(source, index, kind, trained)? {
            Codec::Sq(codec) => Ok(Self::new(Kind::Sq(codec), index.header.dims, sq.code_size)),
            _ => Err(no_decoder(index)),
        }
    }

    pub(super) fn pq(source: &mut dyn Source, index: &Index, pq: &Pq) -> Result<Self, Error> {
        let (Ok(m), Ok(nbits)) = (u16::try_from(pq.m), u8::try_from(pq.nbits)) else {
            return Err(no_decoder(index));
        };
        match codec(source, index, CodeKind::Pq { m, nbits }, pq.centroids)? {
            Codec::Pq(codec) => Ok(Self::new(Kind::Pq(codec), index.header.dims, pq.code_size())),
            _ => Err(no_decoder(index)),
        }
    }

    pub(super) fn rabitq(index: &Index, rabitq: &RaBitQ) -> Result<Self, Error> {
        let dims = index.header.dims;
        let nbits = u8::try_from(rabitq.nbits).unwrap_or(u8::MAX);
        let codec = RaBitQCodec::new(nbits, Space { dims, metric: Metric::L2 });
        let codec = codec.ok_or_else(|| no_decoder(index))?;
        let by_product = index.header.metric == INNER_PRODUCT;
        Ok(Self::new(Kind::RaBitQ { codec, nbits, by_product }, dims, rabitq.code_size))
    }

    /// With this centre for all.
    pub(super) fn around(mut self, source: &mut dyn Source, centre: Span) -> Result<Self, Error> {
        self.centre = centre.floats(source, 0, centre.len.min(self.dims as u64) as usize)?;
        Ok(self)
    }

    pub(super) fn dims(&self) -> usize {
        self.dims
    }

    /// Bytes of a vector.
    pub(super) fn width(&self) -> u64 {
        self.width as u64
    }

    /// How many to read at once, so that neither bytes nor vectors are more than `room`.
    pub(super) fn at_once(&self, room: usize) -> u64 {
        (room / self.width.max(self.dims * size_of::<f32>()).max(1)).max(1) as u64
    }

    /// `n` vectors from the bytes at `at`.
    pub(super) fn read(
        &mut self,
        source: &mut dyn Source,
        at: u64,
        n: u64,
        centroid: &[f32],
    ) -> Result<&[f32], Error> {
        self.bytes.resize(n as usize * self.width, 0);
        source.read_at(at, &mut self.bytes)?;
        self.vectors.clear();
        if let Kind::Flat = self.kind {
            let floats = self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            self.vectors.extend(floats);
            return Ok(&self.vectors);
        }
        let centroid = if centroid.is_empty() { &self.centre[..] } else { centroid };
        for code in self.bytes.chunks_exact(self.width.max(1)) {
            let start = self.vectors.len();
            match &self.kind {
                Kind::Flat => {}
                Kind::Sq(codec) => self.vectors.extend(codec.decode(code)),
                Kind::Pq(codec) => self.vectors.extend(codec.decode(code)),
                Kind::RaBitQ { codec, nbits, by_product } => {
                    let parts = Parts::of(code, self.dims, *nbits);
                    let gain = parts.gain(self.dims, *by_product);
                    self.vectors.extend(codec.decode(&parts.bare).iter().map(|w| gain * w));
                }
            }
            let vector = self.vectors.get_mut(start..).unwrap_or_default();
            vector.iter_mut().zip(centroid).for_each(|(x, c)| *x += c);
        }
        Ok(&self.vectors)
    }
}

/// A code of RaBitQ, and the factor that says how long its residual is.
struct Parts {
    bare: Vec<u8>,
    factor: f32,
    has_levels: bool,
}

impl Parts {
    fn of(code: &[u8], dims: usize, nbits: u8) -> Self {
        let float = |at: usize| {
            let bytes = code.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0.0, |bytes| f32::from_le_bytes(*bytes))
        };
        let signs = dims.div_ceil(8);
        let mut bare = code.get(..signs).unwrap_or_default().to_vec();
        if nbits == 1 {
            return Self { bare, factor: float(signs + 4), has_levels: false };
        }
        let stream = signs + 12..code.len().saturating_sub(8).max(signs + 12);
        bare.extend_from_slice(code.get(stream.clone()).unwrap_or_default());
        Self { bare, factor: float(stream.end + 4), has_levels: true }
    }

    /// What the code's odd integers are multiplied with to stand for the residual.
    fn gain(&self, dims: usize, by_product: bool) -> f32 {
        match (self.has_levels, by_product) {
            (false, _) => self.factor / (dims as f32).sqrt(),
            (true, true) => self.factor / 2.0,
            (true, false) => self.factor / -4.0,
        }
    }
}

fn codec(
    source: &mut dyn Source,
    index: &Index,
    kind: CodeKind,
    trained: Span,
) -> Result<Codec, Error> {
    let dims = index.header.dims;
    // Before anything is read: what the kind cannot have is not asked for.
    if !kind.fits(dims) || trained.len != kind.params_len(dims) as u64 {
        return Err(no_decoder(index));
    }
    if trained.len.saturating_mul(4) > pages::blob::SIZE_MAX as u64 {
        return Err(Error::TooLarge { what: format!("an array of {} floats", trained.len) });
    }
    let params = trained.floats(source, 0, trained.len as usize)?;
    Codec::from_params(kind, Space { dims, metric: Metric::L2 }, params)
        .ok_or_else(|| no_decoder(index))
}

fn no_decoder(index: &Index) -> Error {
    let hint =
        "Codes that are decoded are SQ8, SQ4, SQfp16, PQ of 4 to 12 bits and RaBitQ of 1 to 8.";
    refused(index, "its codes are of a kind that is not decoded here", hint)
}
