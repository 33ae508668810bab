//! Replaces a file atomically. An interrupted write leaves neither a partly written file nor a temporary file.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Error, ErrorKind, IsTerminal, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use mlflow_deploy_plugin_api::sync;
use tempfile::NamedTempFile;

/// The new content of a file, which replaces the old content atomically. [`commit`](Self::commit) makes the new content
/// visible, and dropping the value discards it. Symbolic links are followed, including dangling ones. An existing file
/// keeps its mode.
///
/// A device or a pipe is not replaced: writes go to it directly. If the file has several names (hard links),
/// [`commit`](Self::commit) overwrites it, so that all names show the new content. Overwriting is not atomic.
///
/// ```
/// use std::io::Write;
///
/// use mlflow_deploy::Replacement;
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("predictions.json");
/// let mut file = Replacement::begin(&path)?;
/// file.write_all(b"[1]")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"[1]");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Replacement(Destination);

/// The paths of all temporary files, for their removal at the end of the process. A thread that a plugin blocks does
/// not remove its temporary files itself.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

#[derive(Debug)]
enum Destination {
    Device(File),
    File { unfinished: Unfinished, path: PathBuf },
}

impl Replacement {
    /// Creates a temporary file in the directory of `path`, to which the new content is written.
    ///
    /// # Errors
    /// Fails if the path is a directory or read-only, or if the temporary file cannot be created. The error messages
    /// are sentence fragments and do not contain the path.
    pub fn begin(path: &Path) -> io::Result<Self> {
        #[cfg(feature = "command")]
        let path = &*crate::reserved_stdout::path(path);
        let existing = match fs::metadata(path) {
            Ok(existing) if existing.is_dir() => return Err(Error::new(ErrorKind::IsADirectory, "is a directory")),
            Ok(existing) if !existing.is_file() => {
                return Ok(Self(Destination::Device(OpenOptions::new().write(true).open(path)?)));
            }
            Ok(existing) if existing.permissions().readonly() => {
                return Err(Error::new(ErrorKind::PermissionDenied, "is read-only"));
            }
            Ok(existing) => Some(existing),
            Err(_new) => None,
        };
        let path = real(path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let unfinished = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder);
        // The error of `tempfile` names the temporary file, which is of no use to the user. Its source is the error of
        // the system.
        let unfinished = unfinished.map_err(|error| {
            let system = error.get_ref().and_then(|error| error.source());
            let reason = system.map_or_else(|| Error::from(error.kind()).to_string(), ToString::to_string);
            Error::new(
                error.kind(),
                format!("failed to create a file in the directory `{}`: {reason}", folder.display()),
            )
        })?;
        // The mode of a new file depends on the umask.
        if let Some(existing) = existing {
            unfinished.as_file().set_permissions(existing.permissions())?;
        }
        Ok(Self(Destination::File { unfinished: Unfinished::new(unfinished), path }))
    }

    /// Replaces the content of the file at `path` with these bytes.
    ///
    /// # Errors
    /// The errors of [`begin`](Self::begin), of writing and of [`commit`](Self::commit).
    pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut replacement = Self::begin(path)?;
        replacement.write_all(bytes)?;
        replacement.commit()
    }

    /// Returns true if the destination is a file, and false if it is a device or a pipe.
    pub fn is_file(&self) -> bool {
        matches!(self.0, Destination::File { .. })
    }

    /// Returns true if the destination is a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(&self.0, Destination::Device(device) if device.is_terminal())
    }

    /// Returns true if both values replace the same file, even if they use different hard links to it.
    pub fn is_same_file(&self, other: &Self) -> bool {
        let id = |path: &Path| fs::metadata(path).map(|existing| (existing.dev(), existing.ino())).ok();
        match (&self.0, &other.0) {
            (Destination::File { path: one, .. }, Destination::File { path: other, .. }) => {
                one == other || id(one).is_some_and(|one| id(other) == Some(one))
            }
            _ => false,
        }
    }

    /// Flushes the new content to disk and moves it to the path. If the existing file has several names, copies the
    /// content into that file instead.
    ///
    /// # Errors
    /// The error of the operating system. The existing file is then unchanged, unless copying to it failed.
    pub fn commit(self) -> io::Result<()> {
        let Destination::File { mut unfinished, path } = self.0 else { return Ok(()) };
        let Some(mut file) = unfinished.0.take() else { return Ok(()) };
        let temporary = file.path().to_owned();
        // A rename would leave the old content at the other names.
        let has_other_names = fs::metadata(&path).is_ok_and(|existing| existing.nlink() > 1);
        let committed = match has_other_names {
            true => overwrite(&path, file.as_file_mut()),
            false => file.as_file().sync_all().and_then(|()| Ok(file.persist(path).map(drop)?)),
        };
        forget(&temporary);
        committed
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Destination::Device(device) => device.write(bytes),
            Destination::File { unfinished, .. } => unfinished.file().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Destination::Device(device) => device.flush(),
            Destination::File { unfinished, .. } => unfinished.file().flush(),
        }
    }
}

/// A temporary file. Dropping the value or calling [`remove_unfinished`] removes the file.
#[derive(Debug)]
struct Unfinished(Option<NamedTempFile>);

impl Unfinished {
    fn new(file: NamedTempFile) -> Self {
        sync::lock(&UNFINISHED).push(file.path().to_owned());
        Self(Some(file))
    }

    fn file(&mut self) -> &mut File {
        self.0.as_mut().expect("only `commit` and `drop` take the file").as_file_mut()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            let path = file.path().to_owned();
            drop(file);
            forget(&path);
        }
    }
}

/// Copies the content of a file to an existing file, and flushes the existing file to disk.
fn overwrite(path: &Path, content: &mut File) -> io::Result<()> {
    let mut existing = OpenOptions::new().write(true).truncate(true).open(path)?;
    content.rewind()?;
    io::copy(content, &mut existing)?;
    existing.sync_all()
}

fn forget(path: &Path) {
    sync::lock(&UNFINISHED).retain(|unfinished| unfinished != path);
}

/// Removes all temporary files before the process exits without running destructors.
pub(crate) fn remove_unfinished() {
    let unfinished = std::mem::take(&mut *sync::lock(&UNFINISHED));
    unfinished.iter().for_each(|path| drop(fs::remove_file(path)));
}

/// Returns the path of the file that `path` leads to, after following links. That file need not exist.
fn real(path: &Path) -> io::Result<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    let target = match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
        Err(_no_link) => path.to_owned(),
    };
    let name = target.file_name().filter(|_| !target.as_os_str().as_encoded_bytes().ends_with(b"/"));
    let name = name.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "not a file name"))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = folder.canonicalize().and_then(|real| fs::metadata(&real).map(|found| (real, found.is_dir())));
    match found {
        Ok((real, true)) => Ok(real.join(name)),
        Ok((_, false)) => {
            Err(Error::new(ErrorKind::NotADirectory, format!("`{}` is not a directory", folder.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::new(ErrorKind::NotFound, format!("the directory `{}` does not exist", folder.display())))
        }
        Err(error) => Err(Error::new(error.kind(), format!("the directory `{}`: {error}", folder.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn commit_replaces_the_file_and_preserves_its_mode_and_links() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "before").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        let mut replacement = Replacement::begin(&link).unwrap();
        replacement.write_all(b"after").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"before");
        replacement.commit().unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"after");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        drop(Replacement::begin(&link).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn write_to_a_dangling_link_creates_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("new", &link).unwrap();
        Replacement::write(&link, b"text").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"text");
    }

    #[test]
    fn commit_changes_the_content_at_every_hard_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("file"), folder.path().join("other"));
        fs::write(&file, "a long text that was here before").unwrap();
        fs::hard_link(&file, &other).unwrap();
        let mut replacement = Replacement::begin(&file).unwrap();
        replacement.write_all(b"after").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"a long text that was here before");
        drop(replacement);
        Replacement::write(&file, b"after").unwrap();
        assert_eq!((fs::read(&file).unwrap(), fs::read(&other).unwrap()), (b"after".to_vec(), b"after".to_vec()));
        assert_eq!(fs::metadata(&file).unwrap().ino(), fs::metadata(&other).unwrap().ino());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn two_paths_of_one_file_are_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let begin = |name: &str| Replacement::begin(&folder.path().join(name)).unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        symlink("new", folder.path().join("link")).unwrap();
        for other in ["new", "./new", "below/../new", "link"] {
            assert!(begin("new").is_same_file(&begin(other)), "{other}");
        }
        assert!(!begin("new").is_same_file(&begin("below/new")));
        fs::write(folder.path().join("one"), "").unwrap();
        fs::hard_link(folder.path().join("one"), folder.path().join("two")).unwrap();
        assert!(begin("one").is_same_file(&begin("two")));
    }

    #[test]
    fn begin_at_an_unusable_path_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        fs::write(at("fixed"), "").unwrap();
        fs::set_permissions(at("fixed"), Permissions::from_mode(0o444)).unwrap();
        let root = folder.path().display();
        for (name, message) in [
            ("", "is a directory".to_owned()),
            ("new/", "not a file name".to_owned()),
            ("fixed", "is read-only".to_owned()),
            ("no/file", format!("the directory `{root}/no` does not exist")),
            ("file/file", format!("`{root}/file` is not a directory")),
        ] {
            assert_eq!(Replacement::begin(&at(name)).unwrap_err().to_string(), message, "{name}");
        }
        assert_eq!(Replacement::begin(Path::new("")).unwrap_err().to_string(), "not a file name");
    }
}
