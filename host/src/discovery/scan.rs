//! Directories and the manifests in them: what could be loaded, and why the rest could not. Runs no plugin's code.

use std::collections::HashMap;
use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::ffi::abi::ABI;
use mlflow_deploy_plugin_api::manifest::{Manifest, TARGET};
use mlflow_deploy_plugin_api::trust;

use crate::config::{ConfigWarning, Expectations};
use crate::discovery::digest::Identity;
use crate::discovery::plugin_file::PluginFile;
use crate::discovery::search_path::{NamedFile, Origin, SearchEntry};
use crate::load::dynamic_deps;
use crate::{Dependency, IsolatedBy, LoadError};

/// What a look through the search path found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Discovery {
    /// The directories in order.
    pub directories: Vec<Directory>,
    /// The files in order: by directory, then by name.
    pub candidates: Vec<Candidate>,
    /// What the configuration says that does nothing.
    doubts: Vec<ConfigWarning>,
}

/// Whether a host may load what is in a file of this identity and says this of itself, and why it would be isolated.
pub(crate) type Admit<'a> = dyn Fn(&Manifest, &Identity) -> Result<Option<IsolatedBy>, LoadError> + 'a;

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
    /// What is not wrong with it, but should be known.
    pub warnings: Vec<String>,
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
    Refused(LoadError),
    /// It is not absolute, so that it would mean something else in another folder.
    Relative,
    /// An earlier directory by another name, or the same name twice: this is the earlier one.
    Repeated(PathBuf),
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
    /// What is not wrong with it, but should be known.
    pub warnings: Vec<String>,
    /// What it says of itself, where that could be read, whether it is used or not.
    declared: Option<Box<Manifest>>,
    /// Why it runs in a process of its own, where it does.
    isolated_by: Option<IsolatedBy>,
    /// The file that was looked at, where there is one.
    pub(crate) identity: Option<Identity>,
    /// Whether the program or the user trusts it, whoever can change it.
    pub(crate) is_trusted: bool,
}

/// What became of a file.
#[derive(Clone, Debug)]
pub enum CandidateState {
    /// A shared library that is no plugin: no fault.
    Ignored,
    /// It is not used, for this reason.
    Refused(LoadError),
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

    /// What the file says of itself, also where it is refused. What is not trusted is not read.
    pub fn declared(&self) -> Option<&Manifest> {
        self.manifest().or(self.declared.as_deref())
    }

    /// Why it runs in a process of its own; `None` where it runs in the host's, or is not used.
    pub fn isolated_by(&self) -> Option<&IsolatedBy> {
        self.isolated_by.as_ref()
    }

    /// The libraries that it needs, and which of them are not there. Nothing is loaded; of what is not trusted, and so
    /// not used, nothing is read.
    ///
    /// # Errors
    /// [`LoadError::Untrusted`], where another user can change one of them; [`LoadError::NotALibrary`] and
    /// [`LoadError::Unreadable`], where the file is not what was found any more.
    pub fn dependencies(&self) -> Result<Vec<Dependency>, LoadError> {
        match self.state {
            CandidateState::Usable(_) => {
                if !self.is_trusted {
                    dynamic_deps::check_trust(&self.path)?;
                }
                dynamic_deps::dependencies(&self.path)
            }
            CandidateState::Ignored | CandidateState::Refused(_) => Ok(Vec::new()),
        }
    }

    /// Looks at a file: at whose it is before what is in it.
    fn inspect(path: PathBuf, directory: Option<usize>, is_trusted: bool, admit: &Admit<'_>) -> Self {
        let state = CandidateState::Ignored;
        let (warnings, declared, isolated_by, identity) = (Vec::new(), None, None, None);
        let mut candidate = Self { path, directory, state, warnings, declared, isolated_by, identity, is_trusted };
        match candidate.read() {
            Ok(None) => {}
            Ok(Some(manifest)) => match check(&manifest)
                .and_then(|()| candidate.identity.map_or(Ok(None), |identity| admit(&manifest, &identity)))
            {
                Ok(isolated_by) => {
                    candidate.isolated_by = isolated_by;
                    candidate.state = CandidateState::Usable(manifest);
                }
                Err(refusal) => {
                    candidate.state = CandidateState::Refused(refusal);
                    candidate.declared = Some(manifest);
                }
            },
            Err(refusal) => candidate.state = CandidateState::Refused(refusal),
        }
        candidate
    }

    fn read(&mut self) -> Result<Option<Box<Manifest>>, LoadError> {
        let opened = PluginFile::open(&self.path)?;
        self.identity = Some(opened.identity);
        if !self.is_trusted {
            self.warnings = trust::check_code(&self.path)?;
            // What was checked is what was opened.
            opened.identity.check(&self.path)?;
        }
        opened.check_size()?;
        let manifest = opened.manifest()?;
        if manifest.is_some() {
            opened.check_executable(&self.path)?;
        }
        Ok(manifest.map(Box::new))
    }
}

impl Discovery {
    /// Looks at the files that were named, then through the directories, each in order.
    pub(crate) fn run(files: &[NamedFile], entries: &[SearchEntry], admit: &Admit<'_>) -> Self {
        let mut discovery = Self::default();
        for NamedFile { path, trusted } in files {
            discovery.candidates.push(Candidate::inspect(path.clone(), None, *trusted, admit));
        }
        let mut seen = HashMap::new();
        for entry in entries {
            let (path, origin) = (entry.path.clone(), entry.origin);
            let mut warnings = Vec::new();
            let state = discovery.read_directory(entry, &mut warnings, &mut seen, admit).unwrap_or_else(|state| state);
            warnings.extend(unread(entry, &state));
            discovery.directories.push(Directory { path, origin, state, warnings });
        }
        discovery
    }

    /// The same, with what the configuration says of plugins that were not found.
    pub(crate) fn with_config_warnings(mut self, expectations: &Expectations) -> Self {
        let found: Vec<_> = self.candidates.iter().filter_map(|candidate| Some(&*candidate.declared()?.name)).collect();
        self.doubts = expectations.doubts(&found);
        self
    }

    /// What the user's configuration says, or may say, and that does nothing: of plugins that were not found.
    pub fn doubts(&self) -> impl Iterator<Item = &str> {
        self.doubts.iter().map(|doubt| doubt.warning.as_str())
    }

    /// The directories, each with its state in one line for a person.
    pub fn summaries(&self) -> impl Iterator<Item = (&Directory, String)> {
        let usable_in = |at| {
            let in_here = self.candidates.iter().filter(|candidate| candidate.directory == Some(at));
            in_here.filter(|candidate| candidate.manifest().is_some()).count()
        };
        let summary = move |(at, directory): (usize, &Directory)| directory.state.summary(usable_in(at));
        self.directories.iter().enumerate().map(move |at| (at.1, summary(at)))
    }

    /// What is not wrong anywhere, but should be known.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        let of_directories = self.directories.iter().flat_map(|directory| &directory.warnings);
        let of_files = self.candidates.iter().flat_map(|candidate| &candidate.warnings);
        self.doubts().chain(of_directories.chain(of_files).map(String::as_str))
    }

    /// What should be known before a file is loaded: of it, of the directory that it was found in, and of what was set
    /// for it and does nothing.
    pub(crate) fn warnings_about(&self, candidate: &Candidate) -> Vec<String> {
        let name = candidate.declared().map(|manifest| &manifest.name);
        let is_meant = |doubt: &&ConfigWarning| doubt.plugin.is_none() || doubt.plugin.as_ref() == name;
        let of_configuration = self.doubts.iter().filter(is_meant).map(|doubt| &doubt.warning);
        // Where a file was named, nothing is expected of directories.
        let is_told = |(at, directory): &(usize, &Directory)| {
            let is_unread = !matches!(directory.state, DirectoryState::Read(_));
            candidate.directory.is_some_and(|its| its == *at || is_unread)
        };
        let directories = self.directories.iter().enumerate().filter(is_told);
        let of_directories = directories.flat_map(|(_, directory)| &directory.warnings);
        of_configuration.chain(of_directories).chain(&candidate.warnings).cloned().collect()
    }

    /// Looks at the files of a directory, unless it was `seen` by another name.
    fn read_directory(
        &mut self,
        entry: &SearchEntry,
        warnings: &mut Vec<String>,
        seen: &mut HashMap<((u64, u64), &'static str), PathBuf>,
        admit: &Admit<'_>,
    ) -> Result<DirectoryState, DirectoryState> {
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => DirectoryState::Missing,
            _ => DirectoryState::Refused(LoadError::Unreadable(error.to_string())),
        };
        if entry.path.is_relative() {
            return Err(DirectoryState::Relative);
        }
        let metadata = fs::metadata(&entry.path).map_err(unreadable)?;
        let place = Identity::from(&metadata).place();
        // All of its files were looked at, or those of the same names.
        if let Some(earlier) = seen.get(&(place, "")).or_else(|| seen.get(&(place, entry.prefix))) {
            return Err(DirectoryState::Repeated(earlier.clone()));
        }
        seen.insert((place, entry.prefix), entry.path.clone());
        let listing = fs::read_dir(&entry.path).map_err(unreadable)?;
        let mut files: Vec<_> =
            listing.filter_map(|file| Some(file.ok()?.path())).filter(|path| is_library(path, entry.prefix)).collect();
        if !files.is_empty() {
            // A folder without libraries harms nobody, whoever owns it.
            *warnings = trust::check(&entry.path).map_err(|why| DirectoryState::Refused(why.into()))?;
        }
        files.sort();
        let looked_at = files.len();
        let directory = Some(self.directories.len());
        self.candidates.extend(files.into_iter().map(|path| {
            let mut candidate = Candidate::inspect(path, directory, false, admit);
            candidate.warnings.retain(|warning| !warnings.contains(warning));
            candidate
        }));
        Ok(DirectoryState::Read(looked_at))
    }
}

/// Whoever sets a directory expects something of it.
fn unread(entry: &SearchEntry, state: &DirectoryState) -> Option<String> {
    let is_set = matches!(entry.origin, Origin::Environment | Origin::Given);
    let is_unread = matches!(state, DirectoryState::Missing | DirectoryState::Refused(_) | DirectoryState::Relative);
    let said =
        || format!("no plugins are taken from `{}` ({}): {}", entry.path.display(), entry.origin, state.summary(0));
    (is_set && is_unread).then(said)
}

/// Whether a file's name is that of a shared library.
fn is_library(path: &Path, prefix: &str) -> bool {
    let has_prefix = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    has_prefix && path.extension().is_some_and(|extension| extension == DLL_EXTENSION || extension == "so")
}

/// Whether what a manifest says lets this host load its plugin.
fn check(manifest: &Manifest) -> Result<(), LoadError> {
    if manifest.abi != ABI {
        return Err(LoadError::Abi { plugin: manifest.abi, host: ABI });
    }
    if manifest.target != TARGET {
        return Err(LoadError::WrongMachine { found: manifest.target.clone(), expected: TARGET.to_owned() });
    }
    Ok(())
}
