//! Detects truncated ELF files, such as the result of an interrupted download. The system's loader maps the segments
//! that the headers declare. An access to a page past the end of the file then kills the process.

use std::fs::File;
use std::io;

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{FileHeader, ProgramHeader};

/// Fails if a file is shorter than its headers declare. Accepts files that are not 64-bit ELF, because the system's
/// loader rejects them.
///
/// # Errors
/// Fails if the file is truncated or cannot be read.
pub(super) fn check(file: File) -> io::Result<()> {
    let size = file.metadata()?.len();
    let data = ReadCache::new(file);
    let Ok(header) = FileHeader64::<Endianness>::parse(&data) else { return Ok(()) };
    let damaged =
        |_damaged: object::Error| io::Error::other(format!("truncated or damaged headers: the file has {size} bytes"));
    let endian = header.endian().map_err(damaged)?;
    let segments = header.program_headers(endian, &data).map_err(damaged)?;
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    let ends = loaded.map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    match ends.max() {
        Some(end) if end > size => {
            Err(io::Error::other(format!("truncated: the file has {size} bytes, and its headers declare {end}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::io::{Seek, Write};

    use super::*;

    fn checked(bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        check(file)
    }

    #[test]
    fn a_truncated_library_is_rejected() {
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        checked(&whole).unwrap();
        checked(b"a text").unwrap();
        let error = checked(&whole[..whole.len() / 10]).unwrap_err().to_string();
        assert!(error.starts_with("truncated: the file has "), "{error}");
        assert!(checked(&whole[..80]).unwrap_err().to_string().starts_with("truncated or damaged headers"));
    }
}
