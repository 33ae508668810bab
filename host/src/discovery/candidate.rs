//! A file that may be a plugin. Its owner is checked before its manifest is read. Runs no plugin code.

use std::path::PathBuf;
use std::slice;
use std::sync::{Arc, LazyLock, OnceLock};

use mlflow_deploy_plugin_api::ffi::abi::ABI;
use mlflow_deploy_plugin_api::manifest::{Manifest, TARGET};
use mlflow_deploy_plugin_api::trust;

use crate::discovery::digest::Identity;
use crate::discovery::plugin_file::PluginFile;
use crate::discovery::process_program::ProcessProgram;
use crate::load::dynamic_deps::{self, LibrarySearch};
use crate::{Dependency, IsolatedBy, LoadError};

/// A file that may be a plugin, listed in [`Discovery::candidates`](crate::Discovery::candidates).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// The path at which the file was found.
    pub path: PathBuf,
    /// The index of the file's directory in [`Discovery::directories`](crate::Discovery::directories); `None` for a
    /// file that was specified by its path.
    pub directory: Option<usize>,
    /// The result of the inspection of the file.
    pub state: CandidateState,
    /// The warnings about the file. They do not prevent its use.
    pub warnings: Vec<String>,
    /// The manifest of a refused file, if it could be read.
    declared: Option<Box<Manifest>>,
    /// The reason why the plugin runs in its own process; `None` if it does not.
    isolated_by: Option<IsolatedBy>,
    /// The identity of the file when it was inspected; `None` if it could not be opened.
    pub(crate) identity: Option<Identity>,
    /// True if the program or the user trusts the file regardless of its owner and mode.
    pub(crate) is_trusted: bool,
    /// The search for the libraries that the file needs. All files of a discovery share it.
    search: Arc<LazyLock<LibrarySearch>>,
    /// The libraries that the file needs, once they were searched for. Clones share them.
    needed: Arc<OnceLock<Result<Vec<Dependency>, LoadError>>>,
}

/// The result of the inspection of a [`Candidate`].
#[derive(Clone, Debug)]
pub enum CandidateState {
    /// The file is a shared library in a searched directory, but not a plugin. This is not an error.
    Ignored,
    /// The file cannot be used, for this reason.
    Refused(LoadError),
    /// The file can be loaded.
    Usable(Box<Manifest>),
}

/// A function that checks if the host may load the file with this manifest and identity. It fails if the host may not.
/// Otherwise it returns the reason to isolate the plugin, or `None`.
pub(crate) type Admit<'a> = dyn Fn(&Manifest, &Identity) -> Result<Option<IsolatedBy>, LoadError> + 'a;

impl Candidate {
    /// Returns the manifest of a usable file; `None` for any other file.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.state {
            CandidateState::Usable(manifest) => Some(manifest),
            CandidateState::Ignored | CandidateState::Refused(_) => None,
        }
    }

    /// Returns the manifest of a usable or a refused file, if it was read. The manifest of an untrusted file is not
    /// read.
    pub fn declared(&self) -> Option<&Manifest> {
        self.manifest().or(self.declared.as_deref())
    }

    /// Returns the reason why the plugin runs in its own process; `None` if it does not, or if the file is not used.
    pub fn isolated_by(&self) -> Option<&IsolatedBy> {
        self.isolated_by.as_ref()
    }

    /// Returns the libraries that a usable file needs, and marks the missing ones. Loads nothing. Later calls return the
    /// same result. A process plugin has none; its program and its files are checked instead.
    ///
    /// # Errors
    /// [`LoadError::Untrusted`] if another user can change one of the libraries; [`LoadError::NotLoadable`] if the
    /// system's loader would refuse the file; [`LoadError::Table`] if the file does not export the entry function of a
    /// plugin; [`LoadError::NotALibrary`] and [`LoadError::Unreadable`] if the file has changed since it was found.
    pub fn dependencies(&self) -> Result<Vec<Dependency>, LoadError> {
        let Some(manifest) = self.manifest() else { return Ok(Vec::new()) };
        if manifest.is_process() {
            let program = ProcessProgram::find(&self.path, manifest)?;
            return if self.is_trusted { Ok(Vec::new()) } else { program.check_trust().map(|()| Vec::new()) };
        }
        let search = || dynamic_deps::dependencies(&self.path, self.is_trusted, &self.search);
        self.needed.get_or_init(search).clone()
    }

    /// Returns true if the file passes all checks that are possible without loading it.
    pub(crate) fn is_loadable(&self) -> bool {
        let is_complete = |needed: Vec<Dependency>| needed.iter().all(|library| library.load_error().is_none());
        self.manifest().is_some() && self.dependencies().is_ok_and(is_complete)
    }

    /// Inspects a file. Checks the owner of the file before reading its content.
    /// The caller has checked the owner of the `directory`.
    pub(crate) fn inspect(
        path: PathBuf,
        directory: Option<usize>,
        is_trusted: bool,
        search: &Arc<LazyLock<LibrarySearch>>,
        admit: &Admit<'_>,
    ) -> Self {
        let state = CandidateState::Ignored;
        let (warnings, declared, isolated_by, identity) = (Vec::new(), None, None, None);
        let (search, needed) = (Arc::clone(search), Arc::default());
        let mut candidate =
            Self { path, directory, state, warnings, declared, isolated_by, identity, is_trusted, search, needed };
        match candidate.read() {
            Ok(None) if candidate.directory.is_none() => {
                candidate.state = CandidateState::Refused(LoadError::NoManifest);
            }
            Ok(None) => {}
            Ok(Some((opened, manifest))) => match candidate.check(opened, &manifest, admit) {
                Ok(isolated_by) => {
                    candidate.isolated_by = isolated_by;
                    candidate.state = CandidateState::Usable(manifest);
                }
                Err(error) => {
                    candidate.state = CandidateState::Refused(error);
                    candidate.declared = Some(manifest);
                }
            },
            Err(error) => candidate.state = CandidateState::Refused(error),
        }
        candidate
    }

    /// Opens the file and reads its manifest. Returns `None` if the file is not a plugin.
    fn read(&mut self) -> Result<Option<(PluginFile, Box<Manifest>)>, LoadError> {
        let opened = PluginFile::open(&self.path)?;
        self.identity = Some(opened.identity);
        if !self.is_trusted {
            self.warnings = match self.directory {
                Some(_checked) => trust::check_code_in_trusted_folder(&self.path)?,
                None => trust::check_code(&self.path)?,
            };
            // The owner was checked by path. Fails if the path does not lead to the opened file.
            opened.identity.check(slice::from_ref(&self.path))?;
        }
        opened.check_size()?;
        Ok(opened.manifest()?.map(|manifest| (opened, Box::new(manifest))))
    }

    /// Checks a plugin whose manifest was read. Returns the reason why it runs in its own process.
    fn check(
        &mut self,
        mut opened: PluginFile,
        manifest: &Manifest,
        admit: &Admit<'_>,
    ) -> Result<Option<IsolatedBy>, LoadError> {
        if !manifest.is_process() {
            opened.check_executable(&self.path)?;
        }
        check(manifest)?;
        opened.find_program(&self.path, manifest)?;
        if let Some(program) = opened.program.as_ref().filter(|_| !self.is_trusted) {
            program.check_program()?;
        }
        self.identity = Some(opened.identity);
        admit(manifest, &opened.identity)
    }
}

/// Fails if the ABI or the platform of the plugin is not that of this host.
fn check(manifest: &Manifest) -> Result<(), LoadError> {
    if manifest.abi != ABI {
        return Err(LoadError::Abi { plugin: manifest.abi, host: ABI });
    }
    if manifest.target != TARGET {
        return Err(LoadError::WrongMachine { found: manifest.target.clone(), expected: TARGET.to_owned() });
    }
    Ok(())
}
