//! Copies the folder of a model. Copies only regular files, and rejects links that lead out of the folder. Writes all
//! files to the disk before it returns.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, call, file};

use super::io_error::io_error;
use super::layout::sync;

/// The number of copied bytes after which the copy checks if it was cancelled.
const CHUNK_BYTES: u64 = 8 << 20;

/// The maximum number of files and folders in a model's folder.
const MAX_FILES: usize = 100_000;

/// Copies the folder of a model from `from` to `to`, which must not exist. Blocks. Stops when `is_cancelled` becomes
/// true.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the folder contains a special file, or a link that leads out of the folder;
/// `RESOURCE_EXHAUSTED` if the disk has too little free space; `RESOURCE_CONFLICT` if a file changes during the copy;
/// `CANCELLED` if `is_cancelled` becomes true.
pub(crate) fn copy(from: &Path, to: &Path, is_cancelled: &AtomicBool) -> Result<()> {
    let listing = Listing::of(from)?;
    let parent = to.parent().expect("a copy is in a folder of its own");
    if parent.canonicalize().is_ok_and(|parent| parent.starts_with(&listing.real)) {
        return Err(Error::invalid_parameter(format!(
            "the state directory is below the model's folder `{}`, so a copy would contain itself: choose another \
             directory with the option `state_dir` or `MLFLOW_DEPLOY_LOCAL_STATE`",
            from.display()
        )));
    }
    copy_listed(&listing, to, is_cancelled)
}

fn copy_listed(listing: &Listing, to: &Path, is_cancelled: &AtomicBool) -> Result<()> {
    check_free_space(to.parent().expect("a copy is in a folder of its own"), listing.bytes)?;
    for folder in &listing.folders {
        let path = to.join(folder);
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| io_error("create the directory", &path, &error))?;
    }
    let mut done = 0;
    for ListedFile { file, source, version } in &listing.files {
        let path = to.join(file);
        let mut reader = file::open_real(source).map_err(|error| unreadable(source, &error))?;
        let check = |reader: &File| match reader.metadata() {
            Ok(metadata) if FileVersion::of(&metadata) == *version => Ok(()),
            Ok(_) => Err(changed(file)),
            Err(error) => Err(unreadable(source, &error)),
        };
        check(&reader)?;
        let mut left = version.size;
        let mut writer = File::create_new(&path).map_err(|error| io_error("write", &path, &error))?;
        while left > 0 {
            if is_cancelled.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorCode::CANCELLED, "the model was not copied: the caller gave up"));
            }
            // The kernel copies, and shares blocks if the file system supports that.
            let copied = io::copy(&mut (&mut reader).take(left.min(CHUNK_BYTES)), &mut writer);
            let copying = || format!("copy `{}` to", source.display());
            match copied.map_err(|error| io_error(copying(), &path, &error))? {
                0 => return Err(changed(file)),
                copied => (left, done) = (left - copied, done + copied),
            }
            if listing.bytes > CHUNK_BYTES {
                #[expect(clippy::cast_precision_loss, reason = "the fraction needs few digits")]
                call::progress((done as f64 / listing.bytes as f64).min(1.0), "copying the model");
            }
        }
        check(&reader)?;
        writer.sync_all().map_err(|error| io_error("write", &path, &error))?;
    }
    let paths = listing.folders.iter().rev().map(|folder| to.join(folder));
    paths.into_iter().try_for_each(|path| sync(&path).map_err(|error| io_error("write", &path, &error)))
}

/// The files and folders to copy. Their paths are relative to the model's folder. A folder precedes its subfolders.
#[derive(Default)]
struct Listing {
    /// The path of the model's folder, with symbolic links resolved.
    real: PathBuf,
    folders: Vec<PathBuf>,
    files: Vec<ListedFile>,
    bytes: u64,
}

struct ListedFile {
    file: PathBuf,
    /// The absolute path of the original file, with symbolic links resolved.
    source: PathBuf,
    version: FileVersion,
}

/// Identifies the contents of a file. The value differs after the file was written to or replaced.
#[derive(PartialEq)]
struct FileVersion {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
}

impl FileVersion {
    fn of(metadata: &fs::Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self { inode: (metadata.dev(), metadata.ino()), size: metadata.size(), modified }
    }
}

impl Listing {
    fn of(root: &Path) -> Result<Self> {
        let real = root.canonicalize().map_err(|error| unreadable(root, &error))?;
        let mut listing = Self { real: real.clone(), folders: vec![PathBuf::new()], ..Self::default() };
        let mut next = 0;
        while let Some(folder) = listing.folders.get(next).cloned() {
            let path = real.join(&folder);
            let entries = fs::read_dir(&path).map_err(|error| unreadable(&path, &error))?;
            for entry in entries {
                let entry = entry.map_err(|error| unreadable(&path, &error))?;
                listing.add(&real, folder.join(entry.file_name()))?;
            }
            next += 1;
        }
        Ok(listing)
    }

    fn add(&mut self, real: &Path, relative: PathBuf) -> Result<()> {
        let invalid = |reason: &str| {
            Error::invalid_parameter(format!("the model's `{}` {reason}: nothing was deployed", relative.display()))
        };
        let path = real.join(&relative);
        let is_link = fs::symlink_metadata(&path).map_err(|error| unreadable(&path, &error))?.is_symlink();
        let source = path.canonicalize().map_err(|error| invalid(&format!("cannot be read ({error})")))?;
        if !source.starts_with(real) {
            return Err(invalid("is a link that leads out of its folder; replace it with the file"));
        }
        let metadata = fs::metadata(&source).map_err(|error| unreadable(&source, &error))?;
        if self.files.len() + self.folders.len() >= MAX_FILES {
            return Err(invalid(&format!("exceeds the limit of {MAX_FILES} files and folders")));
        }
        if metadata.is_file() {
            self.bytes = self.bytes.saturating_add(metadata.len());
            self.files.push(ListedFile { file: relative, source, version: FileVersion::of(&metadata) });
        } else if metadata.is_dir() && !is_link {
            self.folders.push(relative);
        } else if metadata.is_dir() {
            return Err(invalid("is a link to a folder, which may form a cycle; replace it with the folder"));
        } else {
            return Err(invalid("is neither a regular file nor a folder"));
        }
        Ok(())
    }
}

fn changed(file: &Path) -> Error {
    Error::new(
        ErrorCode::new("RESOURCE_CONFLICT"),
        format!(
            "the model's `{}` was changed while it was copied: nothing was deployed; try again when no process \
             writes to it",
            file.display()
        ),
    )
}

/// Returns the error for a failure to read a file of the model. Unlike [`io_error`], it does not suggest another state
/// directory.
fn unreadable(path: &Path, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorCode::PERMISSION_DENIED,
        io::ErrorKind::NotFound => ErrorCode::RESOURCE_DOES_NOT_EXIST,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    Error::new(code, format!("failed to read the model's `{}`: {error}; nothing was deployed", path.display()))
}

/// Fails if the disk has less than `bytes` of free space.
fn check_free_space(folder: &Path, bytes: u64) -> Result<()> {
    let statistics =
        rustix::fs::statvfs(folder).map_err(|error| io_error("determine the free space of", folder, &error.into()))?;
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    if bytes <= free {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::RESOURCE_EXHAUSTED,
        format!(
            "the model has {bytes} bytes, but `{}` has {free} bytes free: free up space, or choose another directory \
             with the option `state_dir`",
            folder.display()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_error(listing: &Listing, to: &Path) -> String {
        let error = copy_listed(listing, to, &AtomicBool::new(false)).unwrap_err();
        fs::remove_dir_all(to).unwrap();
        error.message().to_owned()
    }

    #[test]
    fn copy_fails_if_a_file_changes_meanwhile() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, to) = (from.path().join("w"), to.path().join("model"));
        fs::write(&file, "weights").unwrap();
        let listing = Listing::of(from.path()).unwrap();
        copy_listed(&listing, &to, &AtomicBool::new(false)).unwrap();
        assert_eq!(fs::read_to_string(to.join("w")).unwrap(), "weights");
        fs::remove_dir_all(&to).unwrap();
        fs::write(&file, "weights and more").unwrap();
        assert!(copy_error(&listing, &to).contains("`w` was changed while it was copied"));
        fs::remove_file(&file).unwrap();
        fs::write(&file, "WEIGHTS").unwrap();
        assert!(copy_error(&listing, &to).contains("`w` was changed while it was copied"));
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert!(copy_error(&listing, &to).contains("failed to read the model's"));
    }

    #[test]
    fn copy_into_the_model_itself_fails() {
        let from = tempfile::tempdir().unwrap();
        let folder = from.path().join("state/models/0123456789abcdef");
        fs::create_dir_all(&folder).unwrap();
        let error = copy(from.path(), &folder.join("model"), &AtomicBool::new(false)).unwrap_err();
        assert!(error.message().contains("is below the model's folder"), "{error}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
}
