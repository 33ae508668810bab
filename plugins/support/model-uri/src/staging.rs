//! Where a model arrives: in a folder beside its destination, which takes the destination's name once all is there.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use tempfile::TempDir;

/// A folder that is gone unless it is finished.
#[derive(Debug)]
pub(crate) struct StagingDir {
    folder: TempDir,
    destination: PathBuf,
    /// The folders in it, parents first.
    inside: Vec<PathBuf>,
    /// Goes after the folder itself, as it is above it.
    above: Above,
}

/// Folders that were made for this, innermost first, and are gone unless they are kept.
#[derive(Debug)]
struct Above(Vec<PathBuf>);

impl Drop for Above {
    fn drop(&mut self) {
        // One that has something in it by now is somebody's.
        let _in_use = self.0.iter().try_for_each(fs::remove_dir);
    }
}

impl StagingDir {
    /// Makes the folder, and whatever is missing above it.
    ///
    /// # Errors
    /// `RESOURCE_ALREADY_EXISTS` where there is something at the destination, `INVALID_PARAMETER_VALUE` where it has no
    /// name, `INTERNAL_ERROR` where the file system refuses.
    pub(crate) fn prepare(destination: &Path) -> Result<Self> {
        let destination = std::path::absolute(destination).map_err(|error| failed("find", destination, &error))?;
        let (Some(parent), Some(_name)) = (destination.parent(), destination.file_name()) else {
            let message = format!("`{}` cannot take a model: it is no folder of its own", destination.display());
            return Err(Error::invalid_parameter(message));
        };
        if is_taken(&destination) {
            return Err(taken(&destination));
        }
        let above = Above(parent.ancestors().take_while(|above| !above.exists()).map(Path::to_owned).collect());
        fs::create_dir_all(parent).map_err(|error| failed("create", parent, &error))?;
        // Its permissions become the destination's; the process's mask applies to them.
        let folder = tempfile::Builder::new()
            .prefix(".fetching-")
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(parent)
            .map_err(|error| failed("create a folder in", parent, &error))?;
        Ok(Self { folder, destination, inside: Vec::new(), above })
    }

    /// The folder that it becomes, as an absolute path.
    pub(crate) fn destination(&self) -> &Path {
        &self.destination
    }

    /// Refuses what cannot fit, before hours are spent on it.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` with the room that there is.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<()> {
        let folder = self.folder.path();
        let room = rustix::fs::statvfs(folder).map_err(|error| failed("look at the room in", folder, &error.into()))?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        if bytes <= free {
            return Ok(());
        }
        let parent = self.destination.parent().unwrap_or(folder).display();
        let message = format!("the model has {bytes} bytes, and in `{parent}` {free} are free: make room for it");
        Err(Error::new(ErrorCode::RESOURCE_EXHAUSTED, message))
    }

    /// Makes a folder in it, whose parent is there.
    pub(crate) fn create(&mut self, path: &[String]) -> Result<()> {
        let folder = self.path(path);
        fs::create_dir(&folder).map_err(|error| failed("create", &folder, &error))?;
        self.inside.push(folder);
        Ok(())
    }

    /// Where a file belongs.
    pub(crate) fn path(&self, path: &[String]) -> PathBuf {
        self.folder.path().join(PathBuf::from_iter(path))
    }

    /// Gives it its name; from then on it is on the disk, also after a crash. Blocks.
    ///
    /// # Errors
    /// As for [`prepare`](Self::prepare): something may have come to the destination meanwhile.
    pub(crate) fn finish(self) -> Result<()> {
        // The last is dropped first: where this fails, the folder goes before those above it.
        let Self { mut above, destination, inside, folder } = self;
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
        // The folders above are new to those above them.
        let made = std::mem::take(&mut above.0);
        for folder in made.iter().map(PathBuf::as_path).chain([&*destination]) {
            sync(folder.parent().unwrap_or(folder))?;
        }
        Ok(())
    }
}

/// Whether something is there that the model would take the place of. An empty folder is nothing.
fn is_taken(path: &Path) -> bool {
    let is_folder = fs::symlink_metadata(path).map(|metadata| metadata.is_dir());
    match is_folder {
        Err(_nothing) => false,
        Ok(false) => true,
        Ok(true) => fs::read_dir(path).map_or(true, |mut entries| entries.next().is_some()),
    }
}

fn taken(path: &Path) -> Error {
    let message = format!("`{}` exists already: a model is fetched into a folder that does not", path.display());
    Error::new(ErrorCode::RESOURCE_ALREADY_EXISTS, message)
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("write", folder, &error))
}

fn failed(to: &str, path: &Path, error: &io::Error) -> Error {
    Error::internal(format!("failed to {to} `{}`: {error}", path.display())).with_cause(error)
}
