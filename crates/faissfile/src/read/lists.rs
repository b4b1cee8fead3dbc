//! The entries of inverted lists.

use super::Reader;
use crate::error::{Error, FourCc};
use crate::index::Lists;
use crate::source::{Source, Span};

/// What lists in blocks have in place of a code size.
const NO_CODE_SIZE: u64 = u64::MAX;

impl Reader<'_> {
    /// `code_size`: bytes of a vector's code; of blocks it is not known.
    pub(super) fn lists(&mut self, nlist: u64, code_size: u64) -> Result<Lists, Error> {
        let (at, outer) = (self.at, self.code);
        self.code = FourCc(self.raw("the kind of lists")?);
        let lists = match &self.code.0 {
            b"il00" => Lists::None,
            b"ilar" => self.list_array(nlist, code_size)?,
            b"ilbl" => self.list_blocks(nlist)?,
            b"ilod" | b"ilpn" => {
                return Err(Error::Unsupported {
                    code: self.code,
                    at,
                    what: "its lists are not stored in the file".into(),
                    hint: "Read the index in FAISS with its lists in memory, and write it again.",
                });
            }
            _ => return Err(self.damaged(at, "this is no kind of inverted lists")),
        };
        self.code = outer;
        Ok(lists)
    }

    fn same_nlist(&mut self, nlist: u64) -> Result<(), Error> {
        let at = self.at;
        let found = self.u64("the number of lists")?;
        self.same(at, "the number of lists", found, nlist)
    }

    fn list_array(&mut self, nlist: u64, code_size: u64) -> Result<Lists, Error> {
        self.same_nlist(nlist)?;
        let (at, found) = (self.at, self.u64("the code size")?);
        self.same(at, "the code size", found, code_size)?;
        let at = self.at;
        let is_sparse = match &self.raw::<4>("the kind of sizes")? {
            b"full" => false,
            b"sprs" => true,
            _ => return Err(self.damaged(at, "the sizes of lists are neither full nor sparse")),
        };
        let sizes = if is_sparse {
            self.array(8, "the sizes of lists")?
        } else {
            self.exactly(nlist, 8, "the sizes of lists")?
        };
        let first = self.at;
        let n = self.total(nlist, sizes, is_sparse)?;
        let bytes = code_size.saturating_add(8);
        self.span(sizes.at, n, bytes, "the entries of all lists")?;
        Ok(Lists::Array { code_size, sizes, is_sparse, first })
    }

    /// The entries of all lists. The sizes are there: they are gone through a few at a time.
    fn total(&mut self, nlist: u64, sizes: Span, is_sparse: bool) -> Result<u64, Error> {
        let step = if is_sparse { 2 } else { 1 };
        let (mut total, mut before) = (0u64, None);
        for i in (0..sizes.len).step_by(step) {
            let mut at = sizes.place(i);
            if is_sparse {
                if i + 1 == sizes.len {
                    return Err(self.damaged(at, "the last list has no size"));
                }
                let list_no = self.number_at(at)?;
                if list_no >= nlist || before.is_some_and(|before| list_no <= before) {
                    return Err(self.damaged(at, format!("list {list_no} is out of order")));
                }
                before = Some(list_no);
                at += 8;
            }
            total = total.saturating_add(self.number_at(at)?);
        }
        Ok(total)
    }

    fn number_at(&mut self, at: u64) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.window.read_at(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn list_blocks(&mut self, nlist: u64) -> Result<Lists, Error> {
        self.same_nlist(nlist)?;
        let (at, found) = (self.at, self.u64("the code size")?);
        self.same(at, "the code size", found, NO_CODE_SIZE)?;
        let per_block = self.count("the vectors of a block", 1 << 16)? as u64;
        let block_size = self.count("the bytes of a block", 1 << 30)? as u64;
        for _ in 0..nlist {
            let n = self.array(8, "the ids of a list")?.len;
            let bytes = n.div_ceil(per_block).saturating_mul(block_size);
            self.exactly(bytes, 1, "the blocks of a list")?;
        }
        Ok(Lists::Blocks)
    }
}
