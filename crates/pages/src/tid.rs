//! Where a row is in the heap.

/// A heap tuple's identifier. Ordered by block, then offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid {
    /// Heap block.
    pub blkno: u32,
    /// Line pointer number, from 1; 0 marks a free slot.
    pub offset: u16,
}

/// Bytes of a tid in a page.
pub const TID_SIZE: usize = 6;

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

    /// As stored: block u32, offset u16, little-endian.
    pub fn to_bytes(self) -> [u8; TID_SIZE] {
        let (b, o) = (self.blkno.to_le_bytes(), self.offset.to_le_bytes());
        [b[0], b[1], b[2], b[3], o[0], o[1]]
    }

    /// The inverse of [`Tid::to_bytes`].
    pub fn from_bytes(bytes: [u8; TID_SIZE]) -> Self {
        let [a, b, c, d, e, f] = bytes;
        Self { blkno: u32::from_le_bytes([a, b, c, d]), offset: u16::from_le_bytes([e, f]) }
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
        let tids = [Tid::FREE, Tid::new(0, 1), Tid::new(0, 65535), Tid::new(1, 0)];
        let tids = tids.into_iter().chain([Tid::new(0x1234_5678, 9), Tid::new(u32::MAX, 291)]);
        let mut last = None;
        for tid in tids {
            assert_eq!(Tid::from_bytes(tid.to_bytes()), tid);
            assert_eq!(Tid::from_u64(tid.to_u64()), tid);
            assert!(last < Some(tid.to_u64()));
            last = Some(tid.to_u64());
        }
    }
}
