//! The extension of the protocol for a repository of models: lists, loads and unloads models.

use std::time::Duration;

use bytes::Bytes;
use mlflow_deploy_http::{Policy, Response};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use serde::Deserialize;

use crate::api::{Api, METADATA, ModelPath};
use crate::missing;
use crate::record::{INDEX, IndexEntry};

/// The body of a request without settings.
const EMPTY: &str = "{}";

/// The wait between two requests for the state of a model that is being loaded.
const POLL: Duration = Duration::from_millis(250);

/// The part of Triton's message, with the status 500, if its repository does not have a model.
const NOT_IN_REPOSITORY: &str = "failed to poll from model repository";

/// The part of Triton's message if a server was started without the permission to load models.
const FIXED: &str = "explicit model load / unload is not allowed";

/// Requests the index of the repository.
///
/// # Errors
/// `NOT_IMPLEMENTED` if the server does not have the extension.
pub(crate) async fn index(api: &Api, policy: &Policy) -> Result<Response> {
    match api.repository("index", EMPTY, policy).await {
        Err(error) if is_no_route(&error) => Err(no_repository(api, error, policy).await),
        result => result,
    }
}

/// Returns the entries of the repository's index, and the loaded models that the index does not have. Returns the
/// loaded models of a server that lists only these.
///
/// # Errors
/// `NOT_IMPLEMENTED` if the server lists no models.
pub(crate) async fn entries(api: &Api, policy: &Policy) -> Result<Vec<IndexEntry>> {
    let index = match index(api, policy).await {
        Ok(index) => index,
        Err(error) if error.code() == &ErrorCode::NOT_IMPLEMENTED => {
            return loaded_models(api, policy).await?.ok_or(error);
        }
        Err(error) => return Err(error),
    };
    let mut entries: Vec<IndexEntry> = index.parse(INDEX)?;
    if api.server(policy).await?.has_statistics() {
        // Triton's index does not have the models that were sent in load requests.
        for (name, version) in models_with_statistics(api, policy).await? {
            if !entries.iter().any(|entry| entry.name == name) {
                entries.push(IndexEntry::ready(name, version));
            }
        }
    }
    Ok(entries)
}

/// Loads a model, and waits until it answers predictions. `body` is the body of the load request, or `None` to load the
/// model from the server's repository.
pub(crate) async fn load(api: &Api, name: &str, body: Option<Bytes>, policy: &Policy) -> Result<()> {
    let model = ModelPath::new(name, None)?;
    let is_sent = body.is_some();
    let body = body.unwrap_or_else(|| Bytes::from_static(EMPTY.as_bytes()));
    let route = format!("models/{}/load", mlflow_deploy_http::encode_segment(name)?);
    // Triton answers 500 if a model cannot be loaded. The next attempt would fail in the same way.
    let once = Policy { repeat_post: false, ..policy.clone() };
    if let Err(error) = api.repository(&route, body, &once).await {
        return Err(match error.http() {
            Some(http) if http.body.contains(FIXED) => fixed(&error),
            Some(http) if !is_sent && (http.status == 404 || http.body.contains(NOT_IN_REPOSITORY)) => Error::new(
                ErrorCode::RESOURCE_DOES_NOT_EXIST,
                format!("the server's repository has no model `{name}`: {}", error.message()),
            )
            .with_http(http.clone()),
            _ => error,
        });
    }
    while !api.is_ready(&model, policy).await? {
        if policy.deadline.is_some_and(|deadline| deadline.is_within(POLL)) {
            let message =
                format!("the server loaded `{name}`, but the model is not ready; raise `timeout` to wait longer");
            return Err(Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Unloads a model. Succeeds if it is not loaded.
///
/// # Errors
/// `NOT_IMPLEMENTED` if the server does not have the extension.
pub(crate) async fn unload(api: &Api, name: &str, policy: &Policy) -> Result<()> {
    let route = format!("models/{}/unload", mlflow_deploy_http::encode_segment(name)?);
    match api.repository(&route, EMPTY, policy).await {
        Ok(_) => Ok(()),
        Err(error) if error.http().is_some_and(|http| http.body.contains(FIXED)) => Err(fixed(&error)),
        Err(error) if missing::is_not_loaded(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns true if an error says that the server does not have the requested route.
fn is_no_route(error: &Error) -> bool {
    matches!(error.http_status(), Some(404 | 405 | 501))
}

/// Returns the error for a server without the extension. `error` is its answer to a request for the index.
async fn no_repository(api: &Api, error: Error, policy: &Policy) -> Error {
    let server = match api.server(policy).await {
        Ok(server) => server.shown(),
        Err(_unknown) => "the server".to_owned(),
    };
    let message = format!(
        "{server} has no model repository, and cannot load or unload models: deploy them with the tool that started the \
         server, such as KServe's `InferenceService`: {}",
        error.message()
    );
    with_http(Error::new(ErrorCode::NOT_IMPLEMENTED, message), &error)
}

/// Returns the error for a Triton server whose models are fixed.
fn fixed(error: &Error) -> Error {
    let message = format!(
        "the server does not load or unload models: start it with `--model-control-mode=explicit`: {}",
        error.message()
    );
    with_http(Error::new(ErrorCode::NOT_IMPLEMENTED, message), error)
}

fn with_http(error: Error, cause: &Error) -> Error {
    match cause.http() {
        Some(http) => error.with_http(http.clone()),
        None => error,
    }
}

/// Returns the loaded models of a server with a route that lists their names, as KServe has. Returns `None` if the
/// server does not have the route.
async fn loaded_models(api: &Api, policy: &Policy) -> Result<Option<Vec<IndexEntry>>> {
    #[derive(Deserialize)]
    struct Models {
        models: Vec<String>,
    }
    match api.get("/v2/models", policy).await {
        Ok(response) => {
            let Models { models } = response.parse(METADATA)?;
            Ok(Some(models.into_iter().map(|name| IndexEntry::ready(name, None)).collect()))
        }
        Err(error) if is_no_route(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the name and the version of each model about which the server has statistics: those that are loaded.
async fn models_with_statistics(api: &Api, policy: &Policy) -> Result<Vec<(String, Option<String>)>> {
    #[derive(Deserialize)]
    struct Statistics {
        model_stats: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        name: String,
        version: Option<String>,
    }
    let response = api.get("/v2/models/stats", policy).await?;
    let Statistics { model_stats } = response.parse("the statistics of models")?;
    Ok(model_stats.into_iter().map(|model| (model.name, model.version)).collect())
}
