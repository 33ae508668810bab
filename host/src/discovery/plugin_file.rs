//! A file that may be a plugin, opened once: what is learnt of it is about one and the same file. Runs none of it.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

use mlflow_deploy_plugin_api::manifest::{self, Manifest, ReadError};
use rustix::fs::{Mode, OFlags};

use crate::LoadError;
use crate::discovery::digest::{Identity, Measured};

/// A file that may be a plugin.
pub(crate) struct PluginFile {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
    pub(crate) identity: Identity,
}

impl PluginFile {
    /// Opens it, unless it is a folder, pipe, socket or device: of those, opening alone can wait or do something.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        refuse_other(&fs::metadata(path).map_err(unreadable)?)?;
        // Where a pipe has taken its place meanwhile, its writer is not waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?);
        let metadata = file.metadata().map_err(unreadable)?;
        refuse_other(&metadata)?;
        Ok(Self { identity: Identity::from(&metadata), file, metadata })
    }

    /// Refuses a file that is larger than any plugin, so that it is not hashed for minutes.
    pub(crate) fn check_size(&self) -> Result<(), LoadError> {
        const MAX_GIB: u64 = 1;
        if self.metadata.len() <= MAX_GIB << 30 {
            return Ok(());
        }
        Err(LoadError::NotALibrary(format!("it is larger than {MAX_GIB} GiB, which no plugin is")))
    }

    /// Refuses a file from which nothing can be run, which the system's loader would not load.
    pub(crate) fn check_executable(&self, path: &Path) -> Result<(), LoadError> {
        #[cfg(target_os = "linux")]
        {
            let mount = rustix::fs::fstatvfs(&self.file).map_err(|error| unreadable(error.into()))?;
            if mount.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
                return Err(LoadError::NoExec { path: path.to_owned() });
            }
        }
        let _elsewhere_not_told = path;
        Ok(())
    }

    /// What it says of itself; `None` for a library that is no plugin.
    pub(crate) fn manifest(&self) -> Result<Option<Manifest>, LoadError> {
        let read = manifest::read_from(&self.file);
        if Identity::from(&self.file.metadata().map_err(unreadable)?) != self.identity {
            return Err(LoadError::Changed);
        }
        match read {
            Ok(manifest) => Ok(Some(manifest)),
            Err(ReadError::NoManifest) => Ok(None),
            Err(ReadError::Invalid(what)) => Err(LoadError::Manifest(what)),
            Err(ReadError::Io(error)) => Err(unreadable(error)),
            Err(ReadError::NotALibrary(what)) => Err(LoadError::NotALibrary(what)),
            Err(ReadError::WrongMachine { found, expected }) => Err(LoadError::WrongMachine { found, expected }),
            Err(_) => Err(LoadError::NotALibrary("it is of an unknown kind".to_owned())),
        }
    }

    /// Its SHA-256.
    pub(crate) fn measure(&self) -> Result<Measured, LoadError> {
        self.check_size()?;
        match Measured::of(&self.file) {
            Ok(measured) if measured.identity == self.identity => Ok(measured),
            Ok(_) => Err(LoadError::Changed),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(LoadError::Changed),
            Err(error) => Err(unreadable(error)),
        }
    }
}

fn refuse_other(metadata: &Metadata) -> Result<(), LoadError> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(LoadError::NotALibrary("not a file, but a folder, pipe, socket or device".to_owned()))
}

fn unreadable(error: io::Error) -> LoadError {
    match error.kind() {
        ErrorKind::NotFound => LoadError::Unreadable("no such file".to_owned()),
        _ => LoadError::Unreadable(error.to_string()),
    }
}
