//! The copies of models in `models/`, and the record hstack each that is deployed: what it needs to be deployed again if
//! `state.json` is lost. A copy has a record only while `state.json` names it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, Result, call, file};
use serde::{Deserialize, Serialize};

use super::directory::sync;
use super::fault::fault;
use super::folder::is_id;
use super::state::{Deployment, State};

/// The folder of all copies.
pub(super) const MODELS: &str = "models";

/// The file with the record.
pub(super) const RECORD: &str = "deployment.json";

/// The file that is to become the record. One process writes at a time.
pub(super) const UNFINISHED_RECORD: &str = "deployment.json.new";

/// Bytes; more than any deployment needs.
const MAX_LEN: u64 = 1 << 20;

/// The folders of copies, by their ids.
pub(super) struct Copies(BTreeMap<String, PathBuf>);

/// What is written beside the copy of a deployed model.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) deployment: Deployment,
    /// The endpoints that it is in, and its weight in each.
    pub(super) endpoints: BTreeMap<String, u32>,
}

impl Copies {
    /// The copies of a state directory. One that is not there has none; one that cannot be read is not taken for empty.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn of(root: &Path) -> Result<Self> {
        let models = root.join(MODELS);
        let failed = |error: io::Error| fault("read the directory", &models, &error);
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

    /// Whether there is no copy, nor a part of one.
    pub(super) fn is_empty(&self) -> bool {
        self.whole().next().is_none()
    }

    /// How many there are, for a message.
    pub(super) fn counted(&self) -> String {
        match self.whole().count() {
            1 => "a copy of a model".to_owned(),
            many => format!("copies of {many} models"),
        }
    }

    fn whole(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.values().filter(|path| path.join("model").is_dir())
    }

    /// Ids and folders, also of what a crash left.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.iter().map(|(id, path)| (id.as_str(), path.as_path()))
    }

    /// Whether a copy has a record, whatever is in it.
    pub(super) fn has_record(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|path| path.join(RECORD).exists())
    }

    /// Whether any copy has a record.
    pub(super) fn has_records(&self) -> bool {
        self.0.keys().any(|id| self.has_record(id))
    }

    /// Takes the records from copies that will not be named any more.
    pub(super) fn retire(&self, before: &State, after: &State) {
        let is_named = |id: &str, state: &State| state.deployments.values().any(|each| each.folder == id);
        for (id, path) in self.iter() {
            if is_named(id, before) && !is_named(id, after) {
                // Where it cannot be removed, the copy is kept.
                let _kept = fs::remove_file(path.join(RECORD)).and_then(|()| sync(path));
            }
        }
    }

    /// Brings the record of every copy that a state names up to date. Where one cannot be written, the caller is told.
    pub(super) fn describe(&self, state: &State) {
        for (name, deployment) in &state.deployments {
            let Some(path) = self.0.get(&deployment.folder) else { continue };
            let weight = |(endpoint, weights): (&String, &super::Endpoint)| {
                Some((endpoint.clone(), *weights.traffic.get(name)?))
            };
            let endpoints = state.endpoints.iter().filter_map(weight).collect();
            let record = Record { name: name.clone(), deployment: deployment.clone(), endpoints };
            if Record::read(path).ok().as_ref() == Some(&record) {
                continue;
            }
            if let Err(error) = record.write(path) {
                call::warn(format!(
                    "the change was made; but where `state.json` is lost, `{name}` cannot be made anew as it is: {}",
                    error.message()
                ));
            }
        }
    }
}

impl Record {
    /// The record of a copy.
    ///
    /// # Errors
    /// Where there is none, or it is damaged.
    pub(super) fn read(copy: &Path) -> io::Result<Self> {
        let bytes = file::read(&copy.join(RECORD), MAX_LEN)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }

    fn write(&self, copy: &Path) -> Result<()> {
        let (path, unfinished) = (copy.join(RECORD), copy.join(UNFINISHED_RECORD));
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::internal(format!("failed to write down a deployment: {error}")))?;
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync(copy)
        };
        write().map_err(|error| {
            let _left_for_the_next_time = fs::remove_file(&unfinished);
            fault("write", &path, &error)
        })
    }
}
