//! Copies of a built plugin that are changed in one place. All of it is about ELF, the format of Linux.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection};
use serde_json::{Map, Value};

/// A plugin's file, to be copied with a change.
#[derive(Debug)]
pub struct Plugin {
    /// The file's bytes.
    pub elf: Vec<u8>,
    manifest: Map<String, Value>,
    /// Where the manifest begins.
    pub manifest_at: usize,
    manifest_size: usize,
    /// Where its section's size is written.
    manifest_size_at: usize,
}

impl Plugin {
    /// Reads a plugin's file.
    ///
    /// # Panics
    /// Where it is no plugin.
    pub fn read(path: &Path) -> Self {
        /// Where the header of a 64-bit ELF file says where its sections are.
        const SECTION_HEADERS: usize = 0x28;
        const SECTION_HEADER: usize = 64;
        const SIZE_IN_SECTION_HEADER: usize = 32;
        let elf = fs::read(path).expect("a built plugin");
        let file = object::File::parse(elf.as_slice()).expect("a shared library");
        let section = file.section_by_name(".mlflow_deploy").expect("a manifest");
        let manifest = section.data().expect("a section's bytes");
        let manifest_at = manifest.as_ptr().addr() - elf.as_ptr().addr();
        let headers = elf[SECTION_HEADERS..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let headers = usize::try_from(headers).expect("a small file");
        Self {
            manifest_at,
            manifest_size: manifest.len(),
            manifest_size_at: headers + section.index().0 * SECTION_HEADER + SIZE_IN_SECTION_HEADER,
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
        self.with(self.manifest_size_at, &size.to_le_bytes())
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
}
