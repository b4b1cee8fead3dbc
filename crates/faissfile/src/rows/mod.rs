//! The vectors that an index holds, each with its number, a few at a time: memory does not grow with the file.

mod decode;

use crate::chain::Chain;
use crate::error::Error;
use crate::import::refused;
use crate::index::{Body, Index, Ivf, IvfCode, Lists};
use crate::source::{Source, Span, Window};

use decode::Decoder;

/// Bytes of codes or vectors held at once; one vector, where it is longer.
const HELD: usize = 256 << 10;

/// What is done with the id and the vector of a row.
pub type EachRow<'a> = dyn FnMut(i64, &[f32]) -> Result<(), Error> + 'a;

/// Whether vectors that are only kept as lossy codes, or that were turned, are wanted as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decode {
    /// No: an error says that they are there.
    Never,
    /// What codes stand for will do.
    Lossy,
}

/// Calls `each` with the id and the vector of everything that `index` holds: in the order of the file, which is that of the ids or
/// goes list by list.
pub fn each_row(
    source: &mut dyn Source,
    index: &Index,
    decode: Decode,
    each: &mut EachRow<'_>,
) -> Result<(), Error> {
    let mut maps = Vec::new();
    walk(source, index, decode, &mut maps, each)
}

/// `maps`: the numbers of the IDMaps around, the outermost first.
fn walk(
    source: &mut dyn Source,
    index: &Index,
    decode: Decode,
    maps: &mut Vec<Span>,
    each: &mut EachRow<'_>,
) -> Result<(), Error> {
    match &index.body {
        Body::IdMap { inner, ids } => {
            maps.push(*ids);
            walk(source, inner, decode, maps, each)
        }
        Body::Hnsw { storage, .. } => walk(source, storage, decode, maps, each),
        Body::Refine { refine, .. } => walk(source, refine, decode, maps, each),
        Body::PreTransform { chain, inner } => {
            if decode == Decode::Never && !chain.is_empty() {
                return Err(lossy(index, "its vectors are kept normalised or rotated"));
            }
            let room = pages::blob::SIZE_MAX as u64;
            let chain = Chain::read(source, chain, inner.header.dims, room)?;
            let mut point = Vec::new();
            walk(source, inner, decode, maps, &mut |id, vector| {
                point.clear();
                point.extend_from_slice(vector);
                if let Some(rotation) = &chain.rotation {
                    rotation.undo(&mut point);
                }
                each(id, &point)
            })
        }
        Body::Ivf(ivf) => lists(source, index, ivf, decode, maps, each),
        body => {
            let (decoder, codes) = plain(source, index, body, decode)?;
            let mut rows = Rows { decoder, maps, each, labels: Vec::new() };
            let (mut at, mut left) = (codes.at, index.header.ntotal);
            let mut first = 0;
            while left > 0 {
                let n = rows.decoder.at_once(HELD).min(left);
                rows.take(source, at, Labels::From(first), n, &[])?;
                (at, left, first) = (at + n * rows.decoder.width(), left - n, first + n);
            }
            Ok(())
        }
    }
}

/// How an index without lists holds its vectors, and where.
fn plain(
    source: &mut dyn Source,
    index: &Index,
    body: &Body,
    decode: Decode,
) -> Result<(Decoder, Span), Error> {
    let dims = index.header.dims;
    let code = match body {
        Body::Flat { vectors } => return Ok((Decoder::flat(dims), *vectors)),
        _ if decode == Decode::Never => {
            return Err(lossy(index, "its vectors are kept as lossy codes only"));
        }
        Body::Sq { sq, codes } => (Decoder::sq(source, index, sq)?, *codes),
        Body::Pq { pq, codes } => (Decoder::pq(source, index, pq)?, *codes),
        Body::RaBitQ { rabitq, codes: Some(codes), centre } => {
            (Decoder::rabitq(index, rabitq)?.around(source, *centre)?, *codes)
        }
        _ => return Err(blocks(index)),
    };
    Ok(code)
}

fn lossy(index: &Index, what: &str) -> Error {
    let hint = "Call faiss.read_file with decode => true to have what they stand for, or take the vectors from where the index was made.";
    refused(index, what, hint)
}

fn blocks(index: &Index) -> Error {
    let hint = "Reconstruct them in FAISS, or read an index with a refinement.";
    refused(index, "vectors are not decoded from blocks for fast-scan", hint)
}

/// The rows of all lists, one list after the other.
fn lists(
    source: &mut dyn Source,
    index: &Index,
    ivf: &Ivf,
    decode: Decode,
    maps: &mut Vec<Span>,
    each: &mut EachRow<'_>,
) -> Result<(), Error> {
    if decode == Decode::Never && ivf.code != IvfCode::Flat {
        return Err(lossy(index, "its vectors are kept as lossy codes only"));
    }
    let Lists::Array { code_size, sizes, is_sparse, first } = ivf.lists else {
        return if ivf.lists == Lists::None { Ok(()) } else { Err(blocks(index)) };
    };
    let decoder = match &ivf.code {
        IvfCode::Flat => Decoder::flat(index.header.dims),
        IvfCode::Sq(sq) => Decoder::sq(source, index, sq)?,
        IvfCode::Pq(pq) => Decoder::pq(source, index, pq)?,
        IvfCode::RaBitQ(rabitq) => Decoder::rabitq(index, rabitq)?,
        IvfCode::PqFs(_) => return Err(blocks(index)),
    };
    let has_centroids = matches!(ivf.code, IvfCode::RaBitQ(_)) || ivf.by_residual;
    let centroids = Centroids::of(ivf).filter(|_| has_centroids);
    if has_centroids && centroids.is_none() {
        let hint = "Coarse quantizers that are read are IndexFlat and IndexHNSWFlat.";
        return Err(refused(index, "its coarse quantizer has no centroids", hint));
    }
    let mut rows = Rows { decoder, maps, each, labels: Vec::new() };
    let (mut at, step) = (first, if is_sparse { 2 } else { 1 });
    for i in (0..sizes.len).step_by(step) {
        let (list_no, n) = {
            let mut window = Window::new(source);
            match is_sparse {
                true => (number(&mut window, sizes, i)?, number(&mut window, sizes, i + 1)?),
                false => (i, number(&mut window, sizes, i)?),
            }
        };
        if n == 0 {
            continue;
        }
        let ids = Span { at: at + n * code_size, len: n, width: 8 };
        let centroid = match &centroids {
            Some(centroids) => centroids.read(source, index, list_no)?,
            None => Vec::new(),
        };
        let mut done = 0;
        while done < n {
            let some = rows.decoder.at_once(HELD).min(n - done);
            let place = at + done * code_size;
            rows.take(source, place, Labels::Listed(ids, done), some, &centroid)?;
            done += some;
        }
        at += n * (code_size + 8);
    }
    Ok(())
}

fn number(source: &mut dyn Source, span: Span, i: u64) -> Result<u64, Error> {
    let mut bytes = [0; 8];
    source.read_at(span.place(i), &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The vectors of a coarse quantizer, read one by one.
struct Centroids {
    vectors: Span,
    dims: usize,
}

impl Centroids {
    fn of(ivf: &Ivf) -> Option<Self> {
        let held = match &ivf.quantizer.body {
            Body::Hnsw { storage, .. } => &**storage,
            _ => &ivf.quantizer,
        };
        match held.body {
            Body::Flat { vectors } => Some(Self { vectors, dims: held.header.dims }),
            _ => None,
        }
    }

    fn read(&self, source: &mut dyn Source, index: &Index, no: u64) -> Result<Vec<f32>, Error> {
        let first = no.saturating_mul(self.dims as u64);
        if first.saturating_add(self.dims as u64) > self.vectors.len {
            return Err(Error::Damaged {
                code: index.code,
                at: index.at,
                what: format!("list {no} has no centroid"),
            });
        }
        self.vectors.floats(source, first, self.dims)
    }
}

/// The numbers of some vectors.
#[derive(Clone, Copy)]
enum Labels {
    /// From this one on.
    From(u64),
    /// As they are listed, from this place on.
    Listed(Span, u64),
}

struct Rows<'a, 'e> {
    decoder: Decoder,
    maps: &'a [Span],
    each: &'a mut EachRow<'e>,
    labels: Vec<i64>,
}

impl Rows<'_, '_> {
    /// `n` vectors whose codes are at `at`, all of one list with this centroid.
    fn take(
        &mut self,
        source: &mut dyn Source,
        at: u64,
        labels: Labels,
        n: u64,
        centroid: &[f32],
    ) -> Result<(), Error> {
        self.label(source, labels, n)?;
        let dims = self.decoder.dims().max(1);
        let vectors = self.decoder.read(source, at, n, centroid)?;
        for (label, vector) in self.labels.iter().zip(vectors.chunks_exact(dims)) {
            (self.each)(*label, vector)?;
        }
        Ok(())
    }

    /// Fills `labels`.
    fn label(&mut self, source: &mut dyn Source, labels: Labels, n: u64) -> Result<(), Error> {
        self.labels = match labels {
            Labels::From(first) => match self.maps.last() {
                Some(map) => map.longs(source, first, n as usize)?,
                None => (first..first + n).map(|i| i as i64).collect(),
            },
            Labels::Listed(ids, first) => ids.longs(source, first, n as usize)?,
        };
        // Positions have gone through the innermost map already.
        let skipped = usize::from(matches!(labels, Labels::From(_)));
        for map in self.maps.iter().rev().skip(skipped) {
            let mut window = Window::new(source);
            for label in &mut self.labels {
                let place = u64::try_from(*label).ok().filter(|place| *place < map.len);
                let Some(place) = place else {
                    return Err(Error::Damaged {
                        code: crate::error::FourCc(*b"IxMp"),
                        at: map.at,
                        what: format!("there is no id for number {label}"),
                    });
                };
                *label = number(&mut window, *map, place)? as i64;
            }
        }
        Ok(())
    }
}
