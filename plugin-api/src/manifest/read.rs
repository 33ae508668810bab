//! Reads the manifest of a plugin without running its code. If a shared library has no manifest, the error tells the kind
//! of the file.
//!
//! Only the headers and the manifest are read. The sizes in the headers are not trusted, because they may be larger
//! than the memory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use object::elf::{self, FileHeader32, FileHeader64, SHT_NOBITS};
use object::macho::{self, MachHeader64};
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::read::macho::{MachHeader, Section, Segment};
use object::{Endianness, FileKind};

use super::bounded::Bounded;
use super::format::{MAX_BYTES, Manifest, PROCESS_SUFFIX, SECTIONS};

/// The maximum number of bytes that are read from a file to find its manifest. The headers of every library are
/// smaller. The limit keeps the time short if many files are read.
const MAX_HEADERS: u64 = 4 * 1024 * 1024;

/// The reason why a manifest could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be opened or read.
    Io(io::Error),
    /// The manifest is invalid; the text names the fault.
    Invalid(String),
    /// The file is a shared library without a manifest, so it is not a plugin.
    NoManifest,
    /// The file is not a shared library, or is a damaged one; the text says which of the two.
    NotALibrary(String),
    /// The file is a shared library for another processor or system.
    WrongMachine {
        /// The format and the processor of the file.
        found: String,
        /// The file format and the processor that the host needs.
        expected: String,
    },
}

/// Reads the manifest of a plugin: of a shared library, or of a process plugin, whose file is the manifest.
///
/// # Errors
/// See [`ReadError`].
pub fn read(path: &Path) -> Result<Manifest, ReadError> {
    let file = File::open(path).map_err(ReadError::Io)?;
    if is_process_file(path) { read_process_from(&file) } else { read_from(&file) }
}

/// Returns true if a path has the name of a process plugin's manifest, `NAME.plugin.json`.
pub fn is_process_file(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_encoded_bytes);
    name.and_then(|name| name.strip_suffix(PROCESS_SUFFIX.as_bytes())).is_some_and(|name| !name.is_empty())
}

/// Reads the manifest of a process plugin from its open file.
///
/// # Errors
/// [`ReadError::Io`] and [`ReadError::Invalid`].
pub fn read_process_from(mut file: &File) -> Result<Manifest, ReadError> {
    let mut json = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    file.rewind().and_then(|()| file.take(limit).read_to_end(&mut json)).map_err(ReadError::Io)?;
    if json.len() > MAX_BYTES {
        return Err(ReadError::Invalid(format!("it is larger than {} KiB", MAX_BYTES / 1024)));
    }
    Manifest::parse_process(&json).map_err(ReadError::Invalid)
}

/// Reads the manifest of an open shared library, so that the caller can hash or load the same file.
///
/// # Errors
/// See [`ReadError`].
pub fn read_from(file: &File) -> Result<Manifest, ReadError> {
    Manifest::parse(&json_from(file)?).map_err(ReadError::Invalid)
}

/// Returns the bytes of the manifest in an open shared library. Does not parse them.
///
/// # Errors
/// See [`ReadError`]. The reason [`ReadError::Invalid`] is about the section.
pub fn json_from(file: &File) -> Result<Vec<u8>, ReadError> {
    let data = Bounded::new(file, MAX_HEADERS);
    let kind = FileKind::parse(&data).map_err(|_unknown| damaged("expected an ELF or Mach-O file"))?;
    let found = match kind {
        FileKind::Elf64 => in_elf(&data),
        FileKind::Elf32 => Err(ReadError::WrongMachine { found: elf32(&data)?, expected: native() }),
        FileKind::MachO64 => in_macho(&data),
        other => Err(ReadError::NotALibrary(format!("unsupported file format `{other:?}`"))),
    };
    match found {
        Err(ReadError::NotALibrary(_)) if data.is_exhausted() => {
            let mebibytes = MAX_HEADERS / 1024 / 1024;
            Err(ReadError::NotALibrary(format!("the headers are larger than {mebibytes} MiB")))
        }
        other => other.map(<[u8]>::to_vec),
    }
}

fn in_elf<'a>(data: &'a Bounded<'_>) -> Result<&'a [u8], ReadError> {
    let header = FileHeader64::<Endianness>::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    check_machine(format!("ELF {}", elf_processor(header, endian)))?;
    if header.e_type(endian) != elf::ET_DYN {
        return Err(ReadError::NotALibrary("an object file or a program".to_owned()));
    }
    for segment in header.program_headers(endian, data).map_err(damaged)? {
        let (start, size) = segment.file_range(endian);
        let is_whole = start.checked_add(size).is_some_and(|end| data.len().is_ok_and(|length| end <= length));
        // The system's loader would map the missing part, and the process would end when it is accessed.
        if segment.p_type(endian) == elf::PT_LOAD && !is_whole {
            return Err(damaged("truncated: a segment extends past the end of the file"));
        }
    }
    let sections = header.section_headers(endian, data).map_err(damaged)?;
    let names = match header.section_strings_index(endian, data) {
        Ok(at) => sections.get(at.0).map_or(Ok(&[][..]), |names| names.data(endian, data)).map_err(damaged)?,
        Err(_without_names) => &[],
    };
    let is_manifest = |section: &&elf::SectionHeader64<Endianness>| {
        let name = usize::try_from(section.sh_name(endian)).ok().and_then(|at| names.get(at..));
        // The name is not read to its end: it may be as long as the file.
        name.and_then(|name| name.strip_prefix(SECTIONS[0].as_bytes())).is_some_and(|end| end.starts_with(&[0]))
    };
    let section = only(sections.iter().filter(is_manifest))?;
    check_size(section.sh_size(endian))?;
    if section.sh_type(endian) == SHT_NOBITS {
        return Err(ReadError::Invalid("the section is empty".to_owned()));
    }
    section.data(endian, data).map_err(damaged)
}

fn in_macho<'a>(data: &'a Bounded<'_>) -> Result<&'a [u8], ReadError> {
    let header = MachHeader64::<Endianness>::parse(data, 0).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    let processor = match header.cputype(endian) {
        macho::CPU_TYPE_ARM64 => "aarch64".to_owned(),
        macho::CPU_TYPE_X86_64 => "x86_64".to_owned(),
        other => format!("processor {other}"),
    };
    check_machine(format!("Mach-O {processor}"))?;
    if ![macho::MH_DYLIB, macho::MH_BUNDLE].contains(&header.filetype(endian)) {
        return Err(ReadError::NotALibrary("an object file or a program".to_owned()));
    }
    let mut manifests = Vec::new();
    let mut commands = header.load_commands(endian, data, 0).map_err(damaged)?;
    while let Some(command) = commands.next().map_err(damaged)? {
        let Some((segment, sections)) = command.segment_64().map_err(damaged)? else { continue };
        let sections = segment.sections(endian, sections).map_err(damaged)?;
        manifests.extend(sections.iter().filter(|section| section.name() == SECTIONS[1].as_bytes()));
    }
    let section: &macho::Section64<Endianness> = only(manifests.into_iter())?;
    check_size(section.size(endian))?;
    let offset = section.offset(endian).into();
    section.data(endian, data, offset).map_err(|_beyond| damaged("truncated: the manifest is past the end of the file"))
}

/// Returns the only section that contains a manifest. Fails if there is none, or more than one. A linker merges
/// sections of the same name, so a valid library has at most one.
fn only<T>(mut sections: impl Iterator<Item = T>) -> Result<T, ReadError> {
    match (sections.next(), sections.next()) {
        (Some(section), None) => Ok(section),
        (None, _) => Err(ReadError::NoManifest),
        (Some(_), Some(_)) => Err(ReadError::Invalid("found two manifests: expected one".to_owned())),
    }
}

fn check_size(size: u64) -> Result<(), ReadError> {
    if size > MAX_BYTES as u64 {
        return Err(ReadError::Invalid(format!("too large: {size} bytes, the limit is {MAX_BYTES}")));
    }
    Ok(())
}

/// Returns the file format and the processor that this host is built for.
fn native() -> String {
    let format = if cfg!(target_vendor = "apple") { "Mach-O" } else { "ELF" };
    format!("{format} {}", std::env::consts::ARCH)
}

fn check_machine(found: String) -> Result<(), ReadError> {
    let expected = native();
    if found == expected { Ok(()) } else { Err(ReadError::WrongMachine { found, expected }) }
}

fn elf32(data: &Bounded<'_>) -> Result<String, ReadError> {
    let header = FileHeader32::<Endianness>::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    Ok(format!("32-bit ELF {}", elf_processor(header, endian)))
}

/// Returns the processor of an ELF file, by the name that Rust uses.
fn elf_processor<Header: FileHeader<Endian = Endianness>>(header: &Header, endian: Endianness) -> String {
    let name = match header.e_machine(endian) {
        elf::EM_386 => "x86",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_ARM => "arm",
        elf::EM_LOONGARCH => "loongarch64",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_RISCV => "riscv64",
        elf::EM_S390 => "s390x",
        elf::EM_X86_64 => "x86_64",
        other => return format!("processor {other}"),
    };
    if header.is_big_endian() { format!("big-endian {name}") } else { name.to_owned() }
}

fn damaged(error: impl ToString) -> ReadError {
    ReadError::NotALibrary(error.to_string())
}
