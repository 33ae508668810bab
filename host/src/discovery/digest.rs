//! The SHA-256 and the identity of a file. Both are read from one open file. A later load by path can thus check that
//! it loads the file that was hashed.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a file, shown as 64 hexadecimal digits.
///
/// ```
/// use mlflow_deploy::Digest;
///
/// let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/// assert_eq!(text.parse::<Digest>()?.to_string(), text);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Identifies a file and its state. Writing to the file or replacing it changes the identity.
///
/// The file system sets the field `changed`. Ordinary programs cannot set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// The time of the last write, in seconds and nanoseconds since 1970.
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The SHA-256 of a file, and the identity of the file when it was hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) digest: Digest,
    /// The SHA-256 of the program and the files of a process plugin; `None` for a library.
    pub(crate) files: Option<Digest>,
    pub(crate) identity: Identity,
}

impl Identity {
    /// Returns the identity of the file that a path leads to.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&std::fs::metadata(path)?))
    }

    /// Returns the identity of several files as a whole. It changes if one of them changes. Its device and inode are
    /// those of the first file.
    ///
    /// # Errors
    /// The error of the first file that cannot be read.
    pub(crate) fn of_all(files: &[PathBuf]) -> io::Result<Self> {
        let mut files = files.iter().map(|file| Self::at(file));
        let first = files.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no file"))??;
        files.try_fold(first, |whole, file| {
            let file = file?;
            let (modified, changed) = (whole.modified.max(file.modified), whole.changed.max(file.changed));
            Ok(Self { size: whole.size.wrapping_add(file.size), modified, changed, ..whole })
        })
    }

    /// Returns the numbers of the device and the inode. A write to the file does not change them.
    pub(crate) fn file_id(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// Formats all fields as one word, without blanks.
impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, inode, size, modified, changed } = self;
        let (modified, changed) =
            (format!("{}.{:09}", modified.0, modified.1), format!("{}.{:09}", changed.0, changed.1));
        write!(formatter, "{device:x}-{inode}-{size}-{modified}-{changed}")
    }
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Digest {
    /// Returns the SHA-256 of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl Measured {
    /// Hashes an open file from its start. Does not move the read position of the file.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file changes while it is read; the error of the read if that fails.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        const BLOCK: usize = 128 * 1024;
        let identity = Identity::from(&file.metadata()?);
        let (mut hash, mut block, mut at) = (Sha256::new(), vec![0; BLOCK], 0);
        // Stops at the initial size: a file that grows while it is read has no end.
        while at < identity.size {
            let length = usize::try_from(identity.size - at).map_or(BLOCK, |left| left.min(BLOCK));
            match file.read_at(&mut block[..length], at) {
                Ok(0) => break,
                Ok(read) => {
                    hash.update(&block[..read]);
                    at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if at != identity.size || Identity::from(&file.metadata()?) != identity {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it changed while it was read"));
        }
        Ok(Self { digest: Digest(hash.finalize().into()), files: None, identity })
    }

    /// Returns the SHA-256 of everything that was hashed.
    pub(crate) fn whole(&self) -> Digest {
        let with = |files: Digest| Sha256::new_with_prefix(self.digest.0).chain_update(files.0).finalize().into();
        self.files.map_or(self.digest, |files| Digest(with(files)))
    }
}

impl Digest {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || format!("`{text}` is not a SHA-256: expected 64 hexadecimal digits, lower-case");
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(invalid()),
        };
        let mut bytes = [0; 32];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(invalid()) };
        if pairs.len() != bytes.len() {
            return Err(invalid());
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The SHA-256 of the text `abc`, from the examples of FIPS 180-4.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_digest_of_abc_is_that_of_the_standard_and_parses_back() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let measured = Measured::of(file.as_file()).unwrap();
        assert_eq!(measured.digest.to_string(), ABC);
        assert_eq!(ABC.parse::<Digest>().unwrap(), measured.digest);
        assert_eq!(Identity::at(file.path()).unwrap(), measured.identity);
        for wrong in ["", "ab", &ABC[1..], &ABC.to_uppercase(), &ABC.replace('b', "é"), &format!("{ABC}00")] {
            assert!(wrong.parse::<Digest>().unwrap_err().contains("64 hexadecimal digits"), "{wrong}");
        }
    }

    #[test]
    fn a_file_of_several_blocks_is_hashed_as_a_whole() {
        let (long, mut file) = (vec![7; 300_001], tempfile::NamedTempFile::new().unwrap());
        file.write_all(&long).unwrap();
        let expected: [u8; 32] = Sha256::digest(&long).into();
        assert_eq!(Measured::of(file.as_file()).unwrap().digest, Digest(expected));
    }

    #[test]
    fn a_replaced_file_has_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.so"), folder.path().join("b.so"));
        std::fs::write(&path, "abc").unwrap();
        let measured = Measured::of(&File::open(&path).unwrap()).unwrap();
        std::fs::write(&other, "abc").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(Identity::at(&path).unwrap(), measured.identity);
    }
}
