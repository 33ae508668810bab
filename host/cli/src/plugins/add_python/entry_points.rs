//! Finds the deployment plugins in the directories of Python packages: the entry points of the group
//! `mlflow.deployments`, and MLflow's own target `sagemaker`. Reads files and does not run Python.

use std::fs;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::file;
use serde::Serialize;

/// The group of entry points that MLflow reads.
const GROUP: &str = "[mlflow.deployments]";

/// The maximum size of a file with metadata of a package, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The targets of MLflow itself that no bundled plugin serves, with their modules. Bundled plugins replace the others.
const OF_MLFLOW: [(&str, &str); 1] = [("sagemaker", "mlflow.sagemaker")];

/// A deployment plugin for MLflow that is installed in a Python environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct PythonPlugin {
    /// The name of the entry point, which is the scheme of the target.
    pub(super) name: String,
    /// The module that MLflow imports.
    pub(super) module: String,
    /// The name of the package that contains the plugin.
    pub(super) package: String,
    /// The version of the package.
    pub(super) version: String,
    /// The files and folders of the package that exist: the module, and the metadata.
    #[serde(skip)]
    pub(super) files: Vec<PathBuf>,
}

/// Returns the plugins in the directories, sorted by name. A package in an earlier directory hides one with the same name
/// in a later directory.
pub(super) fn find(directories: &[PathBuf]) -> Vec<PythonPlugin> {
    let mut plugins: Vec<PythonPlugin> = Vec::new();
    for directory in directories {
        for metadata in metadata_folders(directory) {
            let Some((package, version)) = package_of(&metadata) else { continue };
            let text = file::read_text(&metadata.join("entry_points.txt"), MAX_BYTES).unwrap_or_default();
            let own = || OF_MLFLOW.iter().map(|(name, module)| ((*name).to_owned(), (*module).to_owned())).collect();
            let is_mlflow = ["mlflow", "mlflow-skinny"].contains(&package.as_str());
            let entries: Vec<_> = if is_mlflow { own() } else { entries(&text).collect() };
            for (name, module) in entries {
                if plugins.iter().any(|known| known.name == name) {
                    continue;
                }
                let files = files(directory, &metadata, &module);
                plugins.push(PythonPlugin { name, module, package: package.clone(), version: version.clone(), files });
            }
        }
    }
    plugins.sort_by(|one, other| one.name.cmp(&other.name));
    plugins
}

/// Returns the folders with the metadata of packages in a directory, in alphabetical order.
fn metadata_folders(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_metadata = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "dist-info" || extension == "egg-info") && path.is_dir()
    };
    let mut folders: Vec<_> = entries.filter(is_metadata).collect();
    folders.sort();
    folders
}

/// Returns the name and the version of the package with this metadata, from the file `METADATA` or `PKG-INFO`.
fn package_of(metadata: &Path) -> Option<(String, String)> {
    let text = ["METADATA", "PKG-INFO"].iter().find_map(|name| file::read(&metadata.join(name), MAX_BYTES).ok())?;
    let text = String::from_utf8_lossy(&text);
    let header = |name: &str| {
        let mut headers = text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    Some((header("Name")?, header("Version")?))
}

/// Returns the name and the module of each entry in the group of MLflow.
fn entries(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != GROUP).skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter_map(|line| {
        let (name, object) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))?;
        // The object is `module`, `module:attribute`, or either of them with extras in brackets.
        let module = object.split([':', '[', ' ']).find(|part| !part.is_empty())?;
        Some((name.trim().to_owned(), module.to_owned()))
    })
}

/// Returns the files and folders of a plugin that exist. Of MLflow itself, only the module of the plugin counts.
fn files(directory: &Path, metadata: &Path, module: &str) -> Vec<PathBuf> {
    let parts: Vec<_> = module.split('.').collect();
    let parts = if parts[0] == "mlflow" { &parts[..] } else { &parts[..1] };
    let path = directory.join(parts.join("/"));
    let candidates = [path.with_extension("py"), path, metadata.join("METADATA"), metadata.join("PKG-INFO")];
    candidates.into_iter().filter(|path| path.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(directory: &Path, name: &str, version: &str, entry_points: &str) {
        let metadata = directory.join(format!("{}-{version}.dist-info", name.replace('-', "_")));
        fs::create_dir_all(&metadata).unwrap();
        let text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this\n");
        fs::write(metadata.join("METADATA"), text).unwrap();
        fs::write(metadata.join("entry_points.txt"), entry_points).unwrap();
    }

    #[test]
    fn entry_points_of_the_group_are_found_with_package_and_files() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text = "[console_scripts]\nx = y:z\n\n[mlflow.deployments]\n# a = b\nredisai = mlflow_redisai\ntri=mlflow_tri.deployments:Client [extra]\n[other]\nno = no\n";
        package(one.path(), "mlflow-both", "1.2", text);
        fs::create_dir(one.path().join("mlflow_redisai")).unwrap();
        fs::write(one.path().join("mlflow_tri.py"), "").unwrap();
        package(two.path(), "mlflow-redisai", "9", "[mlflow.deployments]\nredisai = later\n");
        package(two.path(), "mlflow", "3.17.2", "[mlflow.deployments]\nopenai = x\n");
        fs::create_dir_all(two.path().join("mlflow/sagemaker")).unwrap();
        let found = find(&[one.path().to_owned(), two.path().to_owned()]);
        let summary: Vec<_> = found
            .iter()
            .map(|plugin| (&*plugin.name, &*plugin.module, &*plugin.package, &*plugin.version, plugin.files.len()))
            .collect();
        assert_eq!(
            summary,
            [
                ("redisai", "mlflow_redisai", "mlflow-both", "1.2", 2),
                ("sagemaker", "mlflow.sagemaker", "mlflow", "3.17.2", 2),
                ("tri", "mlflow_tri.deployments", "mlflow-both", "1.2", 2),
            ]
        );
        assert!(found[0].files[0].ends_with("mlflow_redisai") && found[2].files[0].ends_with("mlflow_tri.py"));
    }
}
