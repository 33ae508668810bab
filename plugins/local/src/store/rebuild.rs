//! Rebuilds a lost `state.json` from the copied models. Removes no files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mlflow_deploy_plugin_api::{Result, blocking, call};
use serde::Serialize;

use super::copies::{Copies, CopyRecord};
use super::directory::StateDirectory;
use super::folder::Folder;
use super::state::{Deployment, Endpoint, State, now};
use crate::config::DeploymentConfig;

/// The result of a rebuild: the names of the restored deployments and endpoints.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rebuilt {
    deployments: Vec<String>,
    endpoints: Vec<String>,
    /// The names of the folders in `models/` that were skipped.
    left_out: Vec<String>,
}

impl StateDirectory {
    /// Rebuilds `state.json` from the copied models. Deploys a model that has no record under a generated name.
    /// `flavor` returns the flavor of such a model, or `None` if the model is not complete.
    ///
    /// # Errors
    /// `INVALID_STATE` if the file exists. Also fails if the directory cannot be read or written.
    pub(crate) async fn rebuild(
        self: &Arc<Self>,
        flavor: impl Fn(&Path) -> Option<String> + Send + 'static,
    ) -> Result<Rebuilt> {
        let lock = self.lock().await?;
        let this = Arc::clone(self);
        blocking(move || {
            this.check_missing()?;
            let copies = Copies::of(&this.root)?;
            let (state, left_out) = collect(&copies, flavor);
            this.write(&lock, &state, || {})?;
            copies.write_records(&state);
            let names = |names: &BTreeMap<String, _>| names.keys().cloned().collect();
            let endpoints = state.endpoints.keys().cloned().collect();
            Ok(Rebuilt { deployments: names(&state.deployments), endpoints, left_out })
        })
        .await
    }
}

/// Builds a state from the records of the copied models. Returns the state, and the names of the folders that were
/// skipped.
fn collect(copies: &Copies, flavor: impl Fn(&Path) -> Option<String>) -> (State, Vec<String>) {
    let (mut records, mut left_out) = (BTreeMap::<String, CopyRecord>::new(), Vec::new());
    for (id, path) in copies.iter() {
        let model = path.join("model");
        let mut skip = |reason: &str| {
            call::warn(format!("skipping `{}`: {reason}", path.display()));
            left_out.push(id.to_owned());
        };
        if !model.is_dir() {
            skip("it has no model");
            continue;
        }
        let record = match CopyRecord::read(path) {
            Ok(mut record) => {
                id.clone_into(&mut record.deployment.folder);
                record
            }
            Err(_) if Folder::is_held(path) => {
                skip("it has no record, and a process is using or filling it");
                continue;
            }
            Err(_) => match flavor(&model) {
                Some(flavor) => recovered(id, &model, flavor),
                None => {
                    skip("it has no record and is not a complete model; the next change removes it");
                    continue;
                }
            },
        };
        let updated = |record: &CopyRecord| record.deployment.last_updated_timestamp;
        match records.get(&record.name) {
            Some(other) if updated(other) >= updated(&record) => skip(&superseded(&record.name)),
            Some(other) => {
                let other = other.deployment.folder.clone();
                call::warn(format!("skipping `{other}`: {}", superseded(&record.name)));
                left_out.push(other);
                records.insert(record.name.clone(), record);
            }
            None => drop(records.insert(record.name.clone(), record)),
        }
    }
    let mut state = State::default();
    for (name, CopyRecord { deployment, endpoints, .. }) in records {
        for (endpoint, weight) in endpoints {
            let now = now();
            let fresh = || Endpoint { creation_timestamp: now, last_updated_timestamp: now, ..Endpoint::default() };
            state.endpoints.entry(endpoint).or_insert_with(fresh).traffic.insert(name.clone(), weight);
        }
        state.deployments.insert(name, deployment);
    }
    (state, left_out)
}

fn superseded(name: &str) -> String {
    format!("another copy of the model of `{name}` is newer")
}

/// Creates a record for a copied model that has none.
fn recovered(id: &str, model: &Path, flavor: String) -> CopyRecord {
    let name = format!("recovered-{id}");
    call::warn(format!("`{}` has no record: deploying it as `{name}`, without a config", model.display()));
    let deployment = Deployment {
        revision: id.to_owned(),
        folder: id.to_owned(),
        model_uri: model.display().to_string(),
        model_version: None,
        flavor,
        config: DeploymentConfig::default(),
        python: None,
        creation_timestamp: now(),
        last_updated_timestamp: now(),
    };
    CopyRecord { name, deployment, endpoints: BTreeMap::new() }
}
