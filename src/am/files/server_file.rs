//! Files on the server, for members of the roles that COPY asks for. Descriptors are the server's: it closes them at the end of the
//! (sub)transaction, also after an ERROR.

use std::ffi::{CStr, CString, c_int};
use std::io;

use faissfile::Error;
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::am::interrupts::check_for_interrupts;
use crate::am::report::Report;

/// pg_read_server_files and pg_write_server_files, whose numbers never change.
const READERS: u32 = 4569;
const WRITERS: u32 = 4570;
/// Bytes read or written at once.
const AT_ONCE: usize = 1 << 20;
/// Who may read what is written: everybody, as COPY has it.
const MODE: libc::mode_t = 0o644;

/// A file open for reading.
pub struct ServerFile {
    fd: c_int,
    size: u64,
}

impl ServerFile {
    /// Opens the file at `path`. Raises 42501, 58P01 or whatever else keeps it from being read.
    pub fn open(path: &str) -> Self {
        require_role(READERS, "pg_read_server_files", "read from");
        let name = c_path(path);
        // SAFETY: a path that is copied.
        let fd = unsafe { pg_sys::OpenTransientFile(name.as_ptr(), libc::O_RDONLY) };
        if fd < 0 {
            failed(path, "open", io::Error::last_os_error());
        }
        // SAFETY: zeros are a stat; the call fills it in.
        let stat = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(fd, &raw mut stat) != 0 {
                failed(path, "look at", io::Error::last_os_error());
            }
            stat
        };
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            Report::new(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("\"{path}\" is not a regular file"),
            )
            .error();
        }
        Self { fd, size: stat.st_size.unsigned_abs() }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            check_for_interrupts();
            let len = rest.len().min(AT_ONCE);
            let place = (at + done as u64) as libc::off_t;
            // SAFETY: an open descriptor, and a buffer with room for the bytes asked for.
            let n = unsafe { libc::pread(self.fd, rest.as_mut_ptr().cast(), len, place) };
            match usize::try_from(n) {
                Ok(0) => return Err(Error::Source("it became shorter meanwhile".into())),
                Ok(n) => done += n,
                Err(_) if is_interrupted() => {}
                Err(_) => return Err(Error::Source(io::Error::last_os_error().to_string())),
            }
        }
        Ok(())
    }
}

impl Drop for ServerFile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by us; after an ERROR the abort closes it.
            unsafe { pg_sys::CloseTransientFile(self.fd) };
        }
    }
}

/// A file that is written under another name, and gets its own when it is whole: nobody sees half of it, and what was there before
/// stays until then.
pub struct NewFile {
    path: CString,
    working: CString,
    fd: c_int,
    is_whole: bool,
}

impl NewFile {
    /// Raises 42501 for who may not write files, 42602 for a path that is not absolute, or whatever the system says.
    pub fn create(path: &str) -> Self {
        require_role(WRITERS, "pg_write_server_files", "write to");
        if !path.starts_with('/') {
            Report::new(
                PgSqlErrorCode::ERRCODE_INVALID_NAME,
                format!("path of a new file is not absolute: \"{path}\""),
            )
            .error();
        }
        // SAFETY: a number of this process.
        let pid = unsafe { libc::getpid() };
        let (name, working) = (c_path(path), c_path(&format!("{path}.{pid}.tmp")));
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
        // SAFETY: a path that is copied.
        let fd = unsafe { pg_sys::OpenTransientFilePerm(working.as_ptr(), flags, MODE) };
        if fd < 0 {
            failed(path, "create", io::Error::last_os_error());
        }
        let file = Self { path: name, working, fd, is_whole: false };
        // SAFETY: an open descriptor. The server's own mask would let nobody else read the file.
        if unsafe { libc::fchmod(fd, MODE) } != 0 {
            file.failed("give rights to");
        }
        file
    }

    pub fn append(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            check_for_interrupts();
            let len = rest.len().min(AT_ONCE);
            // SAFETY: an open descriptor, and a buffer that holds the bytes written.
            let n = unsafe { libc::write(self.fd, rest.as_ptr().cast(), len) };
            match usize::try_from(n) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(_) if is_interrupted() => {}
                Err(_) => self.failed("write"),
            }
        }
    }

    /// Brings it to the disk and gives it its name.
    pub fn finish(mut self) {
        // SAFETY: an open descriptor of ours, closed once; two paths.
        unsafe {
            if pg_sys::pg_fsync(self.fd) != 0 {
                self.failed("write");
            }
            let fd = std::mem::replace(&mut self.fd, -1);
            if pg_sys::CloseTransientFile(fd) != 0 {
                self.failed("close");
            }
            let error = pgrx::PgLogLevel::ERROR as c_int;
            pg_sys::durable_rename(self.working.as_ptr(), self.path.as_ptr(), error);
        }
        self.is_whole = true;
    }

    fn failed(&self, verb: &str) -> ! {
        failed(&self.path.to_string_lossy(), verb, io::Error::last_os_error())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_whole {
            // SAFETY: a path of ours. No call of the server, so that it may come while an ERROR unwinds; what the descriptor
            // was left with is closed by the abort.
            unsafe { libc::unlink(self.working.as_ptr()) };
        }
    }
}

fn is_interrupted() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
}

fn c_path(path: &str) -> CString {
    // No text of the server has a zero byte.
    CString::new(path).unwrap_or_default()
}

fn require_role(role: u32, name: &str, verb: &str) {
    // SAFETY: looks up catalogs only.
    let may = unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), role.into()) };
    if may {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied to {verb} a file on the server"),
    )
    .detail(format!("Only roles with the privileges of role \"{name}\" may do that."))
    .hint("Give the file as a bytea, or as a large object: psql's \\lo_import and \\lo_export move one.")
    .error()
}

/// Raises what the system says, with the SQLSTATE that the server gives it.
fn failed(path: &str, verb: &str, error: io::Error) -> ! {
    let code = match error.raw_os_error().unwrap_or(0) {
        libc::ENOENT | libc::ENOTDIR => PgSqlErrorCode::ERRCODE_UNDEFINED_FILE,
        libc::EPERM | libc::EACCES | libc::EROFS => PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        libc::EEXIST => PgSqlErrorCode::ERRCODE_DUPLICATE_FILE,
        libc::EISDIR => PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
        libc::ENOSPC => PgSqlErrorCode::ERRCODE_DISK_FULL,
        libc::ENFILE | libc::EMFILE => PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        _ => PgSqlErrorCode::ERRCODE_IO_ERROR,
    };
    // SAFETY: strerror gives a NUL-terminated text that the next call of it may change; it is copied at once.
    let what = unsafe { CStr::from_ptr(libc::strerror(error.raw_os_error().unwrap_or(0))) };
    let what = what.to_string_lossy().into_owned();
    Report::new(code, format!("could not {verb} file \"{path}\": {what}")).error()
}
