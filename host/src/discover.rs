//! Directories and the manifests in them: what could be loaded, and why the rest could not. Runs no plugin's code.

use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::ffi::abi::ABI;
use mlflow_deploy_plugin_api::manifest::{self, Isolation, Manifest, Panic, ReadError, TARGET};

use crate::search_path::{NamedFile, Origin, SearchEntry};
use crate::{Refusal, trust};

/// What a look through the search path found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Discovery {
    /// The directories in order.
    pub directories: Vec<Directory>,
    /// The files in order: by directory, then by name.
    pub candidates: Vec<Candidate>,
    /// What is not wrong, but should be known.
    pub warnings: Vec<String>,
}

/// A directory that was looked in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Directory {
    /// The directory.
    pub path: PathBuf,
    /// Who put it on the search path.
    pub origin: Origin,
    /// What became of it.
    pub state: DirectoryState,
}

/// What became of a directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DirectoryState {
    /// There is no such directory.
    Missing,
    /// It was read, and so many files in it looked at.
    Read(usize),
    /// It was not read.
    Refused(Refusal),
    /// It is not absolute, so that it would mean something else in another folder.
    Relative,
}

/// A file that might be a plugin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// The file, as it was found.
    pub path: PathBuf,
    /// The place of its directory in [`Discovery::directories`]; `None` for a file that was named itself.
    pub directory: Option<usize>,
    /// What became of it.
    pub state: CandidateState,
}

/// What became of a file.
#[derive(Clone, Debug)]
pub enum CandidateState {
    /// A shared library that is no plugin: no fault.
    Ignored,
    /// It is not used, for this reason.
    Refused(Refusal),
    /// It can be loaded.
    Usable(Box<Manifest>),
}

impl Candidate {
    /// The manifest of a file that can be loaded.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.state {
            CandidateState::Usable(manifest) => Some(manifest),
            CandidateState::Ignored | CandidateState::Refused(_) => None,
        }
    }
}

impl Discovery {
    /// Looks at the files that were named, then through the directories, each in order.
    pub(crate) fn run(files: &[NamedFile], entries: &[SearchEntry]) -> Self {
        let mut discovery = Self::default();
        for NamedFile { path, trusted } in files {
            let state = if path.exists() {
                inspect(path, *trusted).into()
            } else {
                CandidateState::Refused(Refusal::Unreadable("no such file".to_owned()))
            };
            discovery.candidates.push(Candidate { path: path.clone(), directory: None, state });
        }
        for entry in entries {
            let state = discovery.read_directory(entry).unwrap_or_else(|state| state);
            discovery.directories.push(Directory { path: entry.path.clone(), origin: entry.origin, state });
        }
        discovery
    }

    fn read_directory(&mut self, entry: &SearchEntry) -> Result<DirectoryState, DirectoryState> {
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => DirectoryState::Missing,
            _ => DirectoryState::Refused(Refusal::Unreadable(error.to_string())),
        };
        if entry.path.is_relative() {
            return Err(DirectoryState::Relative);
        }
        let metadata = fs::metadata(&entry.path).map_err(unreadable)?;
        let listing = fs::read_dir(&entry.path).map_err(unreadable)?;
        let mut files: Vec<_> =
            listing.filter_map(|file| Some(file.ok()?.path())).filter(|path| is_library(path, entry.prefix)).collect();
        if !files.is_empty() {
            // A folder without libraries harms nobody, whoever owns it.
            trust::check(&entry.path, &metadata).map_err(DirectoryState::Refused)?;
            if trust::is_group_writable(&metadata) {
                self.warnings.push(format!("`{}` can be changed by its group: `chmod g-w` it", entry.path.display()));
            }
        }
        files.sort();
        let looked_at = files.len();
        let directory = Some(self.directories.len());
        for path in files {
            let state = inspect(&path, false).into();
            self.candidates.push(Candidate { path, directory, state });
        }
        Ok(DirectoryState::Read(looked_at))
    }
}

/// Whether a file's name is that of a shared library.
fn is_library(path: &Path, prefix: &str) -> bool {
    let has_prefix = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    has_prefix && path.extension().is_some_and(|extension| extension == DLL_EXTENSION || extension == "so")
}

/// What a file is found to be.
enum Found {
    Library,
    Plugin(Box<Manifest>),
    Refused(Refusal),
}

impl From<Found> for CandidateState {
    fn from(found: Found) -> Self {
        match found {
            Found::Library => Self::Ignored,
            Found::Plugin(manifest) => Self::Usable(manifest),
            Found::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// Reads a file's manifest, and checks what can be checked before it is loaded.
fn inspect(path: &Path, trusted: bool) -> Found {
    // To open a pipe would be to wait for its writer.
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Found::Refused(Refusal::NotALibrary("not a file, but a folder, pipe or device".to_owned()));
        }
        Ok(_) => {}
        Err(error) => return Found::Refused(Refusal::Unreadable(error.to_string())),
    }
    let manifest = match manifest::read(path) {
        Ok(manifest) => manifest,
        Err(ReadError::NoManifest) => return Found::Library,
        Err(error) => return Found::Refused(refusal(error)),
    };
    let trust = if trusted { Ok(()) } else { check_trust(path) };
    match trust.and_then(|()| check(&manifest)) {
        Ok(()) => Found::Plugin(Box::new(manifest)),
        Err(refusal) => Found::Refused(refusal),
    }
}

/// Whether only root or the user could have put the file where it is.
fn check_trust(path: &Path) -> Result<(), Refusal> {
    let unreadable = |error: std::io::Error| Refusal::Unreadable(error.to_string());
    let real = path.canonicalize().map_err(unreadable)?;
    trust::check(&real, &fs::metadata(&real).map_err(unreadable)?)?;
    match real.parent() {
        Some(folder) => trust::check(folder, &fs::metadata(folder).map_err(unreadable)?),
        None => Ok(()),
    }
}

/// Whether what a manifest says lets this host load its plugin.
fn check(manifest: &Manifest) -> Result<(), Refusal> {
    if manifest.abi != ABI {
        return Err(Refusal::Abi { plugin: manifest.abi, host: ABI });
    }
    if manifest.target != TARGET {
        return Err(Refusal::WrongMachine { found: manifest.target.clone(), expected: TARGET.to_owned() });
    }
    if manifest.panic == Panic::Abort {
        return Err(Refusal::PanicsAbort);
    }
    if manifest.isolation == Isolation::Required {
        return Err(Refusal::NeedsIsolation);
    }
    Ok(())
}

fn refusal(error: ReadError) -> Refusal {
    match error {
        ReadError::Invalid(what) => Refusal::Manifest(what),
        ReadError::Io(error) => Refusal::Unreadable(error.to_string()),
        ReadError::NotALibrary(what) => Refusal::NotALibrary(what),
        ReadError::WrongMachine { found, expected } => Refusal::WrongMachine { found, expected },
        _ => Refusal::NotALibrary("it is of an unknown kind".to_owned()),
    }
}
