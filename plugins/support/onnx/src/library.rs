//! Searches for the shared library of ONNX Runtime. Never loads the library.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, library_path};

/// The PyPI package that contains ONNX Runtime's library, in the tested version.
const PACKAGE: &str = "onnxruntime==1.31.1";

/// The file names under which the system's loader searches for ONNX Runtime's library if no search path contains it.
pub(crate) const SYSTEM_NAMES: &[&str] = if cfg!(target_vendor = "apple") {
    &["libonnxruntime.dylib"]
} else {
    &["libonnxruntime.so", "libonnxruntime.so.1"]
};

/// The paths at which ONNX Runtime's library is searched, in the order of the fields. Each path is the library's file
/// or its folder.
#[derive(Clone, Debug, Default)]
pub struct LibrarySearch {
    /// The path in the client option `onnxruntime`.
    pub(crate) option: Option<PathBuf>,
    /// The path in the environment variable `ORT_DYLIB_PATH`.
    pub(crate) variable: Option<PathBuf>,
    /// The folder of the plugin, and its parent folder, in which `make install` installs the library.
    pub(crate) plugin: Vec<PathBuf>,
    /// The folder `lib/mlflow-deploy` in the prefix under which the executable is installed.
    pub(crate) executable: Option<PathBuf>,
    /// The active virtual environment, from the environment variable `VIRTUAL_ENV` or conda's `CONDA_PREFIX`.
    pub(crate) virtualenv: Option<PathBuf>,
}

impl LibrarySearch {
    /// Collects the search paths of this process. `option` is the path in the client option `onnxruntime`, and
    /// `variable` returns the value of an environment variable.
    pub fn of_process(option: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let executable = env::current_exe().and_then(|path| path.canonicalize()).ok();
        let plugin = library_path().and_then(|path| path.canonicalize().ok());
        let folders = |file: &Path| file.ancestors().skip(1).take(2).map(Path::to_owned).collect();
        let path = |name: &str| {
            let value = variable(name)?;
            // Shells and secret files leave blanks and line ends around a value.
            let trimmed = value.to_str().map(|text| OsString::from(text.trim())).unwrap_or(value);
            Some(trimmed).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        Self {
            option,
            variable: path("ORT_DYLIB_PATH"),
            plugin: plugin.as_deref().map(folders).unwrap_or_default(),
            executable: executable.as_deref().and_then(prefix).map(|prefix| prefix.join("lib/mlflow-deploy")),
            virtualenv: path("VIRTUAL_ENV").or_else(|| path("CONDA_PREFIX")),
        }
    }

    /// Returns the path of the library's file, or `None` if no search path contains it. The system's loader may still
    /// find the library.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the client option or the environment variable is set, but does not name a library.
    pub(crate) fn find(&self) -> Result<Option<PathBuf>> {
        if let Some((path, name)) = self.named() {
            let file =
                if path.is_dir() { in_folder(path) } else { Some(path.to_owned()).filter(|file| file.is_file()) };
            let missing = || {
                let reason = path.metadata().err().map(|error| format!(": {error}")).unwrap_or_default();
                Error::invalid_parameter(format!(
                    "{name} is `{}`{reason}: expected ONNX Runtime's library or its folder",
                    path.display()
                ))
            };
            return file.map(Some).ok_or_else(missing);
        }
        let folders = self.plugin.iter().chain(&self.executable);
        let package = || self.virtualenv.as_deref().and_then(in_virtualenv);
        Ok(folders.filter_map(|folder| in_folder(folder)).next().or_else(package))
    }

    /// Returns the path in the client option, or else in the environment variable, with the name of that setting for
    /// messages.
    pub(crate) fn named(&self) -> Option<(&Path, &'static str)> {
        let option = self.option.as_deref().map(|path| (path, "the option `onnxruntime`"));
        option.or_else(|| Some((self.variable.as_deref()?, "`ORT_DYLIB_PATH`")))
    }

    /// Returns the error for a library that was not found. The message lists all searched paths.
    pub(crate) fn not_found(&self) -> Error {
        let shown = |paths: &[PathBuf], none: &str| match paths {
            [] => none.to_owned(),
            paths => paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(" and "),
        };
        Error::new(
            ErrorCode::new("INVALID_STATE"),
            format!(
                "ONNX Runtime's library was not found: searched the client option `onnxruntime` (not given), \
                 `ORT_DYLIB_PATH` (not set), the plugin's folder and the one above {}, `../lib/mlflow-deploy` from \
                 the executable {}, the virtual environment {}, and the system's libraries for {}; install it with: {}",
                shown(&self.plugin, "(unknown)"),
                shown(self.executable.as_slice(), "(unknown)"),
                shown(self.virtualenv.as_slice(), "(none is active)"),
                SYSTEM_NAMES.join(", "),
                self.install_command(),
            ),
        )
    }

    /// Returns the shell command that installs the library in one of the searched folders.
    pub(crate) fn install_command(&self) -> String {
        let is_installed = |above: &&PathBuf| above.ends_with("lib/mlflow-deploy");
        let target = self.plugin.get(1).filter(is_installed).or(self.executable.as_ref()).or(self.plugin.first());
        let target = target.map_or_else(String::new, |folder| format!(" --target '{}'", folder.display()));
        format!("python3 -m pip install --no-deps{target} {PACKAGE}")
    }
}

/// Returns the installation prefix of an executable in the folder `bin` or `libexec/mlflow-deploy`.
fn prefix(executable: &Path) -> Option<&Path> {
    let folder = executable.parent()?;
    folder.ancestors().nth(if folder.ends_with("libexec/mlflow-deploy") { 2 } else { 1 })
}

/// Searches for the library in a folder, or in the package that pip has installed in the folder.
fn in_folder(folder: &Path) -> Option<PathBuf> {
    newest(folder).or_else(|| newest(&folder.join("onnxruntime/capi")))
}

fn in_virtualenv(root: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(root.join("lib")).ok()?.filter_map(Result::ok);
    let mut pythons: Vec<PathBuf> = versions.map(|entry| entry.path().join("site-packages")).collect();
    pythons.sort();
    pythons.iter().rev().find_map(|packages| newest(&packages.join("onnxruntime/capi")))
}

/// Returns the library's file with the highest version in a folder. A file name without a version takes precedence,
/// because it is a deliberate choice.
fn newest(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let versions = files.filter_map(|path| Some((version(path.file_name()?.to_str()?)?, path)));
    versions.filter(|(_, path)| path.is_file()).max().map(|(_, path)| path)
}

/// Returns the version in a library's file name. Returns the highest possible version if the name has none, and `None`
/// if the file is another library.
fn version(name: &str) -> Option<Vec<u32>> {
    let rest = name.strip_prefix("libonnxruntime.")?;
    let version = match rest.strip_suffix("dylib") {
        Some(version) => version.trim_end_matches('.'),
        None => rest.strip_prefix("so")?.trim_start_matches('.'),
    };
    if version.is_empty() {
        return Some(vec![u32::MAX]);
    }
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a temporary folder that contains empty files with these names.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn paths_are_searched_in_order() {
        let one = || folder(&["libonnxruntime.so.1.31.1"]);
        let virtualenv = folder(&["lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1"]);
        let (option, variable, plugin, above, executable) = (one(), one(), one(), one(), one());
        let path = |folder: &tempfile::TempDir| Some(folder.path().to_owned());
        let mut search = LibrarySearch {
            option: path(&option),
            variable: path(&variable),
            plugin: vec![plugin.path().to_owned(), above.path().to_owned()],
            executable: path(&executable),
            virtualenv: path(&virtualenv),
        };
        let check = |search: &LibrarySearch, folder: &tempfile::TempDir| {
            let file = search.find().unwrap().unwrap();
            assert!(file.starts_with(folder.path()), "{file:?} is not in {folder:?}");
        };
        check(&search, &option);
        search.option = None;
        check(&search, &variable);
        search.variable = None;
        check(&search, &plugin);
        search.plugin.remove(0);
        check(&search, &above);
        search.plugin.clear();
        check(&search, &executable);
        search.executable = path(&folder(&[]));
        check(&search, &virtualenv);
        search.virtualenv = None;
        assert_eq!(search.find().unwrap(), None);
    }

    #[test]
    fn the_highest_version_is_found_and_other_libraries_are_ignored() {
        let folder = folder(&[
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime_providers_shared.so",
            "onnxruntime/capi/libonnxruntime.so.1.40.0",
        ]);
        assert_eq!(in_folder(folder.path()), Some(folder.path().join("libonnxruntime.so.1.31.1")));
        fs::write(folder.path().join("libonnxruntime.so"), "").unwrap();
        assert_eq!(in_folder(folder.path()), Some(folder.path().join("libonnxruntime.so")));
        assert_eq!(version("libonnxruntime.1.31.1.dylib"), Some(vec![1, 31, 1]));
        assert_eq!(version("libonnxruntime.so.1.x"), None);
    }

    #[test]
    fn a_configured_path_without_the_library_is_an_error() {
        let search = LibrarySearch { variable: Some("/nowhere".into()), ..LibrarySearch::default() };
        let error = search.find().unwrap_err();
        assert_eq!(
            error.message(),
            "`ORT_DYLIB_PATH` is `/nowhere`: No such file or directory (os error 2): expected ONNX Runtime's library or its folder"
        );
    }

    #[test]
    fn the_error_for_a_missing_library_has_the_install_command() {
        let plugin = ["/usr/lib/mlflow-deploy/plugins", "/usr/lib/mlflow-deploy"].map(PathBuf::from).to_vec();
        let search = LibrarySearch { plugin, executable: Some("/opt".into()), ..LibrarySearch::default() };
        let message = search.not_found().message().to_owned();
        for part in ["`onnxruntime`", "`ORT_DYLIB_PATH`", "the plugin's folder", "virtual environment", SYSTEM_NAMES[0]]
        {
            assert!(message.contains(part), "{message}");
        }
        assert!(
            message.ends_with("install --no-deps --target '/usr/lib/mlflow-deploy' onnxruntime==1.31.1"),
            "{message}"
        );
    }
}
