//! What happens to pages that should not: bytes change, pages are lost, exchanged or older than the others.

use ann::rng::Rng;

use crate::hnsw::Meta;
use crate::lists::meta::seal;
use crate::mem::MemPages;
use crate::page::{BODY_END, BODY_SIZE, BODY_START, PAGE_SIZE, Page, PageKind};
use crate::store::Pages;

/// Where a fault takes its chances from: a seed, or the bytes that a fuzzer makes up.
pub trait Dice {
    /// A number in `0..n`; 0 when n is 0.
    fn below(&mut self, n: u32) -> u32;
}

impl Dice for Rng {
    fn below(&mut self, n: u32) -> u32 {
        Rng::below(self, n)
    }
}

/// Bytes that say what happens; nothing but zeros follows them.
impl Dice for &[u8] {
    fn below(&mut self, n: u32) -> u32 {
        let size = match n {
            0 | 1 => return 0,
            2..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let (now, later) = self.split_at_checked(size).unwrap_or((&[], &[]));
        *self = later;
        let number = now.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
        number % n
    }
}

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A single bit of a page.
    Bit,
    /// Some bytes.
    Noise,
    /// A number that is likely to lead somewhere, where numbers stand.
    Number,
    /// What a page says of itself at its end, or the server's header.
    Identity,
    /// A page of zeros.
    Zeroed,
    /// A page of one other byte.
    Filled,
    /// Two pages have changed places.
    Swapped,
    /// A page is a copy of another one.
    Copied,
    /// The file ends early.
    Truncated,
    /// A page, or all from one on, is as it was some time ago.
    Stale,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Fault; 10] = [
        Fault::Bit,
        Fault::Noise,
        Fault::Number,
        Fault::Identity,
        Fault::Zeroed,
        Fault::Filled,
        Fault::Swapped,
        Fault::Copied,
        Fault::Truncated,
        Fault::Stale,
    ];

    /// Damages an index; `earlier`: the same index as it was before.
    pub fn apply(self, mem: &MemPages, earlier: &[MemPages], dice: &mut dyn Dice) {
        let n_blocks = mem.n_blocks().unwrap_or(0);
        let blkno = dice.below(n_blocks);
        if n_blocks == 0 {
            return;
        }
        match self {
            Fault::Bit => {
                let (at, bit) = (dice.below(PAGE_SIZE as u32) as usize, dice.below(8));
                mem.damage(blkno, |page| page.bytes_mut()[at] ^= 1 << bit);
            }
            Fault::Noise => mem.damage(blkno, |page| noise(page, dice)),
            Fault::Number => {
                let is_sealed = dice.below(4) > 0;
                mem.damage(blkno, |page| {
                    number(page, n_blocks, dice);
                    // Numbers of META that nobody checks but by their sense.
                    if is_sealed && page.kind() == Some(PageKind::Meta) && !Meta::is_graph(page) {
                        seal(page);
                    }
                });
            }
            Fault::Identity => mem.damage(blkno, |page| identity(page, dice)),
            Fault::Zeroed => mem.damage(blkno, |page| page.bytes_mut().fill(0)),
            Fault::Filled => {
                let byte = [0xFF, 0xA5, 1][dice.below(3) as usize];
                let from = if dice.below(2) == 0 { 0 } else { BODY_START };
                let to = if dice.below(2) == 0 { PAGE_SIZE } else { BODY_END };
                mem.damage(blkno, |page| page.bytes_mut()[from..to].fill(byte));
            }
            Fault::Swapped => {
                let other = dice.below(n_blocks);
                let (a, b) = (mem.page(blkno), mem.page(other));
                mem.put_page(blkno, b);
                mem.put_page(other, a);
            }
            Fault::Copied => mem.put_page(blkno, mem.page(dice.below(n_blocks))),
            Fault::Truncated => mem.truncate(blkno),
            Fault::Stale => {
                let Some(then) = earlier.get(dice.below(earlier.len() as u32) as usize) else {
                    return;
                };
                let n = then.n_blocks().unwrap_or(0).min(n_blocks);
                let last = if dice.below(2) == 0 { blkno + 1 } else { n };
                (blkno.min(n)..last.min(n)).for_each(|b| mem.put_page(b, then.page(b)));
            }
        }
    }
}

fn noise(page: &mut Page, dice: &mut dyn Dice) {
    let len = 1 + dice.below(64) as usize;
    let at = dice.below((PAGE_SIZE - len) as u32) as usize;
    page.bytes_mut()[at..at + len].fill_with(|| dice.below(256) as u8);
}

/// Most of what a page says of itself stands at the beginning of its body.
fn number(page: &mut Page, n_blocks: u32, dice: &mut dyn Dice) {
    for _ in 0..=dice.below(4) {
        let within = [48, 96, 512, BODY_SIZE as u32 - 4][dice.below(4) as usize];
        let at = BODY_START + 2 * dice.below(within / 2) as usize;
        let value = match dice.below(10) {
            0 => 0,
            1 => 1,
            2 => u32::MAX,
            3 => u32::MAX - 1,
            4 => 1 << 31,
            5 => dice.below(u32::MAX),
            6 => f32::NAN.to_bits(),
            7 => dice.below(1 << 16),
            _ => dice.below(n_blocks + 2),
        };
        let size = if dice.below(3) == 0 { 2 } else { 4 };
        page.bytes_mut()[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

fn identity(page: &mut Page, dice: &mut dyn Dice) {
    let at = match dice.below(2) {
        0 => dice.below(BODY_START as u32) as usize,
        _ => BODY_END + dice.below((PAGE_SIZE - BODY_END) as u32) as usize,
    };
    // Small numbers are kinds and owners.
    let value = if dice.below(2) == 0 { dice.below(16) } else { dice.below(256) };
    page.bytes_mut()[at] = value as u8;
}
