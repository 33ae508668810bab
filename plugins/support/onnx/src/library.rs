//! Where ONNX Runtime's library is looked for, in which order, and what is said where it is not. Nothing is loaded here.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, library_path};

/// The package on PyPI that holds the library, and the version that this plugin is tested with.
const PACKAGE: &str = "onnxruntime==1.31.1";

/// Names that the system's loader is asked for, where no file was found.
pub(crate) const SYSTEM: &[&str] = if cfg!(target_vendor = "apple") {
    &["libonnxruntime.dylib"]
} else {
    &["libonnxruntime.so", "libonnxruntime.so.1"]
};

/// The places, in order. Each is a file, or a folder that may hold one.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The client option `onnxruntime`.
    pub(crate) option: Option<PathBuf>,
    /// `ORT_DYLIB_PATH`.
    pub(crate) variable: Option<PathBuf>,
    /// The folder of the plugin.
    pub(crate) plugin: Option<PathBuf>,
    /// `lib/mlflow-deploy` below the prefix that the executable is installed in.
    pub(crate) installed: Option<PathBuf>,
    /// `VIRTUAL_ENV`, or conda's `CONDA_PREFIX`.
    pub(crate) virtualenv: Option<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub fn of_process(option: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let parent = |path: PathBuf| path.parent().map(Path::to_owned);
        let executable = env::current_exe().and_then(|path| path.canonicalize()).ok().and_then(parent);
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            option,
            variable: path("ORT_DYLIB_PATH"),
            plugin: library_path().and_then(|path| path.canonicalize().ok()).and_then(parent),
            installed: executable.as_deref().and_then(prefix).map(|prefix| prefix.join("lib/mlflow-deploy")),
            virtualenv: path("VIRTUAL_ENV").or_else(|| path("CONDA_PREFIX")),
        }
    }

    /// The library's file; `None` where only the system's loader may know one.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the option or the variable names something that is no library.
    pub(crate) fn find(&self) -> Result<Option<PathBuf>> {
        for (place, name) in [(&self.option, "the option `onnxruntime`"), (&self.variable, "`ORT_DYLIB_PATH`")] {
            let Some(place) = place else { continue };
            let file =
                if place.is_dir() { in_folder(place) } else { Some(place.clone()).filter(|file| file.is_file()) };
            let missing = || {
                Error::invalid_parameter(format!(
                    "{name} is `{}`: expected ONNX Runtime's library, or a folder that holds it",
                    place.display()
                ))
            };
            return file.map(Some).ok_or_else(missing);
        }
        let folders = [&self.plugin, &self.installed].into_iter().flatten();
        let package = || self.virtualenv.as_deref().and_then(in_virtualenv);
        Ok(folders.filter_map(|folder| in_folder(folder)).next().or_else(package))
    }

    /// What to say where no place has it.
    pub(crate) fn not_found(&self) -> Error {
        let shown = |place: &Option<PathBuf>, none: &str| {
            place.as_ref().map_or_else(|| none.to_owned(), |path| format!("`{}`", path.display()))
        };
        Error::new(
            ErrorCode::new("INVALID_STATE"),
            format!(
                "ONNX Runtime's library is nowhere: looked at the client option `onnxruntime` (not given), \
                 `ORT_DYLIB_PATH` (not set), the plugin's folder {}, {}, the virtual environment {}, and asked the \
                 system for {}; install it with: {}",
                shown(&self.plugin, "(unknown)"),
                shown(&self.installed, "`../lib/mlflow-deploy` from the executable (unknown)"),
                shown(&self.virtualenv, "(none is active)"),
                SYSTEM.join(", "),
                self.install(),
            ),
        )
    }

    /// The command that installs the library where it is found.
    pub(crate) fn install(&self) -> String {
        let target = self.installed.as_ref().or(self.plugin.as_ref());
        let target = target.map_or_else(String::new, |folder| format!(" --target '{}'", folder.display()));
        format!("python3 -m pip install --no-deps{target} {PACKAGE}")
    }
}

/// Where the executable in a folder is installed: the command in `bin`, or the program of an isolated plugin.
fn prefix(folder: &Path) -> Option<&Path> {
    folder.ancestors().nth(if folder.ends_with("libexec/mlflow-deploy") { 2 } else { 1 })
}

/// The library in a folder, or in the package that pip has put into it.
fn in_folder(folder: &Path) -> Option<PathBuf> {
    newest(folder).or_else(|| newest(&folder.join("onnxruntime/capi")))
}

fn in_virtualenv(root: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(root.join("lib")).ok()?.filter_map(Result::ok);
    let mut pythons: Vec<PathBuf> = versions.map(|entry| entry.path().join("site-packages")).collect();
    pythons.sort();
    pythons.iter().rev().find_map(|packages| newest(&packages.join("onnxruntime/capi")))
}

/// The file of the highest version in a folder; a name without a version is what somebody chose there, and wins.
fn newest(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let versions = files.filter_map(|path| Some((version(path.file_name()?.to_str()?)?, path)));
    versions.filter(|(_, path)| path.is_file()).max().map(|(_, path)| path)
}

/// The version in a library's name; the highest where the name has none, and `None` where it is another library.
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

    /// A folder with empty files of these names.
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
    fn the_places_are_looked_at_in_order() {
        let one = || folder(&["libonnxruntime.so.1.31.1"]);
        let virtualenv = folder(&["lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1"]);
        let (option, variable, plugin, installed) = (one(), one(), one(), one());
        let path = |folder: &tempfile::TempDir| Some(folder.path().to_owned());
        let mut places = Places {
            option: path(&option),
            variable: path(&variable),
            plugin: path(&plugin),
            installed: path(&installed),
            virtualenv: path(&virtualenv),
        };
        let found = |places: &Places, folder: &tempfile::TempDir| {
            let file = places.find().unwrap().unwrap();
            assert!(file.starts_with(folder.path()), "{file:?} is not in {folder:?}");
        };
        found(&places, &option);
        places.option = None;
        found(&places, &variable);
        places.variable = None;
        found(&places, &plugin);
        places.plugin = None;
        found(&places, &installed);
        places.installed = path(&folder(&[]));
        found(&places, &virtualenv);
        places.virtualenv = None;
        assert_eq!(places.find().unwrap(), None);
    }

    #[test]
    fn the_highest_version_wins_and_other_libraries_are_none() {
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
    fn what_was_asked_for_and_is_not_there_is_an_error() {
        let places = Places { variable: Some("/nowhere".into()), ..Places::default() };
        let error = places.find().unwrap_err();
        assert_eq!(
            error.message(),
            "`ORT_DYLIB_PATH` is `/nowhere`: expected ONNX Runtime's library, or a folder that holds it"
        );
    }

    #[test]
    fn a_missing_library_comes_with_the_command_that_installs_it() {
        let places = Places { installed: Some("/usr/lib/mlflow-deploy".into()), ..Places::default() };
        let message = places.not_found().message().to_owned();
        for place in ["`onnxruntime`", "`ORT_DYLIB_PATH`", "the plugin's folder", "virtual environment", SYSTEM[0]] {
            assert!(message.contains(place), "{message}");
        }
        assert!(
            message.ends_with("install --no-deps --target '/usr/lib/mlflow-deploy' onnxruntime==1.31.1"),
            "{message}"
        );
    }
}
