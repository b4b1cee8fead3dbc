//! The exact vectors of a build's rows, by number: read in another order than they come in.

use pages::Error;

use crate::am::spill::TempFile;

/// Vectors of one size: the first in memory as far as there is room, the others in a temporary file.
pub struct Vectors {
    /// Bytes of a vector; 0: none are kept.
    size: usize,
    memory: Vec<u8>,
    memory_max: usize,
    file: Option<TempFile>,
}

impl Vectors {
    /// Room for about `memory_max` bytes of them.
    pub fn new(size: usize, memory_max: usize) -> Self {
        let memory_max = memory_max - memory_max % size.max(1);
        Self { size, memory: Vec::new(), memory_max, file: None }
    }

    /// Bytes of a vector; 0 where none are kept.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes that are held in memory.
    pub fn in_memory(&self) -> usize {
        self.memory.capacity()
    }

    /// Adds the next vector, or as many as the bytes are.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.size == 0 {
            return Ok(());
        }
        let (first, rest) = bytes.split_at(bytes.len().min(self.memory_max - self.memory.len()));
        if self.memory.capacity() < self.memory.len() + first.len() {
            // A vector's own doubling could end at twice the memory there is room for.
            let target = (2 * self.memory.len()).max(self.memory.len() + first.len());
            self.memory.reserve_exact(target.min(self.memory_max) - self.memory.len());
        }
        self.memory.extend_from_slice(first);
        if rest.is_empty() {
            return Ok(());
        }
        self.file.get_or_insert_with(TempFile::new).append(rest)
    }

    /// The vector of a row, into `out`, which becomes as long as a vector is; nothing where none are kept.
    pub fn read(&mut self, row: u32, out: &mut Vec<u8>) -> Result<(), Error> {
        out.clear();
        let at = row as usize * self.size;
        if let Some(bytes) = self.memory.get(at..at + self.size) {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        out.resize(self.size, 0);
        match &mut self.file {
            Some(file) => file.read_at((at - self.memory.len()) as u64, out),
            None => Err(Error::Internal("vector was never written".into())),
        }
    }
}
