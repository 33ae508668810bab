//! The way of one `run_local`: the config, the port, the model, and then requests until there are to be no more.

use std::sync::Arc;

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::{Chunks, ClientOptions, Payload, Result, TargetUri, blocking, call};
use serde_json::json;

use super::address::Address;
use super::config::ServeConfig;
use super::connections::serve;
use super::hosts::Hosts;
use super::routes::{Served, Server, router};
use super::suggestion::curl;
use super::worker::Worker;
use crate::deployments::{Deployments, Fetched};
use crate::loaded_model::LoadedModel;
use crate::model::Model;
use crate::store::Folder;

/// Serves a model until the caller gives up, and then answers what has been asked before.
///
/// # Errors
/// As for deploying the model, and where the address cannot be had.
pub(crate) async fn run(
    deployments: &Arc<Deployments>,
    request: &RunLocal,
    config: &ServeConfig,
    chunks: &mut Chunks,
) -> Result<()> {
    let deployment = config.deployment();
    deployment.check()?;
    let limits = config.limits()?;
    let address = Address::take(&config.host, config.port).await?;
    // What one left that was killed is removed before the model is copied, for there may be no room for both.
    deployments.change(|_same| Ok(())).await?;
    let fetched = deployments.fetch(&request.model_uri, request.flavor.as_deref(), &deployment).await?;
    let model_folder = fetched.folder.model();
    let model = blocking(move || Model::read(&model_folder)).await?;
    let started = match fetched.runner.python {
        Some(_) => None,
        None => Worker::start(TargetUri::parse(&request.target_uri)?, options(deployments, config, &fetched)?).await?,
    };
    let (served, folder) = match started {
        Some(worker) => (Served::Apart(worker), Kept::Fetched(fetched.folder)),
        None => {
            if fetched.runner.python.is_none() {
                call::warn(
                    "the model runs in the process of its server, for the host has no way to give it one of its own: \
                     inputs on which ONNX Runtime crashes will end both",
                );
            }
            let deployed = deployments.start(fetched, &deployment).await?.deployed;
            (Served::Here(Arc::clone(&deployed)), Kept::LoadedModel(deployed))
        }
    };
    let (listener, ip, url) = address.listen()?;
    let example = curl(&url, model.input_example()?, model.signature.as_ref());
    let names = config.allowed_hosts.iter().chain([&config.host]).map(String::as_str);
    let router = router(Server::new(served, limits, Hosts::new(ip, names)));
    chunks.send(Payload::from_json(&json!({"event": "ready", "url": url, "example": example}))?).await?;
    serve(listener, &router, limits, call::cancelled()).await;
    // A prediction that was cut off may hold the model a moment longer than this process lives.
    folder.remove();
    Ok(())
}

/// Who holds the copy of the model.
enum Kept {
    LoadedModel(Arc<LoadedModel>),
    Fetched(Folder),
}

impl Kept {
    fn remove(&self) {
        match self {
            Self::LoadedModel(deployed) => deployed.folder().remove(),
            Self::Fetched(folder) => folder.remove(),
        }
    }
}

/// The options of the client that runs the model in a process of its own: it knows whose copy it is, and no password.
fn options(deployments: &Deployments, config: &ServeConfig, fetched: &Fetched) -> Result<ClientOptions> {
    ClientOptions::new(&json!({
        "state_dir": deployments.directory().root(),
        "onnxruntime": config.onnxruntime(),
        "copy": {
            "folder": fetched.folder.id(),
            "flavor": fetched.runner.flavor,
            "config": config.deployment(),
        },
    }))
}
