//! The program and the files of a process plugin, which its manifest `NAME.plugin.json` specifies. Starts nothing.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{program, trust};
use sha2::{Digest as _, Sha256};

use crate::LoadError;
use crate::discovery::digest::{Digest, Identity, Measured};

/// The maximum number of files of one process plugin.
const MAX_FILES: usize = 10_000;

/// The maximum size of all files of one process plugin, because hashing them would take minutes.
const MAX_GIB: u64 = 1;

/// The directories in which a program is searched if the variable `PATH` is not set.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The program of a process plugin, its arguments, and the files that contain its code.
#[derive(Clone, Debug)]
pub(crate) struct ProcessProgram {
    /// The path of the program, which may be a link, such as the Python of a virtual environment.
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// The real path of the folder that contains the manifest.
    folder: PathBuf,
    /// The manifest, the program, and the plugin's own files in alphabetical order.
    files: Vec<PathBuf>,
    /// The folders of the plugin's own files. A new file in a folder changes the folder.
    folders: Vec<PathBuf>,
}

impl ProcessProgram {
    /// Finds the program and the files that the manifest in `file` specifies.
    pub(crate) fn find(file: &Path, manifest: &Manifest) -> Result<Self, LoadError> {
        let unreadable = |error: io::Error| LoadError::Unreadable(error.to_string());
        let file = file.canonicalize().map_err(unreadable)?;
        let folder = file.parent().unwrap_or(&file).to_owned();
        let (program, rest) = manifest.exec.split_first().ok_or(LoadError::NoManifest)?;
        let search_path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned());
        let path = find_program(program, &folder, &search_path)?;
        let resolve = |text: &String| match is_relative(text) {
            true => in_folder(&folder, text).into_os_string(),
            false => OsString::from(text),
        };
        let in_exec = || rest.iter().filter(|text| is_relative(text)).cloned().collect();
        let own = if manifest.files.is_empty() { in_exec() } else { manifest.files.clone() };
        let mut listing = Listing::default();
        own.iter().try_for_each(|own| listing.add(&in_folder(&folder, own)))?;
        let files = [file, path.clone()].into_iter().chain(listing.files).collect();
        Ok(Self { path, arguments: rest.iter().map(resolve).collect(), folder, files, folders: listing.folders })
    }

    /// Returns the manifest, the program, and the plugin's own files and folders. A change of the plugin changes one of
    /// them.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        self.files.iter().chain(&self.folders).cloned().collect()
    }

    /// Returns the identity of all files and folders as a whole.
    pub(crate) fn identity(&self) -> Result<Identity, LoadError> {
        Identity::of_all(&self.watched()).map_err(|error| LoadError::Unreadable(error.to_string()))
    }

    /// Returns the SHA-256 of the program and the plugin's own files, without the manifest. Depends on the names of the
    /// own files relative to the folder of the manifest, not on the path of the folder.
    pub(crate) fn digest(&self) -> Result<Digest, LoadError> {
        let mut whole = Sha256::new();
        for file in &self.files[1..] {
            let unreadable = |error: io::Error| failed(&file.display().to_string(), format!("cannot be read: {error}"));
            let measured = File::open(file).and_then(|file| Measured::of(&file)).map_err(unreadable)?;
            let name = if *file == self.path { Path::new("") } else { file.strip_prefix(&self.folder).unwrap_or(file) };
            let name = name.as_os_str().as_bytes();
            whole.update((name.len() as u64).to_le_bytes());
            whole.update(name);
            whole.update(measured.digest.bytes());
        }
        Ok(Digest::from(<[u8; 32]>::from(whole.finalize())))
    }

    /// Fails if an untrusted user can change the program.
    pub(crate) fn check_program(&self) -> Result<(), LoadError> {
        Ok(trust::check_code(&self.path).map(drop)?)
    }

    /// Fails if an untrusted user can change the program or one of the plugin's own files.
    pub(crate) fn check_trust(&self) -> Result<(), LoadError> {
        let mut trusted_folders = HashSet::new();
        for file in &self.files[1..] {
            match file.parent() {
                Some(folder) if trusted_folders.contains(folder) => trust::check_code_in_trusted_folder(file)?,
                folder => {
                    trusted_folders.extend(folder);
                    trust::check_code(file)?
                }
            };
        }
        Ok(())
    }
}

/// The files below the paths that a manifest lists.
#[derive(Default)]
struct Listing {
    files: BTreeSet<PathBuf>,
    folders: Vec<PathBuf>,
    /// The devices and inodes of the folders, since links may form a circle.
    seen: HashSet<(u64, u64)>,
    bytes: u64,
}

impl Listing {
    /// Adds a file, or all files in a folder.
    fn add(&mut self, path: &Path) -> Result<(), LoadError> {
        let failed = |why: String| failed(&path.display().to_string(), why);
        let unreadable = |error: io::Error| failed(format!("cannot be read: {error}"));
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            if !self.seen.insert(Identity::from(&metadata).file_id()) {
                return Ok(());
            }
            self.folders.push(path.to_owned());
            let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
            // Sorted, because a folder may also be reached by a link, and only its first name counts.
            let mut entries: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
            entries.sort();
            entries.iter().try_for_each(|entry| self.add(entry))?;
        } else if metadata.is_file() {
            self.files.insert(path.to_owned());
            self.bytes = self.bytes.saturating_add(metadata.len());
        } else {
            return Err(failed("is not a regular file or a folder".to_owned()));
        }
        if self.files.len() > MAX_FILES || self.bytes > MAX_GIB << 30 {
            return Err(failed(format!("exceeds the limit of {MAX_FILES} files and {MAX_GIB} GiB")));
        }
        Ok(())
    }
}

/// Returns the path of a program: an absolute path as it is, a path with `/` in `folder`, and a name in the absolute
/// directories of `search_path`.
fn find_program(program: &str, folder: &Path, search_path: &str) -> Result<PathBuf, LoadError> {
    if !program.contains('/') {
        let found = program::find_in_path(program, search_path, 0);
        return found.ok_or_else(|| failed(program, "was not found in `PATH`"));
    }
    let path = in_folder(folder, program);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(failed(program, "does not exist")),
        Err(error) => Err(failed(program, format!("cannot be read: {error}"))),
        Ok(_) if program::is_executable(&path, 0) => Ok(path),
        Ok(_) => Err(failed(program, "is not executable")),
    }
}

/// Returns the path that a text in the manifest stands for.
fn in_folder(folder: &Path, text: &str) -> PathBuf {
    folder.join(text.strip_prefix("./").unwrap_or(text))
}

/// Returns true if an element of `exec` is a path relative to the folder of the manifest.
fn is_relative(text: &str) -> bool {
    text.starts_with("./") || text.starts_with("../")
}

fn failed(program: &str, why: impl Into<String>) -> LoadError {
    LoadError::Program { program: program.to_owned(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    fn manifest(members: serde_json::Value) -> Manifest {
        let mut json =
            json!({"manifest": 1, "abi": 1, "name": "a", "version": "1", "schemes": ["a"], "operations": []});
        json.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Manifest::parse_process(json.to_string().as_bytes()).unwrap()
    }

    /// Returns a folder with a manifest file, a program and a package.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(folder.path().join(name), name).unwrap();
        ["a.plugin.json", "run", "plugin.py"].into_iter().for_each(write);
        fs::create_dir_all(folder.path().join("package/inner")).unwrap();
        ["package/b.py", "package/inner/a.py"].into_iter().for_each(write);
        fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn relative_elements_of_exec_are_resolved_and_are_the_files() {
        let folder = folder();
        let real = folder.path().canonicalize().unwrap();
        let file = folder.path().join("a.plugin.json");
        let exec = json!({"exec": ["./run", "plugin.py", "./plugin.py", "--x=./plugin.py"]});
        let found = ProcessProgram::find(&file, &manifest(exec)).unwrap();
        let plugin = real.join("plugin.py");
        assert_eq!(found.path, real.join("run"));
        assert_eq!(found.arguments, ["plugin.py", plugin.to_str().unwrap(), "--x=./plugin.py"].map(OsString::from));
        assert_eq!(found.files, [real.join("a.plugin.json"), real.join("run"), plugin]);
        let listed = json!({"exec": ["sh", "./plugin.py"], "files": ["./package"]});
        let found = ProcessProgram::find(&file, &manifest(listed)).unwrap();
        assert!(found.path.is_absolute(), "{found:?}");
        assert_eq!(found.files[2..], [real.join("package/b.py"), real.join("package/inner/a.py")]);
    }

    #[test]
    fn a_missing_program_or_file_is_an_error_with_its_name() {
        let folder = folder();
        for (members, message) in [
            (json!({"exec": ["no-such-program"]}), "`no-such-program` was not found in `PATH`"),
            (json!({"exec": ["./none"]}), "`./none` does not exist"),
            (json!({"exec": ["./plugin.py"]}), "`./plugin.py` is not executable"),
            (json!({"exec": ["./package"]}), "`./package` is not executable"),
            (json!({"exec": ["./run", "./none.py"]}), "/none.py` cannot be read: No such file"),
            (json!({"exec": ["./run"], "files": ["none"]}), "/none` cannot be read: No such file"),
        ] {
            let error = ProcessProgram::find(&folder.path().join("a.plugin.json"), &manifest(members)).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn a_changed_file_changes_digest_and_identity_and_a_moved_folder_only_the_identity() {
        let (one, two) = (folder(), folder());
        let find = |folder: &tempfile::TempDir| {
            let members = json!({"exec": ["./run"], "files": ["./package"]});
            ProcessProgram::find(&folder.path().join("a.plugin.json"), &manifest(members)).unwrap()
        };
        let (before, identity) = (find(&one).digest().unwrap(), find(&one).identity().unwrap());
        assert_eq!(before, find(&two).digest().unwrap());
        fs::write(one.path().join("package/inner/a.py"), "package/inner/A.py").unwrap();
        assert_ne!(before, find(&one).digest().unwrap());
        assert_ne!(identity, find(&one).identity().unwrap());
        fs::rename(two.path().join("package/b.py"), two.path().join("package/c.py")).unwrap();
        assert_ne!(before, find(&two).digest().unwrap());
    }
}
