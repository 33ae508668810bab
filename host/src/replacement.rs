//! A file that takes the place of what was there when all of it is written. Never leaves half of it, and nothing beside it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Error, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

/// A file to be. NullHost sees what is written to it before [`keep`](Self::keep); dropped without that, it leaves all as it
/// was. A link stays a link, also one that leads to where nothing is yet, and a file keeps its mode.
///
/// A device or a pipe is written to at once, and stays what it is.
#[derive(Debug)]
pub struct Replacement(Place);

/// The files that are not complete. A thread that a plugin holds on to drops none when the process ends.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

#[derive(Debug)]
enum Place {
    Device(File),
    File { unfinished: Unfinished, path: PathBuf },
}

impl Replacement {
    /// Begins the file of this path.
    ///
    /// # Errors
    /// A folder, what is read-only, and what is in a folder that does not exist or where no file can be made. They read
    /// as fragments, and leave it to the caller to name the path.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let there = match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(Error::new(ErrorKind::IsADirectory, "it is a folder")),
            Ok(there) if !there.is_file() => {
                return Ok(Self(Place::Device(OpenOptions::new().write(true).open(path)?)));
            }
            Ok(there) if there.permissions().readonly() => {
                return Err(Error::new(ErrorKind::PermissionDenied, "it is read-only"));
            }
            Ok(there) => Some(there),
            Err(_new) => None,
        };
        let path = real(path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let unfinished = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder);
        // The library's own words name a file that nobody has heard of.
        let unfinished = unfinished.map_err(|error| {
            let why = Error::from(error.kind());
            Error::new(error.kind(), format!("no file can be made in the folder `{}`: {why}", folder.display()))
        })?;
        // A new file gets what the user's mask leaves.
        if let Some(there) = there {
            unfinished.as_file().set_permissions(there.permissions())?;
        }
        Ok(Self(Place::File { unfinished: Unfinished::new(unfinished), path }))
    }

    /// Begins the file, writes this and keeps it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and those of writing.
    pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut replacement = Self::begin(path)?;
        replacement.write_all(bytes)?;
        replacement.keep()
    }

    /// Whether it is a file, and neither a device nor a pipe.
    pub fn is_file(&self) -> bool {
        matches!(self.0, Place::File { .. })
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(&self.0, Place::Device(device) if device.is_terminal())
    }

    /// Whether the other would take its place.
    pub fn is_same_file(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Place::File { path: one, .. }, Place::File { path: other, .. }) => one == other,
            _ => false,
        }
    }

    /// Puts the file into its place, once all of it is on the disk.
    ///
    /// # Errors
    /// Those of the system; then what was there stays.
    pub fn keep(self) -> io::Result<()> {
        let Place::File { mut unfinished, path } = self.0 else { return Ok(()) };
        let Some(file) = unfinished.0.take() else { return Ok(()) };
        let temporary = file.path().to_owned();
        let kept = file.as_file().sync_all().and_then(|()| Ok(file.persist(path).map(drop)?));
        forget(&temporary);
        kept
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Place::Device(device) => device.write(bytes),
            Place::File { unfinished, .. } => unfinished.file().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Place::Device(device) => device.flush(),
            Place::File { unfinished, .. } => unfinished.file().flush(),
        }
    }
}

/// A file that is removed when it is dropped, or when the process ends before that.
#[derive(Debug)]
struct Unfinished(Option<NamedTempFile>);

impl Unfinished {
    fn new(file: NamedTempFile) -> Self {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(file.path().to_owned());
        Self(Some(file))
    }

    fn file(&mut self) -> &mut File {
        self.0.as_mut().expect("it is taken only by what consumes this").as_file_mut()
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

fn forget(path: &Path) {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).retain(|unfinished| unfinished != path);
}

/// Removes the files that are not complete, for a process that ends at once.
pub(crate) fn remove_unfinished() {
    let unfinished = std::mem::take(&mut *UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner));
    unfinished.iter().for_each(|path| drop(fs::remove_file(path)));
}

/// The file that a path leads to, in its real folder.
fn real(path: &Path) -> io::Result<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    let target = match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
        Err(_no_link) => path.to_owned(),
    };
    let name = target.file_name().filter(|_| !target.as_os_str().as_encoded_bytes().ends_with(b"/"));
    let name = name.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "it is no file's name"))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = folder.canonicalize().and_then(|real| fs::metadata(&real).map(|found| (real, found.is_dir())));
    match found {
        Ok((real, true)) => Ok(real.join(name)),
        Ok((_, false)) => Err(Error::new(ErrorKind::NotADirectory, format!("`{}` is no folder", folder.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::new(ErrorKind::NotFound, format!("there is no folder `{}`", folder.display())))
        }
        Err(error) => Err(Error::new(error.kind(), format!("the folder `{}`: {error}", folder.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_when_it_is_kept_and_keeps_its_mode_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "before").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        let mut replacement = Replacement::begin(&link).unwrap();
        replacement.write_all(b"after").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"before");
        replacement.keep().unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"after");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        drop(Replacement::begin(&link).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing unfinished is left");
    }

    #[test]
    fn a_link_to_where_nothing_is_leads_there() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("new", &link).unwrap();
        Replacement::write(&link, b"text").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"text");
    }

    #[test]
    fn two_names_of_one_file_are_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let begin = |name: &str| Replacement::begin(&folder.path().join(name)).unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        symlink("new", folder.path().join("link")).unwrap();
        for other in ["new", "./new", "below/../new", "link"] {
            assert!(begin("new").is_same_file(&begin(other)), "{other}");
        }
        assert!(!begin("new").is_same_file(&begin("below/new")));
    }

    #[test]
    fn what_no_file_can_be_made_of_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        fs::write(at("fixed"), "").unwrap();
        fs::set_permissions(at("fixed"), Permissions::from_mode(0o444)).unwrap();
        let root = folder.path().display();
        for (name, said) in [
            ("", "it is a folder".to_owned()),
            ("new/", "it is no file's name".to_owned()),
            ("fixed", "it is read-only".to_owned()),
            ("no/file", format!("there is no folder `{root}/no`")),
            ("file/file", format!("`{root}/file` is no folder")),
        ] {
            assert_eq!(Replacement::begin(&at(name)).unwrap_err().to_string(), said, "{name}");
        }
        assert_eq!(Replacement::begin(Path::new("")).unwrap_err().to_string(), "it is no file's name");
    }
}
