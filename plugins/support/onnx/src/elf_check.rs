//! Whether a library's file is all there. The system's loader maps what the headers say, and whoever then touches a page
//! beyond the file's end is killed: a download that broke off would take the process down.

use std::fs::File;
use std::io;

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{FileHeader, ProgramHeader};

/// Refuses a file that is shorter than its headers say. What is no ELF file of 64 bits is the loader's to refuse.
///
/// # Errors
/// Where it is shorter, or cannot be read.
pub(super) fn check(file: File) -> io::Result<()> {
    let size = file.metadata()?.len();
    let data = ReadCache::new(file);
    let Ok(header) = FileHeader64::<Endianness>::parse(&data) else { return Ok(()) };
    let damaged =
        |_damaged: object::Error| io::Error::other(format!("its headers are damaged, or cut short at {size} bytes"));
    let endian = header.endian().map_err(damaged)?;
    let segments = header.program_headers(endian, &data).map_err(damaged)?;
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
    let ends = loaded.map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    match ends.max() {
        Some(end) if end > size => {
            Err(io::Error::other(format!("it is cut short: it has {size} bytes, and its headers say at least {end}")))
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
    fn a_file_that_is_cut_short_is_told_from_one_that_is_whole() {
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        checked(&whole).unwrap();
        checked(b"a text").unwrap();
        let error = checked(&whole[..whole.len() / 10]).unwrap_err().to_string();
        assert!(error.starts_with("it is cut short: it has "), "{error}");
        assert!(checked(&whole[..80]).unwrap_err().to_string().starts_with("its headers are damaged"));
    }
}
