//! Codes of several bits a component in planes: the codes of a block are one plane of bits after the other, the highest
//! first, each laid out as fast-scan codes are, eight components to a unit.
//!
//! FAISS keeps the highest bits, the signs, apart: a code begins with one bit of each component, then comes a bit stream of the
//! other bits, the lowest of a component first. Eight components are as many bytes of it as a component has bits there.

use super::lut;

/// Where the parts of a code and of a block lie.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    /// Units of a plane, and bytes of the signs.
    pub n_units: usize,
    /// Bits of a component in the stream, 0..=7.
    pub rest: usize,
}

impl Planes {
    /// Writes a code: `eights` gives the numbers of eight components in turn, with the sign as the highest bit.
    pub fn write(self, eights: impl Iterator<Item = [u8; 8]>, code: &mut [u8]) {
        let Some((signs, mut stream)) = code.split_at_mut_checked(self.n_units) else { return };
        for (sign, numbers) in signs.iter_mut().zip(eights) {
            let (mut bits, mut rests) = (0, 0u64);
            for (i, number) in numbers.into_iter().enumerate() {
                bits |= (number >> self.rest & 1) << i;
                rests |= (u64::from(number) & ((1 << self.rest) - 1)) << (i * self.rest);
            }
            *sign = bits;
            let (bytes, after) = stream.split_at_mut(self.rest.min(stream.len()));
            bytes.iter_mut().zip(rests.to_le_bytes()).for_each(|(to, from)| *to = from);
            stream = after;
        }
    }

    /// The numbers of eight components, the n-th eight of a code.
    pub fn eight(self, code: &[u8], n: usize) -> [u8; 8] {
        let sign = code.get(n).copied().unwrap_or(0);
        let rests = self.rests(code, n);
        std::array::from_fn(|i| {
            let rest = rests >> (i * self.rest) & ((1 << self.rest) - 1);
            (sign >> i & 1) << self.rest | rest as u8
        })
    }

    /// The part of the stream that belongs to the n-th eight components.
    fn rests(self, code: &[u8], n: usize) -> u64 {
        let mut bytes = [0; 8];
        let stream = code.get(self.n_units + n * self.rest..).unwrap_or_default();
        bytes.iter_mut().zip(stream).take(self.rest).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(bytes)
    }

    /// Plane and place in it of a unit.
    fn place(self, unit: usize) -> (usize, usize) {
        (unit / self.n_units.max(1), unit % self.n_units.max(1))
    }

    /// `Coding::pack`.
    pub fn pack(self, code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]) {
        let byte = |unit| match self.place(unit) {
            (0, n) => code.get(n).copied().unwrap_or(0),
            (plane, n) => {
                let bits = self.rests(code, n) >> self.rest.saturating_sub(plane);
                (0..8).fold(0, |byte, i| byte | ((bits >> (i * self.rest) & 1) as u8) << i)
            }
        };
        lut::pack((first_unit..).map(byte), lane, units);
    }

    /// `Coding::unpack`.
    pub fn unpack(self, first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]) {
        for (unit, byte) in (first_unit..).zip(lut::unpack(units, lane)) {
            match self.place(unit) {
                (0, n) => {
                    if let Some(to) = code.get_mut(n) {
                        *to = byte;
                    }
                }
                (plane, n) => {
                    let bit = |i: usize| u64::from(byte >> i & 1) << (i * self.rest);
                    let bits = (0..8).fold(0, |bits, i| bits | bit(i));
                    let bytes = (bits << self.rest.saturating_sub(plane)).to_le_bytes();
                    let stream = code.iter_mut().skip(self.n_units + n * self.rest);
                    stream.take(self.rest).zip(bytes).for_each(|(to, from)| *to |= from);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Planes;
    use crate::codec::{UNIT, bits};
    use crate::rng::Rng;

    #[test]
    fn a_code_is_signs_and_a_stream() {
        let mut rng = Rng::new(1);
        for (dims, rest) in
            [1, 7, 8, 9, 24, 61].into_iter().flat_map(|d| (0..8).map(move |r| (d, r)))
        {
            let planes = Planes { n_units: usize::div_ceil(dims, 8), rest };
            let mut numbers = vec![[0u8; 8]; planes.n_units];
            for j in 0..dims {
                numbers[j / 8][j % 8] = rng.below(2 << rest) as u8;
            }
            let mut code = vec![0xFF; planes.n_units + (dims * rest).div_ceil(8)];
            planes.write(numbers.iter().copied(), &mut code);
            let (signs, stream) = code.split_at(planes.n_units);
            for j in 0..dims {
                let sign = u16::from(signs[j / 8] >> (j % 8) & 1) << rest;
                let number = sign | bits::read(stream, j * rest, rest as u8);
                assert_eq!(number, u16::from(numbers[j / 8][j % 8]), "{dims} {rest} {j}");
            }
            for (n, eight) in numbers.iter().enumerate() {
                assert_eq!(planes.eight(&code, n), *eight);
            }
            // Units hold the planes, the highest first.
            let mut units = vec![0; planes.n_units * (rest + 1) * UNIT];
            planes.pack(&code, 0, 0, &mut units);
            for (at, unit) in units.chunks(UNIT).enumerate() {
                let (plane, eight) = (at / planes.n_units, numbers[at % planes.n_units]);
                let bit = |i: usize| eight[i] >> (rest - plane) & 1;
                let nibble = |i: usize| (i..i + 4).map(|j| bit(j) << (j - i)).sum::<u8>();
                assert_eq!((unit[0], unit[16]), (nibble(0), nibble(4)), "{dims} {rest} {at}");
            }
        }
    }
}
