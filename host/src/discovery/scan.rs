//! Scans directories for plugins. Runs no plugin code.

use std::collections::HashMap;
use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use mlflow_deploy_plugin_api::manifest::is_process_file;
use mlflow_deploy_plugin_api::trust;

use crate::LoadError;
use crate::discovery::candidate::{Admit, Candidate};
use crate::discovery::config_warning::{ConfigWarning, ConfiguredPlugins};
use crate::discovery::digest::Identity;
use crate::discovery::search_path::{NamedFile, Origin, SearchEntry};
use crate::load::dynamic_deps::LibrarySearch;

/// The maximum number of libraries in one directory. A directory with more libraries is not scanned.
const MAX_LIBRARIES: usize = 10_000;

/// The result of a search for plugins.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
/// use mlflow_deploy::{Host, TargetUri};
///
/// let discovery = Host::builder().plugin(plugin).build().discover();
/// assert!(discovery.schemes().contains(&"echo"));
/// for (directory, state) in discovery.summaries() {
///     println!("{} ({}): {state}", directory.path.display(), directory.origin);
/// }
/// let choice = discovery.choose(&TargetUri::parse("echo")?)?;
/// assert_eq!(choice.winner.manifest().unwrap().name, "echo");
/// # Ok::<(), mlflow_deploy::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Discovery {
    /// The searched directories, in the order of the search path.
    pub directories: Vec<Directory>,
    /// The inspected files: first the files that the program specifies, then the files of each directory, sorted by
    /// name.
    pub candidates: Vec<Candidate>,
    /// The warnings about settings of the user's configuration that have no effect.
    config_warnings: Vec<ConfigWarning>,
}

/// A directory on the search path, listed in [`Discovery::directories`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Directory {
    /// The path of the directory.
    pub path: PathBuf,
    /// The reason why the directory is on the search path.
    pub origin: Origin,
    /// The result of scanning the directory for plugins.
    pub state: DirectoryState,
    /// The warnings about the directory, such as that it does not exist.
    pub warnings: Vec<String>,
}

/// The result of scanning a [`Directory`] for plugins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DirectoryState {
    /// The directory does not exist.
    Missing,
    /// The directory was scanned. Holds the number of inspected files.
    Read(usize),
    /// The directory was not scanned. Holds the reason.
    Refused(LoadError),
    /// The directory was not scanned: its path is relative, and so depends on the current directory.
    Relative,
    /// The directory was not scanned again, because it is the same as this earlier one.
    Repeated(PathBuf),
}

impl DirectoryState {
    /// Describes the state in one line. `usable` is the number of usable plugins in the directory.
    fn summary(&self, usable: usize) -> String {
        match self {
            Self::Missing => "does not exist".to_owned(),
            Self::Read(0) => "no plugin files".to_owned(),
            Self::Read(1) => format!("1 file, {usable} usable as a plugin"),
            Self::Read(files) => format!("{files} files, {usable} usable as plugins"),
            Self::Refused(error) => format!("not read: {error}"),
            Self::Relative => "not read: relative path, expected an absolute path".to_owned(),
            Self::Repeated(earlier) => format!("same directory as `{}`", earlier.display()),
        }
    }
}

impl Discovery {
    /// Inspects `files`, then scans the directories of `entries`, both in the given order.
    pub(crate) fn run(files: &[NamedFile], entries: &[SearchEntry], admit: &Admit<'_>) -> Self {
        let mut discovery = Self::default();
        let search = Arc::new(LazyLock::new(LibrarySearch::new as fn() -> _));
        for NamedFile { path, trusted } in files {
            discovery.candidates.push(Candidate::inspect(path.clone(), None, *trusted, &search, admit));
        }
        let mut seen = HashMap::new();
        for entry in entries {
            let (path, origin) = (entry.path.clone(), entry.origin);
            let mut warnings = Vec::new();
            let state =
                discovery.read_directory(entry, &mut warnings, &mut seen, &search, admit).unwrap_or_else(|state| state);
            warnings.extend(unread_warning(entry, &state));
            discovery.directories.push(Directory { path, origin, state, warnings });
        }
        discovery
    }

    /// Adds a warning for each setting of a plugin that was not found, and the warning `search` about the search path.
    pub(crate) fn with_config_warnings(mut self, configured: &ConfiguredPlugins, search: Option<String>) -> Self {
        let names: Vec<_> = self.candidates.iter().filter_map(|candidate| Some(&*candidate.declared()?.name)).collect();
        self.config_warnings = configured.warnings(&names);
        self.config_warnings.extend(search.map(|message| ConfigWarning { plugin: None, message }));
        self
    }

    /// Returns a warning for each setting of the user's configuration that has no effect.
    pub fn config_warnings(&self) -> impl Iterator<Item = &str> {
        self.config_warnings.iter().map(|warning| warning.message.as_str())
    }

    /// Returns the directories, each with a one-line description of its state.
    pub fn summaries(&self) -> impl Iterator<Item = (&Directory, String)> {
        let usable_in = |index| {
            let candidates = self.candidates.iter().filter(|candidate| candidate.directory == Some(index));
            candidates.filter(|candidate| candidate.is_loadable()).count()
        };
        let directories = self.directories.iter().enumerate();
        directories.map(move |(index, directory)| (directory, directory.state.summary(usable_in(index))))
    }

    /// Returns all schemes that the usable plugins serve, in alphabetical order.
    pub fn schemes(&self) -> Vec<&str> {
        let manifests = self.candidates.iter().filter_map(Candidate::manifest);
        let mut schemes: Vec<_> = manifests.flat_map(|manifest| manifest.schemes.iter().map(String::as_str)).collect();
        schemes.sort_unstable();
        schemes.dedup();
        schemes
    }

    /// Returns all warnings: about the configuration, the directories and the files.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        let of_directories = self.directories.iter().flat_map(|directory| &directory.warnings);
        let of_files = self.candidates.iter().flat_map(|candidate| &candidate.warnings);
        self.config_warnings().chain(of_directories.chain(of_files).map(String::as_str))
    }

    /// Returns the warnings to emit before a plugin's file is loaded. They concern the file, its directory, directories
    /// that cannot be read, and settings that have no effect on this plugin.
    pub(crate) fn warnings_about(&self, candidate: &Candidate) -> Vec<String> {
        let name = candidate.declared().map(|manifest| &manifest.name);
        let concerns = |warning: &&ConfigWarning| warning.plugin.is_none() || warning.plugin.as_ref() == name;
        let of_configuration = self.config_warnings.iter().filter(concerns).map(|warning| &warning.message);
        // A file that was specified by its path does not depend on any directory.
        let is_relevant = |(index, directory): &(usize, &Directory)| {
            let is_unread = !matches!(directory.state, DirectoryState::Read(_));
            candidate.directory.is_some_and(|own| own == *index || is_unread)
        };
        let directories = self.directories.iter().enumerate().filter(is_relevant);
        let of_directories = directories.flat_map(|(_, directory)| &directory.warnings);
        of_configuration.chain(of_directories).chain(&candidate.warnings).cloned().collect()
    }

    /// Inspects the libraries in a directory. Skips a directory in `seen`, which holds the directories that were
    /// scanned before.
    fn read_directory(
        &mut self,
        entry: &SearchEntry,
        warnings: &mut Vec<String>,
        seen: &mut HashMap<((u64, u64), &'static str), PathBuf>,
        search: &Arc<LazyLock<LibrarySearch>>,
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
        let file_id = Identity::from(&metadata).file_id();
        // The earlier scan covered all files, or all files with the same prefix.
        if let Some(earlier) = seen.get(&(file_id, "")).or_else(|| seen.get(&(file_id, entry.prefix))) {
            return Err(DirectoryState::Repeated(earlier.clone()));
        }
        seen.insert((file_id, entry.prefix), entry.path.clone());
        let mut files = Vec::new();
        for file in fs::read_dir(&entry.path).map_err(unreadable)? {
            let path = file.map_err(unreadable)?.path();
            files.extend(Some(path).filter(|path| is_plugin_file(path, entry.prefix)));
            if files.len() > MAX_LIBRARIES {
                let why = format!("it has more than {MAX_LIBRARIES} libraries: specify a directory of plugins");
                return Err(DirectoryState::Refused(LoadError::Unreadable(why)));
            }
        }
        if !files.is_empty() {
            // The owner of a directory without libraries does not matter.
            *warnings = trust::check(&entry.path).map_err(|error| DirectoryState::Refused(error.into()))?;
        }
        files.sort();
        let inspected = files.len();
        let directory = Some(self.directories.len());
        self.candidates.extend(files.into_iter().map(|path| {
            let mut candidate = Candidate::inspect(path, directory, false, search, admit);
            candidate.warnings.retain(|warning| !warnings.contains(warning));
            candidate
        }));
        Ok(DirectoryState::Read(inspected))
    }
}

/// Returns a warning if the directory cannot be read and the program or the environment specifies it.
fn unread_warning(entry: &SearchEntry, state: &DirectoryState) -> Option<String> {
    let is_specified = matches!(entry.origin, Origin::Environment | Origin::Given);
    let is_unread = matches!(state, DirectoryState::Missing | DirectoryState::Refused(_) | DirectoryState::Relative);
    (is_specified && is_unread)
        .then(|| format!("plugin directory `{}` ({}): {}", entry.path.display(), entry.origin, state.summary(0)))
}

/// Returns true if the name of the file starts with `prefix`, and ends like that of a shared library or of the manifest
/// of a process plugin.
fn is_plugin_file(path: &Path, prefix: &str) -> bool {
    let has_prefix = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    let is_library = path.extension().is_some_and(|extension| extension == DLL_EXTENSION || extension == "so");
    has_prefix && (is_library || is_process_file(path))
}
