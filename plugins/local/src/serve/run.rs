//! The way of one `run_local`: the config, the port, the model, and then requests until there are to be no more.

use std::sync::Arc;

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::{Chunks, Payload, Result, call};
use serde_json::json;

use super::address::Address;
use super::config::ServeConfig;
use super::connections::serve;
use super::routes::{Server, router};
use super::suggestion::curl;
use crate::deployments::Deployments;

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
    let prepared = deployments.prepare(&request.model_uri, request.flavor.as_deref(), &deployment).await?;
    let deployed = prepared.deployed;
    let (listener, url) = address.listen()?;
    let example = curl(&url, deployed.model().input_example()?, deployed.model().signature.as_ref());
    let router = router(Server::new(Arc::clone(&deployed), limits));
    chunks.send(Payload::from_json(&json!({"event": "ready", "url": url, "example": example}))?).await?;
    serve(listener, &router, limits.timeout, call::cancelled()).await;
    // A prediction that was cut off may hold the model a moment longer than this process lives.
    deployed.folder().remove();
    Ok(())
}
