//! Reads a manifest from a file, and says what the file is where it has none. Runs nothing of what it reads, and reads
//! nothing but headers and the manifest: a file is not believed, and may claim to hold more than there is memory for.

use std::fs::File;
use std::io;
use std::path::Path;

use object::elf::{self, FileHeader32, FileHeader64, SHT_NOBITS};
use object::macho::{self, MachHeader64};
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::read::macho::{MachHeader, Section, Segment};
use object::{Endianness, FileKind};

use super::bounded::Bounded;
use super::{LARGEST, Manifest, SECTIONS};

/// More than the headers of any library, and little enough to be read for each of many files.
const LARGEST_HEADERS: u64 = 4 * 1024 * 1024;

/// Why a file has no manifest that could be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be opened or read.
    Io(io::Error),
    /// The manifest is there and is wrong; the fragment says how.
    Invalid(String),
    /// A shared library without a manifest: no plugin, and no fault.
    NoManifest,
    /// Not a shared library, or a damaged one; the fragment says which.
    NotALibrary(String),
    /// A shared library for another processor or system; the texts are what was found and what was expected.
    WrongMachine {
        /// What the file is for.
        found: String,
        /// What it has to be for.
        expected: String,
    },
}

/// Reads the manifest of a shared library.
///
/// # Errors
/// Why there is none, see [`ReadError`].
pub fn read(path: &Path) -> Result<Manifest, ReadError> {
    read_from(&File::open(path).map_err(ReadError::Io)?)
}

/// Reads the manifest of a shared library that is open, so that what else is learnt of the file is about the same one.
///
/// # Errors
/// Why there is none, see [`ReadError`].
pub fn read_from(file: &File) -> Result<Manifest, ReadError> {
    let data = Bounded::new(file, LARGEST_HEADERS);
    let kind = FileKind::parse(&data).map_err(|_unknown| damaged("it is neither an ELF nor a Mach-O file"))?;
    let found = match kind {
        FileKind::Elf64 => in_elf(&data),
        FileKind::Elf32 => Err(ReadError::WrongMachine { found: elf32(&data)?, expected: native() }),
        FileKind::MachO64 => in_macho(&data),
        other => Err(ReadError::NotALibrary(format!("it is a file of the kind {other:?}"))),
    };
    match found {
        Err(ReadError::NotALibrary(_)) if data.is_exhausted() => {
            let mebibytes = LARGEST_HEADERS / 1024 / 1024;
            Err(ReadError::NotALibrary(format!("its headers are larger than {mebibytes} MiB")))
        }
        other => Manifest::parse(other?).map_err(ReadError::Invalid),
    }
}

fn in_elf<'a>(data: &'a Bounded<'_>) -> Result<&'a [u8], ReadError> {
    let header = FileHeader64::<Endianness>::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    check_machine(format!("ELF {}", elf_processor(header, endian)))?;
    if header.e_type(endian) != elf::ET_DYN {
        return Err(ReadError::NotALibrary("an object file or a program, not a shared library".to_owned()));
    }
    for segment in header.program_headers(endian, data).map_err(damaged)? {
        let (start, size) = segment.file_range(endian);
        let is_whole = start.checked_add(size).is_some_and(|end| data.len().is_ok_and(|length| end <= length));
        // The system's loader would map what is not there, and the process end when it is touched.
        if segment.p_type(endian) == elf::PT_LOAD && !is_whole {
            return Err(damaged("it is cut off: it has less than it says that it has"));
        }
    }
    let sections = header.section_headers(endian, data).map_err(damaged)?;
    let names = match header.section_strings_index(endian, data) {
        Ok(at) => sections.get(at.0).map_or(Ok(&[][..]), |names| names.data(endian, data)).map_err(damaged)?,
        Err(_without_names) => &[],
    };
    let is_manifest = |section: &&elf::SectionHeader64<Endianness>| {
        let name = usize::try_from(section.sh_name(endian)).ok().and_then(|at| names.get(at..));
        // Compared where it starts, and not read to its end: a name may be as long as the file.
        name.and_then(|name| name.strip_prefix(SECTIONS[0].as_bytes())).is_some_and(|end| end.starts_with(&[0]))
    };
    let section = only(sections.iter().filter(is_manifest))?;
    check_size(section.sh_size(endian))?;
    if section.sh_type(endian) == SHT_NOBITS {
        return Err(ReadError::Invalid("its section holds nothing".to_owned()));
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
        return Err(ReadError::NotALibrary("an object file or a program, not a shared library".to_owned()));
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
    section.data(endian, data, offset).map_err(|_beyond| damaged("its manifest lies beyond its end"))
}

/// The one section: a linker makes one of all, so that two are nobody's honest work.
fn only<T>(mut sections: impl Iterator<Item = T>) -> Result<T, ReadError> {
    match (sections.next(), sections.next()) {
        (Some(section), None) => Ok(section),
        (None, _) => Err(ReadError::NoManifest),
        (Some(_), Some(_)) => Err(ReadError::Invalid("there are two of them".to_owned())),
    }
}

fn check_size(size: u64) -> Result<(), ReadError> {
    if size > LARGEST as u64 {
        return Err(ReadError::Invalid(format!("it has {size} bytes, and {LARGEST} are allowed")));
    }
    Ok(())
}

/// The machine that the host is built for.
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

/// A processor as Rust calls it.
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
