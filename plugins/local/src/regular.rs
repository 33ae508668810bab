//! Opening files that somebody else made: regular ones only, for nobody waits for a pipe, or reads a device to its end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a file for reading. Links are followed.
///
/// # Errors
/// What the file system says; also where it is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_real(&path.canonicalize()?)
}

/// As [`open`], where the path has no links: one that is there now was put there since.
///
/// # Errors
/// As there.
pub(crate) fn open_real(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

/// The bytes of a file, of which there are at most so many MiB.
///
/// # Errors
/// As [`open`]; also where there are more.
pub(crate) fn read(path: &Path, most_mib: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if open(path)?.take((most_mib << 20) + 1).read_to_end(&mut bytes)? as u64 > most_mib << 20 {
        return Err(io::Error::other(format!("it is longer than {most_mib} MiB")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn pipes_devices_and_long_files_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        symlink("/dev/zero", path("zero")).unwrap();
        for name in ["pipe", "zero", "."] {
            assert_eq!(read(&path(name), 1).unwrap_err().to_string(), "it is no regular file", "{name}");
        }
        fs::write(path("file"), vec![b'x'; 1 << 20]).unwrap();
        symlink("file", path("link")).unwrap();
        assert_eq!(read(&path("link"), 1).unwrap().len(), 1 << 20);
        open_real(&path("link")).unwrap_err();
        assert_eq!(read(&path("link"), 0).unwrap_err().to_string(), "it is longer than 0 MiB");
    }
}
