//! Where a row is in the heap, and the mark of an entry whose row is dead to all (`README.md`, marks).

/// A heap tuple's identifier. Ordered by block, then offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid {
    /// Heap block.
    pub blkno: u32,
    /// Line pointer number, from 1 to [`OFFSET_MAX`]; 0 says that a slot is free.
    pub offset: u16,
}

/// Bytes of a tid in a page.
pub const TID_SIZE: usize = 6;
/// The largest offset that can be stored: the two bits above are marks. A heap's are much smaller.
pub const OFFSET_MAX: u16 = 0x3FFF;
/// Which byte of a stored tid has the marks, and which of a stored offset.
pub const MARK_BYTE: usize = 5;
pub const MARK_BYTE_OF_OFFSET: usize = 1;
/// In that byte: a scan found the row dead to all. Set as a hint, under a share lock and without WAL.
pub const HINTED: u8 = 0x80;
/// In that byte: the same, written by an edit that found the hint on its page.
const SETTLED: u8 = 0x40;

impl Tid {
    /// What a free slot holds.
    pub const FREE: Self = Self { blkno: 0, offset: 0 };

    /// A tid.
    pub fn new(blkno: u32, offset: u16) -> Self {
        Self { blkno, offset }
    }

    /// Whether a slot with this tid is free.
    pub fn is_free(self) -> bool {
        self.offset == 0
    }

    /// Whether the marks leave room for its offset.
    pub fn is_storable(self) -> bool {
        self.offset <= OFFSET_MAX
    }

    /// As stored without a mark: block u32, offset u16, little-endian.
    pub fn to_bytes(self) -> [u8; TID_SIZE] {
        debug_assert!(self.is_storable());
        let (b, o) = (self.blkno.to_le_bytes(), self.offset.to_le_bytes());
        [b[0], b[1], b[2], b[3], o[0], o[1]]
    }

    /// The tid that is stored, marked or not.
    pub fn from_bytes(bytes: [u8; TID_SIZE]) -> Self {
        let [a, b, c, d, e, f] = bytes;
        Self::from_parts(u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]))
    }

    /// As `from_bytes`, for a heap block and an offset that are stored apart.
    #[inline]
    pub fn from_parts(blkno: u32, offset: u16) -> Self {
        Self { blkno, offset: offset & OFFSET_MAX }
    }

    /// Whether the tid in these bytes is marked.
    #[inline]
    pub fn is_marked(bytes: [u8; TID_SIZE]) -> bool {
        let [.., last] = bytes;
        is_mark(last)
    }

    /// A number with the same order.
    pub fn to_u64(self) -> u64 {
        u64::from(self.blkno) << 16 | u64::from(self.offset)
    }

    /// The inverse of [`Tid::to_u64`].
    pub fn from_u64(n: u64) -> Self {
        Self { blkno: (n >> 16) as u32, offset: n as u16 }
    }
}

/// Whether a byte of marks has one.
#[inline]
pub fn is_mark(byte: u8) -> bool {
    byte & (HINTED | SETTLED) != 0
}

/// Makes the hint in a byte of marks part of the page, inside an edit: it is logged then.
#[inline]
pub fn settle(byte: &mut u8) {
    if *byte & HINTED != 0 {
        *byte = *byte & !HINTED | SETTLED;
    }
}

impl std::fmt::Display for Tid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({},{})", self.blkno, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_round_trip_and_keep_the_order() {
        let tids = [Tid::FREE, Tid::new(0, 1), Tid::new(0, OFFSET_MAX), Tid::new(1, 0)];
        let tids = tids.into_iter().chain([Tid::new(0x1234_5678, 9), Tid::new(u32::MAX, 291)]);
        let mut last = None;
        for tid in tids {
            assert_eq!(Tid::from_bytes(tid.to_bytes()), tid);
            assert_eq!(Tid::from_u64(tid.to_u64()), tid);
            assert!(last < Some(tid.to_u64()));
            last = Some(tid.to_u64());
        }
    }

    #[test]
    fn a_mark_changes_no_tid() {
        for tid in [Tid::new(7, 1), Tid::new(u32::MAX, OFFSET_MAX)] {
            let plain = tid.to_bytes();
            let mut marked = plain;
            marked[MARK_BYTE] |= HINTED;
            assert!(!Tid::is_marked(plain) && Tid::is_marked(marked));
            settle(&mut marked[MARK_BYTE]);
            assert!(Tid::is_marked(marked) && marked[MARK_BYTE] & HINTED == 0);
            assert_eq!(Tid::from_bytes(marked), tid);
            let mut same = plain;
            settle(&mut same[MARK_BYTE]);
            assert_eq!(same, plain);
        }
    }
}
