//! Reads a manifest from a file, and says what the file is where it has none. Runs nothing of what it reads.

use std::fs::File;
use std::io;
use std::path::Path;

use object::read::ReadCache;
use object::{Architecture, BinaryFormat, Object, ObjectKind, ObjectSection};

use super::{LARGEST, Manifest, SECTIONS};

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
    let cache = ReadCache::new(File::open(path).map_err(ReadError::Io)?);
    let file = object::File::parse(&cache).map_err(|error| ReadError::NotALibrary(error.to_string()))?;
    let found = machine(file.format(), file.architecture());
    let expected = machine(BinaryFormat::native_object(), NATIVE);
    if found != expected {
        return Err(ReadError::WrongMachine { found, expected });
    }
    if file.kind() != ObjectKind::Dynamic {
        return Err(ReadError::NotALibrary("an object file or a program, not a shared library".to_owned()));
    }
    let section = SECTIONS.iter().find_map(|name| file.section_by_name(name)).ok_or(ReadError::NoManifest)?;
    if section.size() > LARGEST as u64 {
        return Err(ReadError::Invalid(format!("it has {} bytes, and {LARGEST} are allowed", section.size())));
    }
    let json = section.data().map_err(|error| ReadError::NotALibrary(error.to_string()))?;
    Manifest::parse(json).map_err(ReadError::Invalid)
}

/// The processor that the host is built for.
#[cfg(target_arch = "x86_64")]
const NATIVE: Architecture = Architecture::X86_64;
#[cfg(target_arch = "aarch64")]
const NATIVE: Architecture = Architecture::Aarch64;

fn machine(format: BinaryFormat, architecture: Architecture) -> String {
    format!("{format:?} {architecture:?}")
}
