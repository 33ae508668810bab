//! Copying a model's folder: regular files only, none of them from outside, and all of it on the disk before it counts.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, call};

use super::directory::sync;
use super::fault::fault;
use mlflow_deploy_plugin_api::file;

/// Bytes between two looks at whether somebody still waits.
const PIECE: u64 = 8 << 20;

/// Files and folders; more than any model has, and few enough to be listed.
const MAX_FILES: usize = 100_000;

/// Copies a model's folder to a path where nothing is yet. It blocks, and stops when `is_given_up`.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` for a file that is none, or a link that leads out; `RESOURCE_EXHAUSTED` where there is no room.
pub(crate) fn copy(from: &Path, to: &Path, is_given_up: &AtomicBool) -> Result<()> {
    let listing = Listing::of(from)?;
    let parent = to.parent().expect("a copy is in a folder of its own");
    if parent.canonicalize().is_ok_and(|parent| parent.starts_with(&listing.real)) {
        return Err(Error::invalid_parameter(format!(
            "the state directory is below the model's folder `{}`, and a copy would have itself in it: choose another \
             directory with the option `state_dir` or `MLFLOW_DEPLOY_LOCAL_STATE`",
            from.display()
        )));
    }
    copy_listed(&listing, to, is_given_up)
}

fn copy_listed(listing: &Listing, to: &Path, is_given_up: &AtomicBool) -> Result<()> {
    check_room(to.parent().expect("a copy is in a folder of its own"), listing.bytes)?;
    for folder in &listing.folders {
        let path = to.join(folder);
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| fault("make the directory", &path, &error))?;
    }
    let mut done = 0;
    for Listed { file, source, stamp } in &listing.files {
        let path = to.join(file);
        let mut reader = file::open_real(source).map_err(|error| unreadable(source, &error))?;
        let check = |reader: &File| match reader.metadata() {
            Ok(found) if Stamp::of(&found) == *stamp => Ok(()),
            Ok(_) => Err(changed(file)),
            Err(error) => Err(unreadable(source, &error)),
        };
        check(&reader)?;
        let mut left = stamp.size;
        let mut writer = File::create_new(&path).map_err(|error| fault("write", &path, &error))?;
        while left > 0 {
            if is_given_up.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorCode::CANCELLED, "the model was not copied: nobody waits for it"));
            }
            // The kernel copies, and shares blocks where the file system can.
            let copied = io::copy(&mut (&mut reader).take(left.min(PIECE)), &mut writer);
            let copying = || format!("copy `{}` to", source.display());
            match copied.map_err(|error| fault(copying(), &path, &error))? {
                0 => return Err(changed(file)),
                copied => (left, done) = (left - copied, done + copied),
            }
            if listing.bytes > PIECE {
                #[expect(clippy::cast_precision_loss, reason = "for a person to see")]
                call::progress((done as f64 / listing.bytes as f64).min(1.0), "copying the model");
            }
        }
        check(&reader)?;
        writer.sync_all().map_err(|error| fault("write", &path, &error))?;
    }
    let paths = listing.folders.iter().rev().map(|folder| to.join(folder));
    paths.into_iter().try_for_each(|path| sync(&path).map_err(|error| fault("write", &path, &error)))
}

/// What there is to copy: paths below the folder, parents first, and where each file really is.
#[derive(Default)]
struct Listing {
    /// The folder, with links resolved.
    real: PathBuf,
    folders: Vec<PathBuf>,
    files: Vec<Listed>,
    bytes: u64,
}

struct Listed {
    file: PathBuf,
    source: PathBuf,
    stamp: Stamp,
}

/// What is another once somebody has written to a file, or put another one in its place.
#[derive(PartialEq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Self {
        let modified = (found.mtime(), found.mtime_nsec());
        Self { inode: (found.dev(), found.ino()), size: found.size(), modified }
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
        let wrong = |why: &str| {
            Error::invalid_parameter(format!("the model's `{}` {why}: nothing was deployed", relative.display()))
        };
        let path = real.join(&relative);
        let is_link = fs::symlink_metadata(&path).map_err(|error| unreadable(&path, &error))?.is_symlink();
        let source = path.canonicalize().map_err(|error| wrong(&format!("cannot be read ({error})")))?;
        if !source.starts_with(real) {
            return Err(wrong("is a link that leads out of its folder; put the file there in its place"));
        }
        let found = fs::metadata(&source).map_err(|error| unreadable(&source, &error))?;
        if self.files.len() + self.folders.len() >= MAX_FILES {
            return Err(wrong(&format!("is one of more than {MAX_FILES} files, which no model has")));
        }
        if found.is_file() {
            self.bytes = self.bytes.saturating_add(found.len());
            self.files.push(Listed { file: relative, source, stamp: Stamp::of(&found) });
        } else if found.is_dir() && !is_link {
            self.folders.push(relative);
        } else if found.is_dir() {
            return Err(wrong("is a link to a folder, which could go round in circles; put the files there"));
        } else {
            return Err(wrong("is neither a file nor a folder"));
        }
        Ok(())
    }
}

fn changed(file: &Path) -> Error {
    Error::new(
        ErrorCode::new("RESOURCE_CONFLICT"),
        format!(
            "the model's `{}` was changed while it was copied: nothing was deployed; try again when nobody writes to it",
            file.display()
        ),
    )
}

/// A failure to read the model, which is nothing that another state directory would help against.
fn unreadable(path: &Path, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorCode::PERMISSION_DENIED,
        io::ErrorKind::NotFound => ErrorCode::RESOURCE_DOES_NOT_EXIST,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    Error::new(code, format!("failed to read the model's `{}`: {error}; nothing was deployed", path.display()))
}

/// Refuses what cannot fit, before hours are spent on it.
fn check_room(folder: &Path, bytes: u64) -> Result<()> {
    let room = rustix::fs::statvfs(folder).map_err(|error| fault("look at the room in", folder, &error.into()))?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if bytes <= free {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::RESOURCE_EXHAUSTED,
        format!(
            "the model has {bytes} bytes, and in `{}` {free} are free: make room, or choose another directory with the \
             option `state_dir`",
            folder.display()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(listing: &Listing, to: &Path) -> String {
        let error = copy_listed(listing, to, &AtomicBool::new(false)).unwrap_err();
        fs::remove_dir_all(to).unwrap();
        error.message().to_owned()
    }

    #[test]
    fn files_that_change_while_they_are_copied_are_not_deployed() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, to) = (from.path().join("w"), to.path().join("model"));
        fs::write(&file, "weights").unwrap();
        let listing = Listing::of(from.path()).unwrap();
        copy_listed(&listing, &to, &AtomicBool::new(false)).unwrap();
        assert_eq!(fs::read_to_string(to.join("w")).unwrap(), "weights");
        fs::remove_dir_all(&to).unwrap();
        fs::write(&file, "weights and more").unwrap();
        assert!(refused(&listing, &to).contains("`w` was changed while it was copied"));
        fs::remove_file(&file).unwrap();
        fs::write(&file, "WEIGHTS").unwrap();
        assert!(refused(&listing, &to).contains("`w` was changed while it was copied"));
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert!(refused(&listing, &to).contains("failed to read the model's"));
    }

    #[test]
    fn a_model_is_not_copied_into_itself() {
        let from = tempfile::tempdir().unwrap();
        let folder = from.path().join("state/models/0123456789abcdef");
        fs::create_dir_all(&folder).unwrap();
        let error = copy(from.path(), &folder.join("model"), &AtomicBool::new(false)).unwrap_err();
        assert!(error.message().contains("is below the model's folder"), "{error}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
}
