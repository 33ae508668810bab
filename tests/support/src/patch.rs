//! Copies of a built plugin that are changed in one place. All of it is about ELF, the format of Linux.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection};
use serde_json::{Map, Value};

/// Where the header of a 64-bit ELF file says where its sections are, and where its segments are described.
const SECTION_HEADERS: usize = 0x28;
const FIRST_SEGMENT: usize = 0x40;

/// The size of a section's header, and places in it.
const SECTION_HEADER: usize = 64;
pub(crate) const OFFSET_IN_SECTION_HEADER: usize = 24;
const SIZE_IN_SECTION_HEADER: usize = 32;

/// A plugin's file, to be copied with a change.
#[derive(Debug)]
pub struct Plugin {
    /// The file's bytes.
    pub elf: Vec<u8>,
    manifest: Map<String, Value>,
    /// Where the manifest begins.
    pub manifest_at: usize,
    manifest_size: usize,
}

impl Plugin {
    /// Reads a plugin's file.
    ///
    /// # Panics
    /// Where it is no plugin.
    pub fn read(path: &Path) -> Self {
        let elf = fs::read(path).expect("a built plugin");
        let file = object::File::parse(elf.as_slice()).expect("a shared library");
        let section = file.section_by_name(".mlflow_deploy").expect("a manifest");
        let manifest = section.data().expect("a section's bytes");
        let manifest_at = manifest.as_ptr().addr() - elf.as_ptr().addr();
        Self {
            manifest_at,
            manifest_size: manifest.len(),
            manifest: serde_json::from_slice(manifest).expect("a manifest in JSON"),
            elf,
        }
    }

    /// With other bytes in one place.
    #[must_use]
    pub fn with(&self, at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut elf = self.elf.clone();
        elf[at..at + bytes.len()].copy_from_slice(bytes);
        elf
    }

    /// With other bytes for these, where they first stand.
    ///
    /// # Panics
    /// Where they stand nowhere.
    #[must_use]
    pub fn replacing(&self, old: &[u8], new: &[u8]) -> Vec<u8> {
        assert_eq!(old.len(), new.len());
        let at = self.elf.windows(old.len()).position(|bytes| bytes == old);
        self.with(at.expect("bytes of the plugin"), new)
    }

    /// With a section header that gives the manifest this size.
    #[must_use]
    pub fn with_manifest_of(&self, size: usize) -> Vec<u8> {
        self.with(self.section_header(".mlflow_deploy") + SIZE_IN_SECTION_HEADER, &size.to_le_bytes())
    }

    /// With another member in the manifest, and spaces for what it is shorter by.
    ///
    /// # Panics
    /// Where there is no room for it.
    #[must_use]
    pub fn saying(&self, member: &str, value: Value) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        manifest.remove("description");
        manifest.insert(member.to_owned(), value);
        let mut json = Value::Object(manifest).to_string();
        let room = self.manifest_size.checked_sub(json.len()).expect("a change that is shorter than the description");
        json.push_str(&" ".repeat(room));
        self.with(self.manifest_at, json.as_bytes())
    }

    /// With these bytes at the beginning of a section.
    ///
    /// # Panics
    /// Where there is no such section.
    #[must_use]
    pub fn with_section(&self, name: &str, bytes: &[u8]) -> Vec<u8> {
        let file = object::File::parse(self.elf.as_slice()).expect("a shared library");
        let section = file.section_by_name(name).expect("a section of this name");
        let data = section.data().expect("a section's bytes");
        self.with(data.as_ptr().addr() - self.elf.as_ptr().addr(), bytes)
    }

    /// With another manifest, which lies behind all else.
    #[must_use]
    pub fn with_manifest(&self, json: &[u8]) -> Vec<u8> {
        let place = [self.elf.len().to_le_bytes(), json.len().to_le_bytes()].concat();
        let mut elf = self.with(self.section_header(".mlflow_deploy") + OFFSET_IN_SECTION_HEADER, &place);
        elf.extend(json);
        elf
    }

    /// With a first segment that is longer than the file.
    #[must_use]
    pub fn with_a_segment_cut_off(&self) -> Vec<u8> {
        const SEGMENT: usize = 56;
        const SIZES_IN_SEGMENT: usize = 32;
        const LOAD: &[u8] = &[1, 0, 0, 0];
        let mut segments = self.elf[FIRST_SEGMENT..].chunks_exact(SEGMENT);
        let at = segments.position(|segment| segment.starts_with(LOAD)).expect("something to be loaded");
        let size = (self.elf.len() as u64 + 1).to_le_bytes();
        self.with(FIRST_SEGMENT + at * SEGMENT + SIZES_IN_SEGMENT, &[size, size].concat())
    }

    /// With another section that has the manifest's name.
    #[must_use]
    pub fn with_two_manifests(&self) -> Vec<u8> {
        let name = &self.elf[self.section_header(".mlflow_deploy")..][..4];
        self.with(self.section_header(".comment"), name)
    }

    /// The manifest, with its name at both ends.
    #[must_use]
    pub fn with_a_member_twice(&self) -> Vec<u8> {
        let json = Value::Object(self.manifest.clone()).to_string();
        let open = json.strip_suffix('}').expect("an object");
        format!(r#"{open},"name":"c-echo"}}"#).into_bytes()
    }

    /// With a version of a symbol that no libc has yet.
    #[must_use]
    pub fn needing_a_newer_libc(&self) -> Vec<u8> {
        const VERSION: &[u8] = b"\0GLIBC_2.";
        let at = self.elf.windows(VERSION.len()).position(|bytes| bytes == VERSION).expect("a symbol of glibc's");
        let digits = self.elf[at + VERSION.len()..].iter().take_while(|byte| **byte != 0).count();
        self.with(at + VERSION.len(), &vec![b'9'; digits])
    }

    /// Where the header of a section is.
    pub(crate) fn section_header(&self, name: &str) -> usize {
        let file = object::File::parse(self.elf.as_slice()).expect("a shared library");
        let section = file.section_by_name(name).expect("a section of the plugin in C");
        let headers = self.elf[SECTION_HEADERS..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        usize::try_from(headers).expect("a small file") + section.index().0 * SECTION_HEADER
    }
}
