//! How searches choose their lists, as the metapage keeps it.

use ann::tuning::probing::{PARTS, ProbeRule};

use crate::bytes::{put_u32, u32_at};

/// Bytes that a rule takes: two exponents and the parts, f32. All zero: there is none.
pub const SIZE: usize = (EXPONENTS + PARTS) * size_of::<f32>();

const EXPONENTS: usize = 2;

/// Writes a rule at `start`.
pub fn encode(body: &mut [u8], start: usize, rule: Option<&ProbeRule>) {
    let numbers = rule.into_iter().flat_map(|rule| rule.exponents.into_iter().chain(rule.parts));
    let numbers = numbers.chain(std::iter::repeat(0.0));
    for (number, at) in numbers.zip((start..start + SIZE).step_by(size_of::<f32>())) {
        put_u32(body, at, number.to_bits());
    }
}

/// Reads one. Numbers that no build writes count as none: what depends on them is how long a search goes on, not what it may
/// return.
pub fn decode(body: &[u8], start: usize) -> Option<ProbeRule> {
    let number = |at: usize| f32::from_bits(u32_at(body, start + at * size_of::<f32>()));
    let rule = ProbeRule {
        exponents: std::array::from_fn(number),
        parts: std::array::from_fn(|at| number(EXPONENTS + at)),
    };
    let is_sound = rule.exponents.iter().chain(&rule.parts).all(|x| x.is_finite());
    (is_sound && rule.exponents != [0.0; EXPONENTS]).then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_back_and_nonsense_is_none() {
        let parts = std::array::from_fn(|i| i as f32 / PARTS as f32);
        let rule = ProbeRule { exponents: [-1.0, -4.0], parts };
        let mut body = vec![0; 24 + SIZE + 8];
        assert_eq!(decode(&body, 24), None);
        encode(&mut body, 24, Some(&rule));
        assert_eq!(decode(&body, 24), Some(rule));
        assert_eq!((&body[..24], &body[24 + SIZE..]), (&[0; 24][..], &[0; 8][..]));
        let mut damaged = body.clone();
        put_u32(&mut damaged, 24 + SIZE - 4, f32::NAN.to_bits());
        assert_eq!(decode(&damaged, 24), None);
        encode(&mut body, 24, None);
        assert_eq!((decode(&body, 24), body), (None, vec![0; 24 + SIZE + 8]));
    }
}
