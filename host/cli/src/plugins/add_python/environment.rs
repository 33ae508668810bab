//! A Python installation or virtual environment, and the directories of its packages. Reads files and does not run
//! Python.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{file, program};

use crate::report::CliError;

/// The maximum size of `pyvenv.cfg`, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A Python and the directories that contain its packages.
#[derive(Debug)]
pub(super) struct Environment {
    /// The absolute path of the interpreter. A link is not resolved, because it identifies a virtual environment.
    pub(super) python: PathBuf,
    /// The existing directories of packages, in the order in which Python searches them.
    pub(super) directories: Vec<PathBuf>,
}

impl Environment {
    /// Finds the Python that the user named: a program, or the folder of an environment. Without a name, finds that of
    /// the active virtual environment, or else `python3` in `PATH`.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, CliError> {
        let python = match named {
            Some(path) if path.is_dir() => path.join("bin/python3"),
            Some(path) => path.to_owned(),
            None => match env::var_os("VIRTUAL_ENV") {
                Some(folder) => Path::new(&folder).join("bin/python3"),
                None => {
                    program::find_in_path("python3", &env::var("PATH").unwrap_or_default(), 0).ok_or_else(|| {
                        CliError::Input("no `python3` in `PATH`: give the path of a Python with `--python`".to_owned())
                    })?
                }
            },
        };
        let python = std::path::absolute(&python).unwrap_or(python);
        if !program::is_executable(&python, 0) {
            return Err(CliError::Input(format!(
                "`{}` is not a Python: expected a program, or the folder of an environment with `bin/python3`",
                python.display()
            )));
        }
        let directories = directories(&python, env::var_os("HOME").map(PathBuf::from).as_deref());
        Ok(Self { python, directories })
    }
}

/// Returns the directories of packages of a Python.
fn directories(python: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let prefix = python.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let Ok(settings) = file::read_text(&prefix.join("pyvenv.cfg"), MAX_BYTES) else {
        return installed(python, home);
    };
    let setting = |name: &str| {
        let mut pairs = settings.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
    };
    let mut found = in_prefix(prefix, "site-packages");
    if setting("include-system-site-packages").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        && let Some(folder) = setting("home")
    {
        let base = python.canonicalize().unwrap_or_else(|_| Path::new(&folder).join("python3"));
        found.extend(installed(&Path::new(&folder).join(base.file_name().unwrap_or_default()), home));
    }
    found
}

/// Returns the directories of packages of a Python that is not in a virtual environment.
fn installed(python: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let real = python.canonicalize().unwrap_or_else(|_| python.to_owned());
    let prefixes = [python, &real].map(|path| path.parent().and_then(Path::parent).map(Path::to_owned));
    let local = Path::new("/usr/local").to_owned();
    let mut found: Vec<PathBuf> = home.map(|home| in_prefix(&home.join(".local"), "site-packages")).unwrap_or_default();
    for prefix in [Some(local), prefixes[0].clone(), prefixes[1].clone()].into_iter().flatten() {
        for name in ["site-packages", "dist-packages"] {
            found.extend(in_prefix(&prefix, name));
        }
        found.extend(Some(prefix.join("lib/python3/dist-packages")).filter(|folder| folder.is_dir()));
    }
    let version = real.file_name().and_then(|name| name.to_str()).filter(|name| name.starts_with("python3."));
    // The directories of other versions belong to other programs.
    let is_own = |folder: &PathBuf| {
        let of_version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.is_none() || of_version == version || of_version == Some("python3")
    };
    found.retain(is_own);
    let mut seen = HashSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

/// Returns the directories `lib*/python3.*/NAME` below a prefix, in alphabetical order.
fn in_prefix(prefix: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for lib in ["lib", "lib64"] {
        let Ok(entries) = fs::read_dir(prefix.join(lib)) else { continue };
        let is_version =
            |folder: &PathBuf| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3."));
        let folders = entries.flatten().map(|entry| entry.path()).filter(is_version).map(|folder| folder.join(name));
        found.extend(folders.filter(|folder| folder.is_dir()).map(|folder| folder.canonicalize().unwrap_or(folder)));
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn packages_of_a_virtual_environment_are_those_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        touch(&root.join("venv/lib/python3.11/site-packages/a"));
        touch(&root.join("base/lib/python3.11/site-packages/a"));
        touch(&root.join("base/lib/python3.12/site-packages/a"));
        touch(&root.join("base/bin/python3.11"));
        fs::create_dir_all(root.join("venv/bin")).unwrap();
        let python = root.join("venv/bin/python3");
        std::os::unix::fs::symlink(root.join("base/bin/python3.11"), &python).unwrap();
        let home = format!("home = {}\n", root.join("base/bin").display());
        let own = root.join("venv/lib/python3.11/site-packages");
        for (more, is_shared) in [("", false), ("include-system-site-packages = true\n", true)] {
            fs::write(root.join("venv/pyvenv.cfg"), format!("{home}{more}")).unwrap();
            let found = directories(&python, None);
            let base = root.join("base/lib/python3.11/site-packages");
            assert_eq!((&found[0], found.contains(&base)), (&own, is_shared), "{found:?}");
            assert!(found.iter().all(|folder| !folder.ends_with("python3.12/site-packages")), "{found:?}");
        }
    }
}
