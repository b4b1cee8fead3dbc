//! The bytes of a file, wherever the user has it. Every read answers interrupts.

use faissfile::{Error, Source};
use pgrx::pg_sys;

use super::large_object::LargeObject;
use super::server_file::ServerFile;
use crate::am::interrupts::check_for_interrupts;

/// Where a file is.
pub enum Given {
    /// A value of type bytea, not NULL and as the server passes it.
    Bytes(pg_sys::Datum),
    /// A large object.
    LargeObject(pg_sys::Oid),
    /// A path on the server.
    Path(String),
}

/// A file open for reading.
pub enum Opened<'a> {
    Bytes(&'a [u8]),
    LargeObject(LargeObject),
    Path(ServerFile),
}

impl Opened<'_> {
    /// Opens it, and raises what there is to be said against that: 42704 for no such large object, 42501 for no privilege, 58P01
    /// for no such file.
    ///
    /// # Safety
    /// A datum must be a bytea that outlives the result.
    pub unsafe fn new(given: &Given) -> Self {
        match given {
            Given::Bytes(datum) => {
                // SAFETY: the caller's promise; what is expanded lives in the current memory context, that of the call.
                let bytes = unsafe {
                    let value = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
                    pgrx::varlena_to_byte_slice(value)
                };
                Self::Bytes(bytes)
            }
            Given::LargeObject(oid) => Self::LargeObject(LargeObject::open(*oid)),
            Given::Path(path) => Self::Path(ServerFile::open(path)),
        }
    }
}

impl Source for Opened<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::LargeObject(object) => object.size(),
            Self::Path(file) => file.size(),
        }
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        check_for_interrupts();
        match self {
            Self::Bytes(bytes) => bytes.read_at(at, out),
            Self::LargeObject(object) => object.read_at(at, out),
            Self::Path(file) => file.read_at(at, out),
        }
    }
}
