//! Takes a factory string apart, from left to right. As in FAISS, case matters and blanks are not allowed.

use super::{Factory, FactoryError, LINKS_DEFAULT, LINKS_RANGE, Refine, RotationKind};
use crate::codec::{CodeKind, M_RANGE, PQ_NBITS, RABITQ_NBITS};
use crate::rules::MAX_NLIST;

const NLIST_RANGE_SAYS: &str = "The number of inverted lists must be from 1 to 4194304.";
const M_RANGE_SAYS: &str = "The number of sub-quantizers must be from 1 to 4096.";
const NBITS_RANGE_SAYS: &str = "The bits of a sub-quantizer must be from 4 to 12.";
const KEEPS_DIMENSION: &str = "A rotation that changes the dimension is not supported.";
const NOTHING_LOST: &str = "Flat loses nothing that a rotation or a refinement could make up for.";
const ONE_ROTATION: &str = "Only one rotation is supported, and L2norm before it.";
const RABITQ_RANGE_SAYS: &str = "RaBitQ has from 1 to 8 bits a component.";
const LINKS_RANGE_SAYS: &str = "The number of links must be from 2 to 100.";
const GRAPH_CODES: &str = "A graph has codes Flat, SQfp16 and SQ8.";
const GRAPH_IS_FIRST: &str = "Nothing can be done to vectors before they come into a graph.";
const GRAPH_REFINES: &str = "A graph with a lossy code takes real distances from the table.";
const REFINE_KINDS: &str = "Only RFlat, Refine(SQfp16) and Refine(SQ8) are supported.";

impl Factory {
    /// Takes a factory string apart.
    pub fn parse(whole: &str) -> Result<Self, FactoryError> {
        if whole.is_empty() {
            return Err(FactoryError::Empty);
        }
        let parts = split(whole);
        Parser { whole, parts: &parts, at: 0 }.factory()
    }

    /// As `parse`, also of a binary index, which has no code; and whether it is one.
    pub fn parse_any(whole: &str) -> Result<(Self, bool), FactoryError> {
        match whole.strip_prefix('B').filter(|_| is_binary(whole)) {
            Some(rest) if rest.starts_with("IVF") => {
                Self::parse(&format!("{rest},Flat")).map(|factory| (factory, true))
            }
            Some(rest) => Self::parse(rest).map(|factory| (factory, true)),
            None => Self::parse(whole).map(|factory| (factory, false)),
        }
    }
}

/// Whether a factory string is one of FAISS's binary indexes: `BFlat`, `BIVF` or `BHNSW` with a number.
pub fn is_binary(whole: &str) -> bool {
    let Some(rest) = whole.strip_prefix('B') else { return false };
    let numbered = rest.strip_prefix("IVF").or(rest.strip_prefix("HNSW"));
    rest == "Flat" || numbered.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The parts between commas; a comma inside brackets belongs to its part.
fn split(whole: &str) -> Vec<&str> {
    let mut depth = 0u32;
    let is_cut = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    whole.split(is_cut).collect()
}

struct Parser<'a> {
    whole: &'a str,
    parts: &'a [&'a str],
    /// The part that comes next.
    at: usize,
}

impl<'a> Parser<'a> {
    fn factory(mut self) -> Result<Factory, FactoryError> {
        let normalize = matches!(self.peek(), Some("L2norm" | "L2Norm"));
        self.at += usize::from(normalize);
        let rotation_part = self.peek();
        let rotation = self.rotation()?;
        if let Some((part, rest)) = self.peek().and_then(|p| Some((p, p.strip_prefix("HNSW")?))) {
            return self.hnsw(part, rest);
        }
        let nlist = self.nlist()?;
        let code_part = self.peek();
        let code = self.code()?;
        let refine_part = self.peek();
        let refine = self.refine()?;
        if let Some(part) = self.peek() {
            return Err(self.not_understood(part));
        }
        if code.is_none() && code_part.is_some() {
            let idle = match rotation {
                RotationKind::None => refine_part,
                _ => rotation_part,
            };
            if let Some(part) = idle {
                return Err(self.unsupported(part, NOTHING_LOST));
            }
        }
        Ok(Factory { normalize, rotation, graph: None, nlist, code, refine })
    }

    fn peek(&self) -> Option<&'a str> {
        self.parts.get(self.at).copied()
    }

    fn rotation(&mut self) -> Result<RotationKind, FactoryError> {
        let rotation = match self.peek() {
            Some(part) => self.one_rotation(part)?,
            None => None,
        };
        let Some(rotation) = rotation else { return Ok(RotationKind::None) };
        self.at += 1;
        if let Some(part) = self.peek()
            && (part == "L2norm" || part == "L2Norm" || self.one_rotation(part)?.is_some())
        {
            return Err(self.unsupported(part, ONE_ROTATION));
        }
        Ok(rotation)
    }

    /// The rotation that a part stands for, `None` if it is none.
    fn one_rotation(&self, part: &str) -> Result<Option<RotationKind>, FactoryError> {
        if let Some(rest) = part.strip_prefix("OPQ") {
            let (m, dims) = match rest.split_once('_') {
                Some((m, dims)) => (m, Some(dims)),
                None => (rest, None),
            };
            return match (number(m), dims.map(number)) {
                (None, _) | (_, Some(None)) => Err(self.not_understood(part)),
                (_, Some(_)) => Err(self.unsupported(part, KEEPS_DIMENSION)),
                (Some(m), None) => Ok(Some(RotationKind::Opq { m: self.m(m, part)? })),
            };
        }
        if part == "HR" {
            return Ok(Some(RotationKind::Hadamard));
        }
        match part.strip_prefix("RR") {
            Some("") => Ok(Some(RotationKind::Random)),
            Some(dims) if number(dims).is_some() => Err(self.unsupported(part, KEEPS_DIMENSION)),
            _ => Ok(None),
        }
    }

    /// `HNSW` with the number of links, then the code: behind a comma, as everywhere, or behind an underscore.
    fn hnsw(mut self, part: &'a str, rest: &'a str) -> Result<Factory, FactoryError> {
        if let Some(first) = self.parts.first().filter(|_| self.at > 0) {
            return Err(self.unsupported(first, GRAPH_IS_FIRST));
        }
        self.at += 1;
        let (m, code) = match rest.split_once('_') {
            Some((m, code)) => (m, Some(code)),
            None => (rest, self.peek().inspect(|_| self.at += 1)),
        };
        let m = match m {
            "" => LINKS_DEFAULT.into(),
            digits => number(digits).ok_or_else(|| self.not_understood(part))?,
        };
        let m = u16::try_from(m).ok().filter(|m| LINKS_RANGE.contains(m));
        let m = m.ok_or_else(|| self.out_of_range(part, LINKS_RANGE_SAYS))?;
        let code = match code {
            None | Some("Flat") => None,
            Some("SQfp16") => Some(CodeKind::SqFp16),
            Some("SQ8") => Some(CodeKind::Sq8),
            Some(other) => {
                let known = Parser { whole: self.whole, parts: &[other], at: 0 }.code().is_ok();
                return Err(match known {
                    true => self.unsupported(other, GRAPH_CODES),
                    false => self.not_understood(other),
                });
            }
        };
        match self.peek() {
            Some(part) if self.refine().is_ok() => Err(self.unsupported(part, GRAPH_REFINES)),
            Some(part) => Err(self.not_understood(part)),
            None => Ok(Factory {
                normalize: false,
                rotation: RotationKind::None,
                graph: Some(m),
                nlist: None,
                code,
                refine: Refine::Heap,
            }),
        }
    }

    fn nlist(&mut self) -> Result<Option<u32>, FactoryError> {
        let Some((part, count)) = self.peek().and_then(|p| Some((p, p.strip_prefix("IVF")?)))
        else {
            return Ok(None);
        };
        let lists = scaled(count).ok_or_else(|| self.not_understood(part))?;
        let nlist = u32::try_from(lists).ok().filter(|n| (1..=MAX_NLIST).contains(n));
        let nlist = nlist.ok_or_else(|| self.out_of_range(part, NLIST_RANGE_SAYS))?;
        self.at += 1;
        Ok(Some(nlist))
    }

    fn code(&mut self) -> Result<Option<CodeKind>, FactoryError> {
        let Some(part) = self.peek() else {
            let part = self.parts.last().copied().unwrap_or_default().to_owned();
            return Err(FactoryError::NoCode { whole: self.whole.to_owned(), part });
        };
        self.at += 1;
        let code = match part {
            "Flat" => None,
            "SQfp16" => Some(CodeKind::SqFp16),
            "SQ8" => Some(CodeKind::Sq8),
            "SQ4" => Some(CodeKind::Sq4),
            "RaBitQ" => Some(CodeKind::RaBitQ { nbits: 1 }),
            _ => match (part.strip_prefix("PQ"), part.strip_prefix("RaBitQ")) {
                (Some(rest), _) => Some(self.pq(part, rest)?),
                (_, Some(nbits)) => Some(self.rabitq(part, nbits)?),
                _ => return Err(self.not_understood(part)),
            },
        };
        Ok(code)
    }

    /// What follows `PQ`: `m`, `mxb`, either with `np` (no polysemous training, of which there is none here), or `mx4fs`.
    fn pq(&self, part: &str, rest: &str) -> Result<CodeKind, FactoryError> {
        let not_understood = || self.not_understood(part);
        if let Some(m) = rest.strip_suffix("x4fs") {
            let m = number(m).ok_or_else(not_understood)?;
            return Ok(CodeKind::PqFs { m: self.m(m, part)? });
        }
        let rest = rest.strip_suffix("np").unwrap_or(rest);
        let (m, nbits) = rest.split_once('x').unwrap_or((rest, "8"));
        let m = number(m).ok_or_else(not_understood)?;
        let nbits = number(nbits).ok_or_else(not_understood)?;
        let nbits = u8::try_from(nbits).ok().filter(|nbits| PQ_NBITS.contains(nbits));
        let nbits = nbits.ok_or_else(|| self.out_of_range(part, NBITS_RANGE_SAYS))?;
        Ok(CodeKind::Pq { m: self.m(m, part)?, nbits })
    }

    /// What follows `RaBitQ`: the bits of a component.
    fn rabitq(&self, part: &str, nbits: &str) -> Result<CodeKind, FactoryError> {
        let nbits = number(nbits).ok_or_else(|| self.not_understood(part))?;
        let nbits = u8::try_from(nbits).ok().filter(|nbits| RABITQ_NBITS.contains(nbits));
        let nbits = nbits.ok_or_else(|| self.out_of_range(part, RABITQ_RANGE_SAYS))?;
        Ok(CodeKind::RaBitQ { nbits })
    }

    fn m(&self, m: u64, part: &str) -> Result<u16, FactoryError> {
        let m = u16::try_from(m).ok().filter(|m| M_RANGE.contains(m));
        m.ok_or_else(|| self.out_of_range(part, M_RANGE_SAYS))
    }

    fn refine(&mut self) -> Result<Refine, FactoryError> {
        let Some(part) = self.peek() else { return Ok(Refine::Heap) };
        let refine = match part {
            "RFlat" | "Refine(Flat)" => Refine::Flat,
            "Refine(SQfp16)" => Refine::SqFp16,
            "Refine(SQ8)" => Refine::Sq8,
            _ if part.starts_with("Refine(") && part.ends_with(')') => {
                return Err(self.unsupported(part, REFINE_KINDS));
            }
            _ => return Err(self.not_understood(part)),
        };
        self.at += 1;
        Ok(refine)
    }

    fn not_understood(&self, part: &str) -> FactoryError {
        FactoryError::NotUnderstood { whole: self.whole.to_owned(), part: part.to_owned() }
    }

    fn unsupported(&self, part: &str, why: &'static str) -> FactoryError {
        FactoryError::Unsupported { whole: self.whole.to_owned(), part: part.to_owned(), why }
    }

    fn out_of_range(&self, part: &str, why: &'static str) -> FactoryError {
        FactoryError::OutOfRange { whole: self.whole.to_owned(), part: part.to_owned(), why }
    }
}

/// Digits alone. Saturates, so that what is absurdly large is out of range and not unknown.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// A number with an optional suffix.
fn scaled(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1u64),
    };
    Some(number(digits)?.saturating_mul(unit))
}
