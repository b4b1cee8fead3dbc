//! Large objects by the server's own functions, which know who may read and write them. What is open is closed at the end of the
//! (sub)transaction, also after an ERROR; a new object is then gone as well.

use faissfile::Error;
use pgrx::pg_sys::{self, Datum, Oid};

use crate::am::interrupts::check_for_interrupts;

/// Numbers of the server's functions, which never change.
const LO_OPEN: u32 = 952;
const LO_CLOSE: u32 = 953;
const LO_READ: u32 = 954;
const LO_WRITE: u32 = 955;
const LO_CREATE: u32 = 715;
const LO_LSEEK64: u32 = 3170;
/// Modes of lo_open.
const INV_WRITE: i32 = 0x0002_0000;
const INV_READ: i32 = 0x0004_0000;
/// Bytes read or written at once.
const AT_ONCE: usize = 256 << 10;

/// A large object that is open.
pub struct LargeObject {
    fd: i32,
    size: u64,
    at: u64,
}

impl LargeObject {
    /// Opens one for reading. Raises 42704 or 42501.
    pub fn open(oid: Oid) -> Self {
        let mut object = Self::with_mode(oid, INV_READ);
        object.size = object.seek(0, libc::SEEK_END);
        object.at = object.size;
        object
    }

    /// A new one, open for writing, and its oid.
    pub fn create() -> (Oid, Self) {
        // SAFETY: a function of the server with these arguments.
        let oid = unsafe { call1(LO_CREATE, Datum::from(Oid::INVALID)) };
        let oid = Oid::from(oid.value() as u32);
        (oid, Self::with_mode(oid, INV_WRITE | INV_READ))
    }

    fn with_mode(oid: Oid, mode: i32) -> Self {
        // SAFETY: a function of the server with these arguments.
        let fd = unsafe { call2(LO_OPEN, Datum::from(oid), Datum::from(mode)) };
        Self { fd: fd.value() as i32, size: 0, at: 0 }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    fn seek(&self, to: u64, whence: i32) -> u64 {
        let arguments = (Datum::from(self.fd), Datum::from(to as i64), Datum::from(whence));
        // SAFETY: a function of the server with these arguments; a bigint comes by value.
        let at = unsafe {
            let (fd, to, whence) = arguments;
            pg_sys::OidFunctionCall3Coll(LO_LSEEK64.into(), Oid::INVALID, fd, to, whence)
        };
        at.value() as u64
    }

    pub fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        if self.at != at {
            self.at = self.seek(at, libc::SEEK_SET);
        }
        for part in out.chunks_mut(AT_ONCE) {
            check_for_interrupts();
            // SAFETY: a function of the server with these arguments, whose result is a new bytea that is freed after its bytes
            // are copied.
            let n = unsafe {
                let value = call2(LO_READ, Datum::from(self.fd), Datum::from(part.len() as i32));
                let bytes = pgrx::varlena_to_byte_slice(value.cast_mut_ptr());
                part.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                let n = bytes.len();
                pg_sys::pfree(value.cast_mut_ptr());
                n
            };
            self.at += n as u64;
            if n < part.len() {
                return Err(Error::Source("the large object ends too early".into()));
            }
        }
        Ok(())
    }

    /// Writes at the end of what was written.
    pub fn append(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(AT_ONCE) {
            check_for_interrupts();
            // SAFETY: a function of the server; the bytea is made and freed here.
            unsafe {
                let value = pgrx::rust_byte_slice_to_bytea(part).as_ptr();
                call2(LO_WRITE, Datum::from(self.fd), Datum::from(value));
                pg_sys::pfree(value.cast());
            }
            self.at += part.len() as u64;
        }
    }
}

impl Drop for LargeObject {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by us; after an ERROR the abort closes it.
            unsafe { call1(LO_CLOSE, Datum::from(self.fd)) };
        }
    }
}

/// # Safety
/// The function must take this argument.
unsafe fn call1(function: u32, a: Datum) -> Datum {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::OidFunctionCall1Coll(function.into(), Oid::INVALID, a) }
}

/// # Safety
/// The function must take these arguments.
unsafe fn call2(function: u32, a: Datum, b: Datum) -> Datum {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::OidFunctionCall2Coll(function.into(), Oid::INVALID, a, b) }
}
