//! A file that may be a plugin. It is opened once: its manifest, its hash and its identity come from the same handle.
//! Runs no plugin code.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::manifest::{self, Manifest, ReadError};
use rustix::fs::{Mode, OFlags};

use crate::LoadError;
use crate::discovery::digest::{Identity, Measured};
use crate::discovery::process_program::ProcessProgram;

/// An open file that may be a plugin.
pub(crate) struct PluginFile {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
    /// The identity of the file, or that of all files of a process plugin.
    pub(crate) identity: Identity,
    /// True if the file is the manifest of a process plugin, by its name.
    is_process: bool,
    /// The program of a process plugin, once its manifest was read.
    pub(crate) program: Option<ProcessProgram>,
}

impl Identity {
    /// Fails if the paths no longer lead to the files with this identity.
    pub(crate) fn check(&self, files: &[PathBuf]) -> Result<(), LoadError> {
        match Self::of_all(files) {
            Ok(current) if current == *self => Ok(()),
            Ok(_) => Err(LoadError::Changed),
            Err(error) => Err(LoadError::Unreadable(error.to_string())),
        }
    }
}

impl PluginFile {
    /// Opens a regular file. Fails for a pipe, socket or device, because opening one can block or have effects.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        check_regular(&fs::metadata(path).map_err(unreadable)?)?;
        // `NONBLOCK`: a pipe may have replaced the file since the check, and opening it would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?);
        let metadata = file.metadata().map_err(unreadable)?;
        check_regular(&metadata)?;
        let is_process = manifest::is_process_file(path);
        Ok(Self { identity: Identity::from(&metadata), file, metadata, is_process, program: None })
    }

    /// Opens the file of a plugin whose manifest is known, and finds the program of a process plugin.
    pub(crate) fn open_plugin(path: &Path, manifest: &Manifest) -> Result<Self, LoadError> {
        let mut opened = Self::open(path)?;
        opened.find_program(path, manifest)?;
        Ok(opened)
    }

    /// Finds the program and the files of a process plugin. Does nothing for a library.
    pub(crate) fn find_program(&mut self, path: &Path, manifest: &Manifest) -> Result<(), LoadError> {
        if manifest.is_process() {
            let program = ProcessProgram::find(path, manifest)?;
            self.identity = program.identity()?;
            self.program = Some(program);
        }
        Ok(())
    }

    /// Fails if the file is larger than 1 GiB, because hashing it would take minutes.
    pub(crate) fn check_size(&self) -> Result<(), LoadError> {
        const MAX_GIB: u64 = 1;
        if self.metadata.len() <= MAX_GIB << 30 {
            return Ok(());
        }
        Err(LoadError::NotALibrary(format!("the file is larger than the maximum of {MAX_GIB} GiB")))
    }

    /// Fails if the file system of the file is mounted with `noexec`, because the system's loader would refuse the
    /// file.
    pub(crate) fn check_executable(&self, path: &Path) -> Result<(), LoadError> {
        #[cfg(target_os = "linux")]
        {
            let mount = rustix::fs::fstatvfs(&self.file).map_err(|error| unreadable(error.into()))?;
            if mount.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
                return Err(LoadError::NoExec { path: path.to_owned() });
            }
        }
        let _not_on_linux = path;
        Ok(())
    }

    /// Returns the manifest in the file, or `None` if the library has no manifest, and is therefore not a plugin.
    pub(crate) fn manifest(&self) -> Result<Option<Manifest>, LoadError> {
        let read = if self.is_process { manifest::read_process_from } else { manifest::read_from }(&self.file);
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
            Err(_) => Err(LoadError::NotALibrary("unknown file format".to_owned())),
        }
    }

    /// Returns the hash and the identity of the file, and the hash of the files of a process plugin. Fails if a file has
    /// changed since it was opened.
    pub(crate) fn measure(&self) -> Result<Measured, LoadError> {
        self.check_size()?;
        match Measured::of(&self.file) {
            Ok(measured) if measured.identity == Identity::from(&self.metadata) => {
                let files = self.program.as_ref().map(ProcessProgram::digest).transpose()?;
                match &self.program {
                    Some(program) if program.identity()? != self.identity => Err(LoadError::Changed),
                    _ => Ok(Measured { files, identity: self.identity, ..measured }),
                }
            }
            Ok(_) => Err(LoadError::Changed),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(LoadError::Changed),
            Err(error) => Err(unreadable(error)),
        }
    }
}

/// Returns the files of a plugin: a library, or the manifest, the program and the own files of a process plugin.
pub(crate) fn files(path: &Path, manifest: &Manifest) -> Result<Vec<PathBuf>, LoadError> {
    if manifest.is_process() { Ok(ProcessProgram::find(path, manifest)?.watched()) } else { Ok(vec![path.to_owned()]) }
}

fn check_regular(metadata: &Metadata) -> Result<(), LoadError> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(LoadError::NotALibrary("expected a regular file, found a directory, pipe, socket or device".to_owned()))
}

fn unreadable(error: io::Error) -> LoadError {
    match error.kind() {
        ErrorKind::NotFound => LoadError::Unreadable("no such file".to_owned()),
        _ => LoadError::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_fails_if_the_file_was_replaced_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.so"), folder.path().join("b.so"));
        fs::write(&path, "abc").unwrap();
        let identity = Identity::at(&path).unwrap();
        identity.check(std::slice::from_ref(&path)).unwrap();
        fs::write(&other, "abc").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(matches!(identity.check(std::slice::from_ref(&path)), Err(LoadError::Changed)));
        fs::remove_file(&path).unwrap();
        assert!(matches!(identity.check(std::slice::from_ref(&path)), Err(LoadError::Unreadable(_))));
    }
}
