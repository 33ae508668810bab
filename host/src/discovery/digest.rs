//! What a file holds, as a SHA-256, and which file that was: what is hashed is read through one open file, and whoever
//! loads it by its path later can tell whether it still is the same. Judges nothing.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::LoadError;

/// The SHA-256 of a file's bytes. Written and read as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Which file it is, and in which state: a file that was written to, or replaced, has another identity.
///
/// The last change is the file system's own note, which no ordinary program can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file that was hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) digest: Digest,
    pub(crate) identity: Identity,
}

impl Identity {
    /// The file behind a path now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&std::fs::metadata(path)?))
    }

    /// Refuses a path that leads to another file now, or to this one after a change.
    pub(crate) fn check(&self, path: &Path) -> Result<(), LoadError> {
        match Self::at(path) {
            Ok(now) if now == *self => Ok(()),
            Ok(_) => Err(LoadError::Changed),
            Err(error) => Err(LoadError::Unreadable(error.to_string())),
        }
    }

    /// Device and inode: the file whatever is in it.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// All that tells it from others, in one word.
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

impl Measured {
    /// Hashes an open file, wherever it is read at the moment.
    ///
    /// # Errors
    /// Those of reading; `Interrupted` is tried again, and `UnexpectedEof` is a file that was written to meanwhile.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        const BLOCK: usize = 128 * 1024;
        let identity = Identity::from(&file.metadata()?);
        let (mut hash, mut block, mut at) = (Sha256::new(), vec![0; BLOCK], 0);
        // No further than the size that it had: a file that grows while it is read has no end.
        while at < identity.size {
            let wanted = usize::try_from(identity.size - at).map_or(BLOCK, |left| left.min(BLOCK));
            match file.read_at(&mut block[..wanted], at) {
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
        Ok(Self { digest: Digest(hash.finalize().into()), identity })
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
        let wrong = || format!("`{text}` is not a SHA-256: expected 64 hexadecimal digits, lower-case");
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(wrong()),
        };
        let mut bytes = [0; 32];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(wrong()) };
        if pairs.len() != bytes.len() {
            return Err(wrong());
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

    /// "abc", from FIPS 180-4's examples.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_the_one_of_the_standard_and_reads_back() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let measured = Measured::of(file.as_file()).unwrap();
        assert_eq!(measured.digest.to_string(), ABC);
        assert_eq!(ABC.parse::<Digest>().unwrap(), measured.digest);
        measured.identity.check(file.path()).unwrap();
        for wrong in ["", "ab", &ABC[1..], &ABC.to_uppercase(), &ABC.replace('b', "é"), &format!("{ABC}00")] {
            assert!(wrong.parse::<Digest>().unwrap_err().contains("64 hexadecimal digits"), "{wrong}");
        }
    }

    #[test]
    fn blocks_are_put_together() {
        let (long, mut file) = (vec![7; 300_001], tempfile::NamedTempFile::new().unwrap());
        file.write_all(&long).unwrap();
        let expected: [u8; 32] = Sha256::digest(&long).into();
        assert_eq!(Measured::of(file.as_file()).unwrap().digest, Digest(expected));
    }

    #[test]
    fn another_file_of_the_same_name_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.so"), folder.path().join("b.so"));
        std::fs::write(&path, "abc").unwrap();
        let measured = Measured::of(&File::open(&path).unwrap()).unwrap();
        std::fs::write(&other, "abc").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(matches!(measured.identity.check(&path), Err(LoadError::Changed)));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(measured.identity.check(&path), Err(LoadError::Unreadable(_))));
    }
}
