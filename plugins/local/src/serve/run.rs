//! Runs the server of `run_local`: binds the address, loads the model, and answers requests until the call is
//! cancelled.

use std::sync::Arc;

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::{Chunks, ClientOptions, Payload, Result, TargetUri, blocking, call};
use serde_json::json;

use super::address::BoundAddress;
use super::config::ServeConfig;
use super::connections::serve;
use super::hosts::Hosts;
use super::routes::{ServedModel, ServerState, router};
use super::suggestion::curl;
use super::worker::Worker;
use crate::deployment::{Deployments, FetchedModel, LoadedModel};
use crate::model::Model;
use crate::store::Folder;

/// Serves a model until the call is cancelled. Then finishes the requests that have begun.
///
/// # Errors
/// Fails if the model cannot be loaded, or if the address cannot be bound.
pub(crate) async fn run(
    deployments: &Arc<Deployments>,
    request: &RunLocal,
    config: &ServeConfig,
    chunks: &mut Chunks,
) -> Result<()> {
    let deployment = config.deployment();
    deployment.check()?;
    let limits = config.limits()?;
    let address = BoundAddress::bind(&config.host, config.port).await?;
    // The copies of killed servers are removed first, because the disk may not have space for both.
    deployments.change(|_same| Ok(())).await?;
    let fetched = deployments.fetch(&request.model_uri, request.flavor.as_deref(), &deployment).await?;
    let model_folder = fetched.folder.model();
    let model = blocking(move || Model::read(&model_folder)).await?;
    let started = match fetched.runner.python {
        Some(_) => None,
        None => Worker::start(TargetUri::parse(&request.target_uri)?, options(deployments, config, &fetched)?).await?,
    };
    let (served, folder) = match started {
        Some(worker) => (ServedModel::Isolated(worker), CopyHolder::Folder(fetched.folder)),
        None => {
            if fetched.runner.python.is_none() {
                call::warn(
                    "the model runs in the server's process, because the host cannot start a separate one: inputs that \
                     crash ONNX Runtime end the server",
                );
            }
            let deployed = deployments.start(fetched).await?.deployed;
            (ServedModel::Direct(Arc::clone(&deployed)), CopyHolder::LoadedModel(deployed))
        }
    };
    let (listener, ip, url) = address.listen()?;
    let example = curl(&url, model.input_example()?, model.signature.as_ref());
    let names = config.allowed_hosts.iter().chain([&config.host]).map(String::as_str);
    let router = router(ServerState::new(served, limits, Hosts::new(ip, names)));
    chunks.send(Payload::from_json(&json!({"event": "ready", "url": url, "example": example}))?).await?;
    serve(listener, &router, limits, call::cancelled()).await;
    // The folder is removed explicitly, because a cut-off prediction may hold the model until the process has ended.
    folder.remove();
    Ok(())
}

/// The value that holds the lock of the copied model, so that other processes do not remove the copy.
enum CopyHolder {
    Folder(Folder),
    LoadedModel(Arc<LoadedModel>),
}

impl CopyHolder {
    fn remove(&self) {
        match self {
            Self::Folder(folder) => folder.remove(),
            Self::LoadedModel(deployed) => deployed.folder().remove(),
        }
    }
}

/// Returns the client options for the separate process that runs the model. They contain no credentials.
fn options(deployments: &Deployments, config: &ServeConfig, fetched: &FetchedModel) -> Result<ClientOptions> {
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
