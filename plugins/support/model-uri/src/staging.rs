//! A folder next to the destination, into which a model is downloaded. It is renamed to the destination when the model
//! is complete.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use tempfile::TempDir;

/// The temporary folder of an incomplete model. It is removed when dropped, unless [`finish`](Self::finish) has renamed
/// it to the destination.
#[derive(Debug)]
pub(crate) struct StagingDir {
    folder: TempDir,
    destination: PathBuf,
    /// The folders that were created inside the staging folder, parents first.
    inside: Vec<PathBuf>,
    /// The parent folders that were created. They are dropped after the staging folder, which is inside them.
    parents: CreatedParents,
}

/// The parents of the destination that were created, innermost first. They are removed when this value is dropped,
/// except for folders that are in use.
#[derive(Debug)]
struct CreatedParents(Vec<PathBuf>);

impl Drop for CreatedParents {
    fn drop(&mut self) {
        // A folder with content is in use and is kept.
        let _in_use = self.0.iter().try_for_each(fs::remove_dir);
    }
}

impl StagingDir {
    /// Creates the staging folder, and the missing parents of the destination.
    ///
    /// # Errors
    /// `RESOURCE_ALREADY_EXISTS` if the destination is a file or a folder that is not empty, `INVALID_PARAMETER_VALUE`
    /// if it has no name, `INTERNAL_ERROR` if the file system fails.
    pub(crate) fn prepare(destination: &Path) -> Result<Self> {
        let destination = std::path::absolute(destination).map_err(|error| failed("find", destination, &error))?;
        let (Some(parent), Some(_name)) = (destination.parent(), destination.file_name()) else {
            let message =
                format!("failed to fetch a model into `{}`: expected the path of a new folder", destination.display());
            return Err(Error::invalid_parameter(message));
        };
        if is_taken(&destination) {
            return Err(taken(&destination));
        }
        let parents =
            CreatedParents(parent.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect());
        fs::create_dir_all(parent).map_err(|error| failed("create", parent, &error))?;
        // These permissions become those of the destination, subject to the process's umask.
        let folder = tempfile::Builder::new()
            .prefix(".fetching-")
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(parent)
            .map_err(|error| failed("create a folder in", parent, &error))?;
        Ok(Self { folder, destination, inside: Vec::new(), parents })
    }

    /// Returns the absolute path of the destination.
    pub(crate) fn destination(&self) -> &Path {
        &self.destination
    }

    /// Fails if the disk has less free space than a model of `bytes` bytes needs.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`, with the free space in the message.
    pub(crate) fn check_space(&self, bytes: u64) -> Result<()> {
        let folder = self.folder.path();
        let space =
            rustix::fs::statvfs(folder).map_err(|error| failed("read the free space in", folder, &error.into()))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if bytes <= free {
            return Ok(());
        }
        let parent = self.destination.parent().unwrap_or(folder).display();
        let message =
            format!("the model has {bytes} bytes, but `{parent}` has only {free} bytes free: free up disk space");
        Err(Error::new(ErrorCode::RESOURCE_EXHAUSTED, message))
    }

    /// Creates a folder inside the staging folder. The parent of the new folder must exist.
    pub(crate) fn create(&mut self, path: &[String]) -> Result<()> {
        let folder = self.path(path);
        fs::create_dir(&folder).map_err(|error| failed("create", &folder, &error))?;
        self.inside.push(folder);
        Ok(())
    }

    /// Returns the absolute path of a file or folder inside the staging folder.
    pub(crate) fn path(&self, path: &[String]) -> PathBuf {
        self.folder.path().join(PathBuf::from_iter(path))
    }

    /// Syncs the staging folder to disk and renames it to the destination. Blocks.
    ///
    /// # Errors
    /// Fails as [`prepare`](Self::prepare) does, because the destination may have been created in the meantime.
    pub(crate) fn finish(self) -> Result<()> {
        // `folder` is declared last and dropped first, so that a failure removes it before its parents.
        let Self { mut parents, destination, inside, folder } = self;
        for folder in inside.iter().map(PathBuf::as_path).chain([folder.path()]) {
            sync(folder)?;
        }
        fs::rename(folder.path(), &destination).map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                taken(&destination)
            }
            _ => failed("move a model to", &destination, &error),
        })?;
        let _moved = folder.keep();
        // The created parents are new entries of their own parents.
        let created = std::mem::take(&mut parents.0);
        for folder in created.iter().map(PathBuf::as_path).chain([&*destination]) {
            sync(folder.parent().unwrap_or(folder))?;
        }
        Ok(())
    }
}

/// Returns true if a path exists and is not an empty folder.
fn is_taken(path: &Path) -> bool {
    let is_folder = fs::symlink_metadata(path).map(|metadata| metadata.is_dir());
    match is_folder {
        Err(_nothing) => false,
        Ok(false) => true,
        Ok(true) => fs::read_dir(path).map_or(true, |mut entries| entries.next().is_some()),
    }
}

fn taken(path: &Path) -> Error {
    let message = format!("`{}` already exists: choose a new or empty folder", path.display());
    Error::new(ErrorCode::RESOURCE_ALREADY_EXISTS, message)
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("write", folder, &error))
}

fn failed(to: &str, path: &Path, error: &io::Error) -> Error {
    Error::internal(format!("failed to {to} `{}`: {error}", path.display())).with_cause(error)
}
