//! The copies of models in `models/`, and their records. A record allows the copy to be deployed again if `state.json`
//! is lost. A copy has a record only while `state.json` names the copy.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, Result, call, file};
use serde::{Deserialize, Serialize};

use super::io_error::io_error;
use super::layout::{MODELS, RECORD, UNFINISHED_RECORD, is_id, sync};
use super::state::{Deployment, Endpoint, State};

/// The maximum size of a record, in bytes.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// The folders of copies, by id.
pub(super) struct Copies(BTreeMap<String, PathBuf>);

/// The record of a copy.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CopyRecord {
    pub(super) name: String,
    pub(super) deployment: Deployment,
    /// The endpoints of the deployment, with its weight in each.
    pub(super) endpoints: BTreeMap<String, u32>,
}

impl Copies {
    /// Lists the copies of a state directory; none if it does not exist.
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

    /// Returns true if there are no copies, not even incomplete ones.
    pub(super) fn is_empty(&self) -> bool {
        self.with_models().next().is_none()
    }

    /// Describes the number of copies for a message.
    pub(super) fn describe_count(&self) -> String {
        match self.with_models().count() {
            1 => "a copy of a model".to_owned(),
            many => format!("copies of {many} models"),
        }
    }

    /// Returns the folders of the copies that have a model, which may be incomplete.
    fn with_models(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.values().filter(|path| path.join("model").is_dir())
    }

    /// Returns the id and the folder of each copy, including copies that a crash left.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.iter().map(|(id, path)| (id.as_str(), path.as_path()))
    }

    /// Returns true if a copy has a record, even a damaged one.
    pub(super) fn has_record(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|path| path.join(RECORD).exists())
    }

    /// Returns true if any copy has a record.
    pub(super) fn has_records(&self) -> bool {
        self.0.keys().any(|id| self.has_record(id))
    }

    /// Removes the records of copies that the new state no longer names.
    pub(super) fn remove_records(&self, before: &State, after: &State) {
        let is_named = |id: &str, state: &State| state.deployments.values().any(|each| each.folder == id);
        for (id, path) in self.iter() {
            if is_named(id, before) && !is_named(id, after) {
                // If this fails, the record and the copy remain.
                let _kept = fs::remove_file(path.join(RECORD)).and_then(|()| sync(path));
            }
        }
    }

    /// Updates the records of all copies that a state names. Warns if a record cannot be written.
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
    /// Reads the record of a copy.
    ///
    /// # Errors
    /// Fails if the copy has no record, or the record is damaged.
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
