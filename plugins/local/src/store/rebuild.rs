//! Makes `state.json` anew from the copies of models, where it is lost. It removes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mlflow_deploy_plugin_api::{Result, blocking, call};
use serde::Serialize;

use super::copies::{Copies, Record};
use super::directory::StateDirectory;
use super::folder::Folder;
use super::state::{Deployment, Endpoint, State, now};

/// What was made anew.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rebuilt {
    deployments: Vec<String>,
    endpoints: Vec<String>,
    /// The folders of copies that are no part of it.
    left_out: Vec<String>,
}

impl StateDirectory {
    /// Makes the file anew. `flavor` is that of a copy without a record, of which only the model is known; it is deployed
    /// under a name of its own.
    ///
    /// # Errors
    /// `INVALID_STATE` where the file is there, and where the directory cannot be read or written.
    pub(crate) async fn rebuild(
        self: &Arc<Self>,
        flavor: impl Fn(&Path) -> Option<String> + Send + 'static,
    ) -> Result<Rebuilt> {
        let lock = self.lock().await?;
        let this = Arc::clone(self);
        blocking(move || {
            this.check_gone()?;
            let copies = Copies::of(&this.root)?;
            let (state, left_out) = gathered(&copies, flavor);
            this.write(&lock, &state, || {})?;
            copies.describe(&state);
            let names = |names: &BTreeMap<String, _>| names.keys().cloned().collect();
            let endpoints = state.endpoints.keys().cloned().collect();
            Ok(Rebuilt { deployments: names(&state.deployments), endpoints, left_out })
        })
        .await
    }
}

/// What the copies say is deployed, and the folders of those that say nothing.
fn gathered(copies: &Copies, flavor: impl Fn(&Path) -> Option<String>) -> (State, Vec<String>) {
    let (mut records, mut left_out) = (BTreeMap::<String, Record>::new(), Vec::new());
    for (id, path) in copies.iter() {
        let model = path.join("model");
        let mut leave_out = |why: &str| {
            call::warn(format!("`{}` is left out: {why}", path.display()));
            left_out.push(id.to_owned());
        };
        if !model.is_dir() {
            leave_out("it has no model");
            continue;
        }
        let record = match Record::read(path) {
            Ok(mut record) => {
                id.clone_into(&mut record.deployment.folder);
                record
            }
            Err(_) if Folder::is_held(path) => {
                leave_out("it has no record, and a process uses it or fills it just now");
                continue;
            }
            Err(_) => match flavor(&model) {
                Some(flavor) => unknown(id, &model, flavor),
                None => {
                    leave_out("it has no record, and is no whole model; the next change removes it");
                    continue;
                }
            },
        };
        let updated = |record: &Record| record.deployment.last_updated_timestamp;
        match records.get(&record.name) {
            Some(other) if updated(other) >= updated(&record) => leave_out(&superseded(&record.name)),
            Some(other) => {
                let other = other.deployment.folder.clone();
                call::warn(format!("`{other}` is left out: {}", superseded(&record.name)));
                left_out.push(other);
                records.insert(record.name.clone(), record);
            }
            None => drop(records.insert(record.name.clone(), record)),
        }
    }
    let mut state = State::default();
    for (name, Record { deployment, endpoints, .. }) in records {
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

/// A deployment of which only the model is known.
fn unknown(id: &str, model: &Path, flavor: String) -> Record {
    let name = format!("recovered-{id}");
    call::warn(format!("`{}` has no record: it is deployed as `{name}`, with no config", model.display()));
    let deployment = Deployment {
        revision: id.to_owned(),
        folder: id.to_owned(),
        model_uri: model.display().to_string(),
        model_version: None,
        flavor,
        config: crate::engine_config::DeploymentConfig::default(),
        python: None,
        creation_timestamp: now(),
        last_updated_timestamp: now(),
    };
    Record { name, deployment, endpoints: BTreeMap::new() }
}
