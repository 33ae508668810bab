//! Reads small files that other programs have written. Opens regular files only, reads up to a limit, and removes the
//! byte order mark from text.
//!
//! Host and plugins read every small file (configuration, credentials, certificates, lock files) through this module,
//! so that no file can fill the memory of the process.
//!
//! ```no_run
//! use std::path::Path;
//! use mlflow_deploy_plugin_api::file;
//!
//! let config = file::read_text(Path::new("/etc/mlflow-deploy.toml"), 64 * 1024)?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Opens a regular file for reading. Links are followed.
///
/// # Errors
/// The file system's error. Fails also if the path is not a regular file. Does not wait for a pipe or a device.
pub fn open(path: &Path) -> io::Result<File> {
    open_real(&path.canonicalize()?)
}

/// Opens a regular file for reading. Fails if the last part of the path is a link.
///
/// # Errors
/// The errors of [`open`].
pub fn open_real(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// Reads all bytes of a regular file. The file may have at most `limit` bytes.
///
/// # Errors
/// The errors of [`open`]. Fails also if the file is larger than `limit`.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_up_to(open(path)?, limit)
}

/// Reads a regular file of UTF-8 text. The file may have at most `limit` bytes. Removes a byte order mark.
///
/// # Errors
/// The errors of [`read`]. Fails also if the file is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    text(read(path, limit)?)
}

/// Converts the bytes of a file or a pipe to text, and removes a byte order mark.
///
/// ```
/// use mlflow_deploy_plugin_api::file;
///
/// assert_eq!(file::text(b"\xef\xbb\xbfa = 1".to_vec())?, "a = 1");
/// let error = file::text(b"\xff\xfea\0".to_vec()).unwrap_err();
/// assert_eq!(error.to_string(), "found UTF-16, expected UTF-8: save it as UTF-8");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Fails if the bytes are not UTF-8.
pub fn text(bytes: Vec<u8>) -> io::Result<String> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(invalid("found UTF-16, expected UTF-8: save it as UTF-8".to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| invalid(format!("not UTF-8: {}", error.utf8_error())))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

/// Returns the bytes after the byte order mark of UTF-8, or all bytes if there is none. Programs on Windows write this
/// mark at the start of a text.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    let mut mark = [0; BYTE_ORDER_MARK.len_utf8()];
    bytes.strip_prefix(BYTE_ORDER_MARK.encode_utf8(&mut mark).as_bytes()).unwrap_or(bytes)
}

/// Reads all of `source`, such as an open pipe, up to `limit` bytes.
///
/// # Errors
/// The error of the source. Fails also if the source has more than `limit` bytes.
pub fn read_up_to(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if source.take(limit.saturating_add(1)).read_to_end(&mut bytes)? as u64 <= limit {
        return Ok(bytes);
    }
    Err(too_large(limit))
}

/// Returns the error for a file that is larger than `limit` bytes. It is for callers that know the size before they
/// read the file.
pub fn too_large(limit: u64) -> io::Error {
    let limit = if limit > 0 && limit.is_multiple_of(1 << 20) {
        format!("{} MiB", limit >> 20)
    } else {
        format!("{limit} bytes")
    };
    io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit}"))
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn pipes_devices_and_large_files_fail_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        symlink("/dev/zero", path("zero")).unwrap();
        for name in ["pipe", "zero", "."] {
            assert_eq!(read(&path(name), 1).unwrap_err().to_string(), "not a regular file", "{name}");
        }
        fs::write(path("file"), vec![b'x'; 1 << 20]).unwrap();
        symlink("file", path("link")).unwrap();
        assert_eq!(read(&path("link"), 1 << 20).unwrap().len(), 1 << 20);
        open_real(&path("link")).unwrap_err();
        assert_eq!(read(&path("link"), (1 << 20) - 1).unwrap_err().to_string(), "larger than 1048575 bytes");
        assert_eq!(read_up_to(io::repeat(0), 1 << 20).unwrap_err().to_string(), "larger than 1 MiB");
    }
}
