//! Makes changed copies of a built plugin, each with one change. The plugin has to be in ELF, the format of Linux.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection};
use serde_json::{Map, Value};

/// Two offsets in a 64-bit ELF file. At the first is the position of the section headers. At the second is the first
/// segment header.
const SECTION_HEADERS: usize = 0x28;
const FIRST_SEGMENT: usize = 0x40;

/// The size of an ELF section header in bytes, and the offsets of two of its fields: `sh_offset` and `sh_size`.
const SECTION_HEADER: usize = 64;
pub(crate) const OFFSET_IN_SECTION_HEADER: usize = 24;
const SIZE_IN_SECTION_HEADER: usize = 32;

/// The contents of a plugin's file. The methods return changed copies of them.
#[derive(Debug)]
pub struct PluginFile {
    /// The bytes of the file.
    pub elf: Vec<u8>,
    manifest: Map<String, Value>,
    /// The offset of the plugin manifest in the file.
    pub manifest_at: usize,
    manifest_size: usize,
}

impl PluginFile {
    /// Reads the file of a plugin.
    ///
    /// # Panics
    /// Panics if the file is not a plugin.
    pub fn read(path: &Path) -> Self {
        let elf = fs::read(path).expect("the plugin is built");
        let file = object::File::parse(elf.as_slice()).expect("the file is a shared library");
        let section = file.section_by_name(".mlflow_deploy").expect("the plugin has a manifest");
        let manifest = section.data().expect("the section has bytes");
        let manifest_at = manifest.as_ptr().addr() - elf.as_ptr().addr();
        Self {
            manifest_at,
            manifest_size: manifest.len(),
            manifest: serde_json::from_slice(manifest).expect("the manifest is JSON"),
            elf,
        }
    }

    /// Returns a copy of the file in which `bytes` replace the bytes at the offset `at`.
    #[must_use]
    pub fn with_bytes(&self, at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut elf = self.elf.clone();
        elf[at..at + bytes.len()].copy_from_slice(bytes);
        elf
    }

    /// Returns a copy of the file in which `new` replaces the first occurrence of `old`.
    ///
    /// # Panics
    /// Panics if `old` does not occur or has another length than `new`.
    #[must_use]
    pub fn with_replaced(&self, old: &[u8], new: &[u8]) -> Vec<u8> {
        assert_eq!(old.len(), new.len());
        let at = self.elf.windows(old.len()).position(|bytes| bytes == old);
        self.with_bytes(at.expect("the bytes occur in the plugin"), new)
    }

    /// Returns a copy of the file in which the manifest's section header declares this size.
    #[must_use]
    pub fn with_manifest_size(&self, size: usize) -> Vec<u8> {
        self.with_bytes(self.section_header(".mlflow_deploy") + SIZE_IN_SECTION_HEADER, &size.to_le_bytes())
    }

    /// Returns a copy of the file in which the manifest's member `member` has the value `value`. Removes the member
    /// `description` to make room, and pads the manifest with spaces.
    ///
    /// # Panics
    /// Panics if the new manifest is longer than the old one.
    #[must_use]
    pub fn with_member(&self, member: &str, value: Value) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        manifest.remove("description");
        manifest.insert(member.to_owned(), value);
        let mut json = Value::Object(manifest).to_string();
        let room = self.manifest_size.checked_sub(json.len()).expect("the change is shorter than the description");
        json.push_str(&" ".repeat(room));
        self.with_bytes(self.manifest_at, json.as_bytes())
    }

    /// Returns a copy of the file in which `bytes` replace the first bytes of the section `name`.
    ///
    /// # Panics
    /// Panics if the section does not exist.
    #[must_use]
    pub fn with_section(&self, name: &str, bytes: &[u8]) -> Vec<u8> {
        let file = object::File::parse(self.elf.as_slice()).expect("the file is a shared library");
        let section = file.section_by_name(name).expect("the section exists");
        let data = section.data().expect("the section has bytes");
        self.with_bytes(data.as_ptr().addr() - self.elf.as_ptr().addr(), bytes)
    }

    /// Returns a copy of the file with another manifest. The new manifest is at the end of the file, and its section
    /// header points there.
    #[must_use]
    pub fn with_manifest(&self, json: &[u8]) -> Vec<u8> {
        let place = [self.elf.len().to_le_bytes(), json.len().to_le_bytes()].concat();
        let mut elf = self.with_bytes(self.section_header(".mlflow_deploy") + OFFSET_IN_SECTION_HEADER, &place);
        elf.extend(json);
        elf
    }

    /// Returns a copy of the file in which the declared size of the first loaded segment extends past the end of the
    /// file.
    #[must_use]
    pub fn with_truncated_segment(&self) -> Vec<u8> {
        const SEGMENT: usize = 56;
        const SIZES_IN_SEGMENT: usize = 32;
        const LOAD: &[u8] = &[1, 0, 0, 0];
        let mut segments = self.elf[FIRST_SEGMENT..].chunks_exact(SEGMENT);
        let at = segments.position(|segment| segment.starts_with(LOAD)).expect("the library has a segment to load");
        let size = (self.elf.len() as u64 + 1).to_le_bytes();
        self.with_bytes(FIRST_SEGMENT + at * SEGMENT + SIZES_IN_SEGMENT, &[size, size].concat())
    }

    /// Returns a copy of the file in which a second section has the name of the manifest's section.
    #[must_use]
    pub fn with_two_manifests(&self) -> Vec<u8> {
        let name = &self.elf[self.section_header(".mlflow_deploy")..][..4];
        self.with_bytes(self.section_header(".comment"), name)
    }

    /// Returns the JSON of the manifest with a second member called `name`.
    #[must_use]
    pub fn manifest_with_duplicate_member(&self) -> Vec<u8> {
        let json = Value::Object(self.manifest.clone()).to_string();
        let open = json.strip_suffix('}').expect("the manifest is an object");
        format!(r#"{open},"name":"c-echo"}}"#).into_bytes()
    }

    /// Returns a copy of the file that requires a version of libc which does not exist yet.
    #[must_use]
    pub fn with_newer_libc_version(&self) -> Vec<u8> {
        const VERSION: &[u8] = b"\0GLIBC_2.";
        let at = self.elf.windows(VERSION.len()).position(|bytes| bytes == VERSION).expect("the plugin uses glibc");
        let digits = self.elf[at + VERSION.len()..].iter().take_while(|byte| **byte != 0).count();
        self.with_bytes(at + VERSION.len(), &vec![b'9'; digits])
    }

    /// Returns the offset of the section header of the section `name`.
    pub(crate) fn section_header(&self, name: &str) -> usize {
        let file = object::File::parse(self.elf.as_slice()).expect("the file is a shared library");
        let section = file.section_by_name(name).expect("the plugin has the section");
        let headers = self.elf[SECTION_HEADERS..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        usize::try_from(headers).expect("the offset fits") + section.index().0 * SECTION_HEADER
    }
}
