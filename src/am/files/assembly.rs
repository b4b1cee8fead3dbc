//! A file put together from its small parts, in memory, and its large ones, in temporary files, and where it goes then.

use std::mem::take;

use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{PgSqlErrorCode, set_varsize_4b};

use super::large_object::LargeObject;
use super::server_file::NewFile;
use crate::am::interrupts::check_for_interrupts;
use crate::am::report::{Report, checked};
use crate::am::spill::TempFile;

/// Bytes that go to a temporary file, or come from one, at once.
const AT_ONCE: usize = 256 << 10;
/// The most bytes of a bytea: 1 GB with its header.
const BYTEA_MAX: u64 = (1 << 30) - 5;

/// A large part of a file: written first, then read once.
pub struct Spool {
    file: Option<TempFile>,
    held: Vec<u8>,
    len: u64,
    index: pg_sys::Relation,
}

impl Spool {
    /// An empty one. Errors name `index`.
    pub fn new(index: pg_sys::Relation) -> Self {
        Self { file: None, held: Vec::new(), len: 0, index }
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.held.extend_from_slice(bytes);
        if self.held.len() >= AT_ONCE {
            let file = self.file.get_or_insert_with(TempFile::new);
            checked(self.index, file.append(&self.held));
            self.held.clear();
        }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Shows all that was written, a piece at a time. Nothing may be written afterwards.
    pub fn each(&self, mut show: impl FnMut(&[u8])) {
        let in_file = self.len - self.held.len() as u64;
        let mut piece = Vec::new();
        let mut at = 0;
        while let Some(file) = self.file.as_ref().filter(|_| at < in_file) {
            piece.resize(AT_ONCE.min((in_file - at) as usize), 0);
            checked(self.index, file.read_at(at, &mut piece));
            show(&piece);
            at += piece.len() as u64;
        }
        show(&self.held);
    }
}

enum Part {
    Bytes(Vec<u8>),
    Spool(Spool),
}

/// A file in parts.
#[derive(Default)]
pub struct Assembly {
    parts: Vec<Part>,
    len: u64,
}

impl Assembly {
    /// A file that is small enough to be held.
    pub fn of(bytes: Vec<u8>) -> Self {
        let mut file = Self::default();
        file.bytes(bytes);
        file
    }

    pub fn bytes(&mut self, bytes: Vec<u8>) {
        self.len += bytes.len() as u64;
        self.parts.push(Part::Bytes(bytes));
    }

    pub fn spool(&mut self, spool: Spool) {
        self.len += spool.len();
        self.parts.push(Part::Spool(spool));
    }

    fn each(&mut self, mut show: impl FnMut(&[u8])) {
        for part in take(&mut self.parts) {
            match part {
                Part::Bytes(bytes) => bytes.chunks(AT_ONCE).for_each(&mut show),
                Part::Spool(spool) => spool.each(&mut show),
            }
        }
    }

    /// As a bytea in the current memory context. 54000 for more than one has room for.
    pub fn into_bytea(mut self) -> Datum {
        if self.len > BYTEA_MAX {
            Report::new(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("FAISS file would have {} bytes", self.len),
            )
            .detail(format!("A bytea has at most {BYTEA_MAX}."))
            .hint(
                "Call the function of this name with _lo, or with _path, which has no such bound.",
            )
            .error();
        }
        let size = pg_sys::VARHDRSZ + self.len as usize;
        // SAFETY: palloc gives as many bytes or raises an error; below 1 GB they are a varlena.
        let start = unsafe {
            let start = pg_sys::palloc(size).cast::<u8>();
            set_varsize_4b(start.cast(), size as i32);
            start
        };
        let mut at = pg_sys::VARHDRSZ;
        self.each(|piece| {
            check_for_interrupts();
            let room = size - at;
            let piece = piece.get(..room).unwrap_or(piece);
            // SAFETY: `at` and the piece's length together are at most `size`.
            unsafe { std::ptr::copy_nonoverlapping(piece.as_ptr(), start.add(at), piece.len()) };
            at += piece.len();
        });
        Datum::from(start)
    }

    /// As a new large object.
    pub fn into_large_object(mut self) -> Oid {
        let (oid, mut object) = LargeObject::create();
        self.each(|piece| object.append(piece));
        oid
    }

    /// As a file on the server, whose bytes are counted.
    pub fn into_file(mut self, mut file: NewFile) -> u64 {
        self.each(|piece| file.append(piece));
        file.finish();
        self.len
    }
}
