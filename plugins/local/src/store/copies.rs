//! The copied models in the folder `models/` of the state directory, and their records. A record describes the
//! deployment of a copied model, so that a lost `state.json` can be rebuilt. A copied model has a record only while
//! `state.json` names it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, Result, call, file};
use serde::{Deserialize, Serialize};

use super::io_error::io_error;
use super::layout::{MODELS, RECORD, UNFINISHED_RECORD, is_id, sync};
use super::state::{Deployment, Endpoint, State};

/// The maximum size of a `deployment.json` file, in bytes.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// The path of each copied model's folder, with the name of the folder as the key.
pub(super) struct Copies(BTreeMap<String, PathBuf>);

/// The contents of `deployment.json`: the deployment of a copied model.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CopyRecord {
    pub(super) name: String,
    pub(super) deployment: Deployment,
    /// The weight of the deployment in each endpoint that it belongs to.
    pub(super) endpoints: BTreeMap<String, u32>,
}

impl Copies {
    /// Lists the copied models in a state directory. Returns an empty list if the directory does not exist.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub(super) fn of(root: &Path) -> Result<Self> {
        let models = root.join(MODELS);
        let failed = |error: io::Error| io_error("read the directory", &models, &error);
        if fs::symlink_metadata(&models).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(Self(BTreeMap::new()));
        }
        let mut copies = BTreeMap::new();
        for entry in fs::read_dir(&models).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Some(id) = entry.file_name().to_str().filter(|name| is_id(name)) {
                copies.insert(id.to_owned(), entry.path());
            }
        }
        Ok(Self(copies))
    }

    /// Returns true if there are no copied models. An incomplete copy counts as a copied model.
    pub(super) fn is_empty(&self) -> bool {
        self.with_models().next().is_none()
    }

    /// Returns a text with the number of copied models, for an error message.
    pub(super) fn describe_count(&self) -> String {
        match self.with_models().count() {
            1 => "a copy of a model".to_owned(),
            many => format!("copies of {many} models"),
        }
    }

    /// Returns the folders that contain a subfolder `model`. The model in it may be incomplete.
    fn with_models(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.values().filter(|path| path.join("model").is_dir())
    }

    /// Returns the name and the path of each copied model's folder. Includes incomplete folders that a crashed process
    /// left.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.iter().map(|(id, path)| (id.as_str(), path.as_path()))
    }

    /// Returns true if the folder `id` contains the file `deployment.json`, even if that file is damaged.
    pub(super) fn has_record(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|path| path.join(RECORD).exists())
    }

    /// Returns true if at least one folder contains the file `deployment.json`.
    pub(super) fn has_records(&self) -> bool {
        self.0.keys().any(|id| self.has_record(id))
    }

    /// Removes the record of each copied model that the state `before` names and the state `after` does not name.
    pub(super) fn remove_records(&self, before: &State, after: &State) {
        let is_named = |id: &str, state: &State| state.deployments.values().any(|each| each.folder == id);
        for (id, path) in self.iter() {
            if is_named(id, before) && !is_named(id, after) {
                // If this fails, the record and the copy remain.
                let _kept = fs::remove_file(path.join(RECORD)).and_then(|()| sync(path));
            }
        }
    }

    /// Writes the record of each copied model that `state` names, if the record has changed. Warns if a record cannot
    /// be written.
    pub(super) fn write_records(&self, state: &State) {
        for (name, deployment) in &state.deployments {
            let Some(path) = self.0.get(&deployment.folder) else { continue };
            let weight = |(name_of_endpoint, endpoint): (&String, &Endpoint)| {
                Some((name_of_endpoint.clone(), *endpoint.traffic.get(name)?))
            };
            let endpoints = state.endpoints.iter().filter_map(weight).collect();
            let record = CopyRecord { name: name.clone(), deployment: deployment.clone(), endpoints };
            if CopyRecord::read(path).ok().as_ref() == Some(&record) {
                continue;
            }
            if let Err(error) = record.write(path) {
                call::warn(format!(
                    "the change was made, but `{name}` cannot be rebuilt if `state.json` is lost: {}",
                    error.message()
                ));
            }
        }
    }
}

impl CopyRecord {
    /// Reads the record in the folder of a copied model.
    ///
    /// # Errors
    /// Fails if the folder contains no record, or if the record is damaged.
    pub(super) fn read(copy: &Path) -> io::Result<Self> {
        let bytes = file::read(&copy.join(RECORD), MAX_RECORD_BYTES)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }

    fn write(&self, copy: &Path) -> Result<()> {
        let (path, unfinished) = (copy.join(RECORD), copy.join(UNFINISHED_RECORD));
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::internal(format!("failed to serialize a deployment: {error}")))?;
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync(copy)
        };
        write().map_err(|error| {
            let _replaced_by_the_next_write = fs::remove_file(&unfinished);
            io_error("write", &path, &error)
        })
    }
}
