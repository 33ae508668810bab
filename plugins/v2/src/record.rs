//! The records of deployments. A deployment is a model that the server has loaded, or failed to load.

use mlflow_deploy_http::Response;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Payload, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::METADATA;

/// The content that the response with the index of a repository must have, as named in error messages.
pub(crate) const INDEX: &str = "the index of a model repository";

/// One version of a model in the index of a repository.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct IndexEntry {
    pub(crate) name: String,
    #[serde(default)]
    version: Option<String>,
    /// The state of the version. Triton leaves it out for a model that was never loaded.
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// The record of a deployment in a list.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct DeploymentRecord {
    pub(crate) name: String,
    /// The state of the most advanced version, such as `READY`.
    pub(crate) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    pub(crate) versions: Vec<String>,
}

impl IndexEntry {
    /// Returns the entry of a loaded model that the index does not have.
    pub(crate) fn ready(name: String, version: Option<String>) -> Self {
        Self { name, version, state: Some(READY.to_owned()), reason: None }
    }

    /// Returns true if the version is loaded, is being loaded, or failed to load.
    pub(crate) fn is_deployed(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        match self.state.as_deref() {
            None | Some("UNLOADING") => false,
            Some("UNAVAILABLE") => !matches!(reason, "" | "unloaded"),
            Some(_) => true,
        }
    }
}

const READY: &str = "READY";

/// Returns a record for each deployed model in the entries of an index, in the order of the index. Logs the models that
/// are in the repository and not loaded.
pub(crate) fn deployed(entries: Vec<IndexEntry>) -> Vec<DeploymentRecord> {
    let mut records: Vec<DeploymentRecord> = Vec::new();
    let mut others = Vec::new();
    for entry in entries {
        if !entry.is_deployed() {
            others.push(format!("`{}`", entry.name));
            continue;
        }
        let state = entry.state.unwrap_or_default();
        let reason = entry.reason.filter(|reason| !reason.is_empty());
        let position = records.iter().position(|record| record.name == entry.name);
        let index = position.unwrap_or_else(|| {
            let (name, state, reason) = (entry.name, state.clone(), reason.clone());
            records.push(DeploymentRecord { name, state, reason, versions: Vec::new() });
            records.len() - 1
        });
        let record = &mut records[index];
        record.versions.extend(entry.version.filter(|version| !version.is_empty()));
        if state == READY && record.state != READY {
            (record.state, record.reason) = (state, reason);
        }
    }
    if !others.is_empty() {
        let message = format!(
            "the server's repository also has {}, not loaded; `invoke repository-index` lists all models",
            others.join(", ")
        );
        call::log(Level::Info, message);
    }
    records
}

/// Returns the record of one deployment: the metadata that the server sent, and if the model is ready.
pub(crate) fn single(response: &Response, name: &str, is_ready: bool) -> Result<Payload> {
    let mut record: Map<String, Value> = response.parse(METADATA)?;
    record.insert("name".to_owned(), name.into());
    record.insert("ready".to_owned(), is_ready.into());
    Payload::from_json(&record)
}

/// The record of a deployment that was created or changed.
#[derive(Debug, Serialize)]
pub(crate) struct ChangedRecord<'a> {
    pub(crate) name: &'a str,
    pub(crate) flavor: Option<&'a str>,
    pub(crate) state: &'a str,
}

impl<'a> ChangedRecord<'a> {
    /// Returns the record of a deployment that answers predictions.
    pub(crate) fn ready(name: &'a str, flavor: Option<&'a str>) -> Self {
        Self { name, flavor, state: READY }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_index_becomes_a_record_for_each_loaded_model() {
        let entries = json!([
            {"name": "a", "version": "1", "state": "UNAVAILABLE", "reason": "the file is broken"},
            {"name": "b", "version": "v1", "state": "READY", "reason": ""},
            {"name": "a", "version": "2", "state": "READY"},
            {"name": "c", "version": "", "state": "LOADING"},
            {"name": "d"},
            {"name": "e", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"},
            {"name": "f", "version": "1", "state": "UNLOADING"},
            {"name": "g", "version": "1", "state": "UNAVAILABLE", "reason": ""},
            {"name": "h", "version": "1", "state": "UNAVAILABLE", "reason": "no backend"},
        ]);
        let records = deployed(serde_json::from_value(entries).unwrap());
        let expected = json!([
            {"name": "a", "state": "READY", "versions": ["1", "2"]},
            {"name": "b", "state": "READY", "versions": ["v1"]},
            {"name": "c", "state": "LOADING", "versions": []},
            {"name": "h", "state": "UNAVAILABLE", "reason": "no backend", "versions": ["1"]},
        ]);
        assert_eq!(serde_json::to_value(records).unwrap(), expected);
    }
}
