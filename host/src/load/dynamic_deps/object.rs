//! Reads the parts of an ELF file that the dynamic loader uses: needed libraries, search folders, and needed and
//! provided symbol versions. Reads a limited number of bytes.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use mlflow_deploy_plugin_api::manifest::Bounded;
use object::Endianness;
use object::elf::{self, FileHeader64, ProgramHeader64, Verdaux, Verdef, Vernaux, Verneed};
use object::read::ReadRef;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use crate::LoadError;
use crate::discovery::plugin_file::PluginFile;

/// The maximum number of bytes to read from a file. The headers and names of every library are smaller.
pub(super) const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The maximum number of entries in one table of a library. Every library has fewer.
const MAX_COUNT: usize = 10_000;

/// The contents of a library's dynamic section.
#[derive(Debug)]
pub(super) struct ElfObject {
    pub(super) machine: u16,
    pub(super) needed: Vec<String>,
    pub(super) rpath: Option<OsString>,
    pub(super) runpath: Option<OsString>,
    /// The symbol versions that this library requires. Each has the name of the library that must provide it.
    requires: Vec<(String, String)>,
    /// The symbol versions that this library provides.
    defines: Vec<String>,
}

impl ElfObject {
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let opened = PluginFile::open(path)?;
        Self::parse(&opened.file).ok_or_else(|| LoadError::NotALibrary("its headers are damaged".to_owned()))?
    }

    /// Parses an ELF file. Returns `None` if the headers are damaged, and an error if the file lacks a part that the
    /// loader needs.
    fn parse(file: &File) -> Option<Result<Self, LoadError>> {
        let bounded = Bounded::new(file, MAX_BYTES);
        let data = &bounded;
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, data).ok()?;
        let rejected = |why: &str| Some(Err(LoadError::NotLoadable(format!("object file has no {why}"))));
        if segments.iter().all(|segment| segment.p_type(endian) != elf::PT_LOAD) {
            return rejected("loadable segments");
        }
        let Some(dynamic) = segments.iter().find_map(|segment| segment.dynamic(endian, data).ok()?) else {
            return rejected("dynamic section");
        };
        let entries = || dynamic.iter().take_while(|entry| entry.tag(endian) != elf::DT_NULL);
        let value = |tag| entries().find(|entry| entry.tag(endian) == tag).map(|entry| entry.val(endian));
        let file_offset = |tag| offset(segments, endian, value(tag)?);
        let tables = DynamicTables {
            data,
            endian,
            strings: file_offset(elf::DT_STRTAB).unwrap_or_default(),
            strings_end: file_offset(elf::DT_STRTAB)
                .unwrap_or_default()
                .saturating_add(value(elf::DT_STRSZ).unwrap_or(0)),
        };
        let path = |tag| Some(OsString::from_vec(tables.string(value(tag)?)?.to_vec()));
        let needed = entries().filter(|entry| entry.tag(endian) == elf::DT_NEEDED).take(MAX_COUNT);
        Some(Ok(Self {
            machine: header.e_machine(endian).0,
            needed: needed.map(|entry| tables.text(entry.val(endian))).collect::<Option<_>>()?,
            rpath: path(elf::DT_RPATH),
            runpath: path(elf::DT_RUNPATH),
            requires: file_offset(elf::DT_VERNEED).map_or(Some(Vec::new()), |at| tables.requires(at))?,
            defines: file_offset(elf::DT_VERDEF).map_or(Some(Vec::new()), |at| tables.defines(at))?,
        }))
    }

    /// Returns the first symbol version that this object requires from `library` and that `library` does not provide.
    /// This object lists `library` under `name`. A library without symbol versions counts as providing every version.
    pub(super) fn lacks(&self, name: &str, library: &Self) -> Option<String> {
        let mut required = self.requires.iter().filter(|(of, _)| of == name).map(|(_, version)| version);
        required.find(|version| !library.defines.is_empty() && !library.defines.contains(version)).cloned()
    }

    /// Returns the newest symbol version with the same prefix that this library provides: for `GLIBC_2.99`, the newest
    /// `GLIBC_…`.
    pub(super) fn newest_like(&self, version: &str) -> Option<String> {
        let (kind, _) = version.rsplit_once('_')?;
        let numbers = |version: &str| {
            let numbers = version.strip_prefix(kind)?.strip_prefix('_')?;
            numbers.split('.').map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>()
        };
        let defined = self.defines.iter().filter_map(|version| Some((numbers(version)?, version)));
        defined.max().map(|(_, version)| version.clone())
    }
}

/// Converts an address in memory to an offset in the file, or returns `None` if no segment contains the address.
fn offset(segments: &[ProgramHeader64<Endianness>], endian: Endianness, address: u64) -> Option<u64> {
    segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|segment| {
        let inside = address.checked_sub(segment.p_vaddr(endian))?;
        (inside < segment.p_filesz(endian)).then(|| segment.p_offset(endian).checked_add(inside))?
    })
}

/// The tables that the entries of the dynamic section point to.
#[derive(Clone, Copy)]
struct DynamicTables<'a> {
    data: &'a Bounded<'a>,
    endian: Endianness,
    strings: u64,
    strings_end: u64,
}

impl<'a> DynamicTables<'a> {
    fn string(self, at: u64) -> Option<&'a [u8]> {
        let start = self.strings.checked_add(at)?;
        self.data.read_bytes_at_until(start..self.strings_end, 0).ok()
    }

    fn text(self, at: u64) -> Option<String> {
        Some(String::from_utf8_lossy(self.string(at)?).into_owned())
    }

    /// Reads the symbol versions in `DT_VERNEED`, a list with one entry per library. Each entry has a list of versions.
    /// Every item holds the distance to the next one.
    fn requires(self, mut at: u64) -> Option<Vec<(String, String)>> {
        let mut requires = Vec::new();
        for _ in 0..MAX_COUNT {
            let need = self.data.read_at::<Verneed<Endianness>>(at).ok()?;
            let file = self.text(need.vn_file.get(self.endian).into())?;
            let mut one = at.checked_add(need.vn_aux.get(self.endian).into())?;
            for _ in 0..need.vn_cnt.get(self.endian) {
                let version = self.data.read_at::<Vernaux<Endianness>>(one).ok()?;
                if !version.vna_flags.get(self.endian).contains(elf::VER_FLG_WEAK) {
                    requires.push((file.clone(), self.text(version.vna_name.get(self.endian).into())?));
                }
                one = one.checked_add(version.vna_next.get(self.endian).into())?;
            }
            match need.vn_next.get(self.endian) {
                0 => return Some(requires),
                distance => at = at.checked_add(distance.into())?,
            }
        }
        None
    }

    /// Reads the entries of `DT_VERDEF`. The first name of each entry is the version that it defines. The other names
    /// are the versions that it includes.
    fn defines(self, mut at: u64) -> Option<Vec<String>> {
        let mut defines = Vec::new();
        for _ in 0..MAX_COUNT {
            let definition = self.data.read_at::<Verdef<Endianness>>(at).ok()?;
            let name = at.checked_add(definition.vd_aux.get(self.endian).into())?;
            let name = self.data.read_at::<Verdaux<Endianness>>(name).ok()?;
            defines.push(self.text(name.vda_name.get(self.endian).into())?);
            match definition.vd_next.get(self.endian) {
                0 => return Some(defines),
                distance => at = at.checked_add(distance.into())?,
            }
        }
        None
    }
}
