//! Reads the files that MLflow writes without a server: the folder `mlruns`, with runs, logged models, and registered
//! models.
//!
//! Never writes these files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, file};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::run::Run;

/// The maximum size of a metadata file, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The name of the file with the metadata of a run, model or version.
const META: &str = "meta.yaml";
/// The name of a folder with models. In the folder of an experiment it contains logged models, and next to the
/// experiments it contains registered models.
const MODELS: &str = "models";

/// A folder in which MLflow stores runs and models as files.
#[derive(Clone, Debug)]
pub(crate) struct FileStore(pub(crate) PathBuf);

impl FileStore {
    /// Returns true if the folder contains an experiment that MLflow has written.
    pub(crate) fn has_experiments(&self) -> bool {
        let is_experiment = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.bytes().all(|byte| byte.is_ascii_digit()) && path.join(META).exists()
        };
        folders(&self.0).is_ok_and(|folders| folders.iter().any(is_experiment))
    }

    pub(crate) fn run(&self, run_id: &str) -> Result<Run> {
        #[derive(Deserialize)]
        struct Meta {
            artifact_uri: String,
        }
        let run = self.in_experiment(run_id)?.ok_or_else(|| self.missing(&format!("no run `{run_id}`")))?;
        let Meta { artifact_uri } = meta(&run)?;
        let experiment = run.parent().and_then(Path::file_name).unwrap_or_default();
        let experiment_id = experiment.to_string_lossy().into_owned();
        Ok(Run { run_id: run_id.to_owned(), experiment_id, artifact_uri })
    }

    pub(crate) fn logged_model(&self, model_id: &str) -> Result<String> {
        let model = self.in_experiment(&format!("{MODELS}/{model_id}"))?;
        let model = model.ok_or_else(|| self.missing(&format!("no logged model `{model_id}`")))?;
        Ok(meta::<LoggedModel>(&model)?.artifact_location)
    }

    pub(crate) fn logged_model_of(&self, run: &Run, name: &str) -> Result<Option<String>> {
        let folder = self.0.join(&run.experiment_id).join(MODELS);
        let Ok(models) = folders(&folder) else { return Ok(None) };
        let models = models.iter().map(|model| meta::<LoggedModel>(model)).collect::<Result<Vec<_>>>()?;
        let is_match = |model: &LoggedModel| model.name == name && model.source_run_id.as_ref() == Some(&run.run_id);
        let last = models.into_iter().filter(is_match).max_by_key(|model| model.creation_timestamp);
        Ok(last.map(|model| model.artifact_location))
    }

    pub(crate) fn version_of_alias(&self, name: &str, alias: &str) -> Result<String> {
        let model = self.registered(name)?;
        match file::read_text(&model.join("aliases").join(alias), MAX_FILE) {
            Ok(version) => Ok(version.trim().to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unreadable(&self.0, &error)),
            Err(_missing) => Err(self.missing(&format!("no alias `{alias}` of the registered model `{name}`"))),
        }
    }

    pub(crate) fn latest_version(&self, name: &str, stage: Option<&str>) -> Result<String> {
        let mut latest = None;
        for folder in folders(&self.registered(name)?).map_err(|error| unreadable(&self.0, &error))? {
            let number =
                folder.file_name().and_then(|name| name.to_str()?.strip_prefix("version-")?.parse::<u64>().ok());
            let Some(number) = number else { continue };
            let is_match = match stage {
                Some(stage) => meta::<Version>(&folder)?.current_stage.eq_ignore_ascii_case(stage),
                None => true,
            };
            latest = if is_match { latest.max(Some(number)) } else { latest };
        }
        latest.map(|latest| latest.to_string()).ok_or_else(|| {
            let stage = stage.map_or(String::new(), |stage| format!(" in the stage `{stage}`"));
            self.missing(&format!("no version{stage} of the registered model `{name}`"))
        })
    }

    pub(crate) fn version(&self, name: &str, version: &str) -> Result<String> {
        let folder = self.registered(name)?.join(format!("version-{version}"));
        if !folder.join(META).is_file() {
            return Err(self.missing(&format!("no version {version} of the registered model `{name}`")));
        }
        let Version { storage_location, source, .. } = meta(&folder)?;
        Ok(storage_location.unwrap_or(source))
    }

    /// Searches the folders of all experiments for the relative path `below`. Returns the first match, or `None` if no
    /// experiment contains this path.
    fn in_experiment(&self, below: &str) -> Result<Option<PathBuf>> {
        let experiments = folders(&self.0).map_err(|error| unreadable(&self.0, &error))?;
        let mut candidates = experiments.into_iter().map(|experiment| experiment.join(below));
        Ok(candidates.find(|candidate| candidate.join(META).is_file()))
    }

    fn registered(&self, name: &str) -> Result<PathBuf> {
        let folder = self.0.join(MODELS).join(name);
        match folder.join(META).is_file() {
            true => Ok(folder),
            false => Err(self.missing(&format!("no registered model `{name}`"))),
        }
    }

    fn missing(&self, what: &str) -> Error {
        let message = format!("{what} in `{}`", self.0.display());
        Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message)
    }
}

#[derive(Deserialize)]
struct LoggedModel {
    artifact_location: String,
    #[serde(default)]
    creation_timestamp: u64,
    name: String,
    #[serde(default)]
    source_run_id: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    current_stage: String,
    source: String,
    #[serde(default)]
    storage_location: Option<String>,
}

/// Returns the paths of the folders directly inside a folder.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(entries.filter(|path| path.is_dir()).collect())
}

/// Reads and parses the metadata file in a folder.
fn meta<T: DeserializeOwned>(folder: &Path) -> Result<T> {
    let path = folder.join(META);
    let text = file::read_text(&path, MAX_FILE).map_err(|error| unreadable(&path, &error))?;
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(&text, options)
        .map_err(|error| Error::internal(format!("failed to parse `{}`: {error}", path.display())))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::NotFound => ErrorCode::RESOURCE_DOES_NOT_EXIST,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    Error::new(code, format!("failed to read `{}`: {error}", path.display())).with_cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_endless_files_are_rejected() {
        let root = tempfile::tempdir().unwrap();
        let (run, model) = (root.path().join("0/r1"), root.path().join("models/m"));
        fs::create_dir_all(&run).unwrap();
        fs::create_dir_all(model.join("aliases")).unwrap();
        fs::write(run.join(META), "a: b\n".repeat(1 << 18)).unwrap();
        fs::write(model.join(META), "name: m").unwrap();
        std::os::unix::fs::symlink("/dev/zero", model.join("aliases/last")).unwrap();
        let store = FileStore(root.path().to_owned());
        let large = store.run("r1").unwrap_err();
        assert!(large.message().ends_with("/0/r1/meta.yaml`: larger than 1 MiB"), "{large}");
        let endless = store.version_of_alias("m", "last").unwrap_err();
        assert!(endless.message().ends_with("`: not a regular file"), "{endless}");
    }
}
