//! Serves the four paths of MLflow's scoring server, and logs each request.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Payload, blocking};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::content_coding::ContentCoding;
use super::exchange::Exchange;
use super::hosts::Hosts;
use super::limits::{Limits, MemoryBudget, enforce_timeout, read_body};
use super::rejection::{Rejection, as_json, detail};
use super::worker::Worker;
use crate::deployment::LoadedModel;

/// The version of MLflow whose protocol this server implements. The server returns it as the response to `/version`.
const MLFLOW_VERSION: &str = "3.17.2";

/// The state of the server, which all requests share.
pub(super) struct ServerState {
    model: ServedModel,
    limits: Limits,
    hosts: Hosts,
    /// A semaphore that limits the number of concurrent prediction requests.
    slots: Arc<Semaphore>,
    memory: MemoryBudget,
}

/// The model that the server serves.
pub(super) enum ServedModel {
    /// This process runs the model with ONNX Runtime, or forwards requests to MLflow's scoring server in a Python
    /// process.
    Direct(Arc<LoadedModel>),
    /// A separate process runs the model with ONNX Runtime, so that a crash does not end this server.
    Isolated(Arc<Worker>),
}

/// The address of the client that sent a request.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl ServerState {
    pub(super) fn new(model: ServedModel, limits: Limits, hosts: Hosts) -> Self {
        let slots = Arc::new(Semaphore::new(limits.max_requests.min(Semaphore::MAX_PERMITS)));
        Self { model, limits, hosts, slots, memory: MemoryBudget::new(limits.max_request_bytes) }
    }

    async fn predict(&self, inputs: Payload, until: Instant) -> Result<Payload, Rejection> {
        Ok(match &self.model {
            ServedModel::Direct(deployed) => Arc::clone(deployed).predict_catching_panics(inputs).await?,
            ServedModel::Isolated(worker) => Arc::clone(worker).predict(inputs, until).await?,
        })
    }
}

/// Returns the router of the server. For each request, it checks the host, enforces the time limit, calls the handler
/// of the path and writes a log message.
pub(super) fn router(server: ServerState) -> Router {
    let server = Arc::new(server);
    // A route for GET also answers HEAD, which MLflow's server rejects.
    Router::new()
        .route("/ping", get(ping).head(only_get).fallback(only_get))
        .route("/health", get(ping).head(only_get).fallback(only_get))
        .route("/version", get(version).head(only_get).fallback(only_get))
        .route("/invocations", post(invocations).fallback(only_post))
        .fallback(async || detail(StatusCode::NOT_FOUND))
        .layer(from_fn(enforce_timeout))
        .layer(from_fn_with_state(Arc::clone(&server), check_host))
        .layer(from_fn(log_access))
        .with_state(server)
}

async fn ping() -> Response {
    as_json(StatusCode::OK, "\n")
}

async fn version() -> Response {
    as_json(StatusCode::OK, MLFLOW_VERSION)
}

/// Answers a request to `/invocations` with predictions. The request counts toward the limit of concurrent requests,
/// and reserves memory, until the response has been sent.
async fn invocations(
    State(server): State<Arc<ServerState>>,
    Extension(exchange): Extension<Exchange>,
    request: Request,
) -> Result<Response, Rejection> {
    let limits = &server.limits;
    let slot = Arc::clone(&server.slots).try_acquire_owned();
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let coding = ContentCoding::of(request.headers());
    // The body of a rejected request is also read, so that the client reads the response, but the body is not kept.
    let is_accepted = slot.is_ok() && content_type.is_some() && coding.is_ok();
    let body = read_body(request, if is_accepted { limits.max_request_bytes } else { 0 }, &server.memory).await;
    exchange.hold(slot.map_err(|_full| Rejection::Busy(limits.max_requests))?);
    let content_type = content_type.ok_or(Rejection::NoContentType)?;
    let coding = coding?;
    let (body, permit) = body?;
    let (body, mut permit) = match coding {
        Some(coding) => decode(Arc::clone(&server), coding, body, permit).await?,
        None => (body, permit),
    };
    let inputs = Payload::new(String::from_utf8_lossy(content_type.as_bytes()), body);
    let predicted = server.predict(inputs, exchange.begin()).await?.into_bytes();
    // The inputs have been dropped: the permit is now for the response.
    if !server.memory.resize(&mut permit, predicted.len()) {
        return Err(Rejection::OutOfMemory);
    }
    if let Some(permit) = permit {
        exchange.hold(permit);
    }
    Ok(([(CONTENT_TYPE, "application/json")], predicted).into_response())
}

/// Decompresses a body on a blocking thread.
async fn decode(
    server: Arc<ServerState>,
    coding: ContentCoding,
    body: Vec<u8>,
    mut permit: Option<OwnedSemaphorePermit>,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Rejection> {
    let decoded = blocking(move || {
        let decoded = coding.decode(body, server.limits.max_request_bytes, &server.memory, &mut permit);
        Ok(decoded.map(|body| (body, permit)))
    });
    decoded.await?
}

/// Rejects a request that is for another host, or that a web page of another site sent.
async fn check_host(
    State(server): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Result<Response, Rejection> {
    server.hosts.check(request.version(), request.uri(), request.headers())?;
    Ok(next.run(request).await)
}

async fn only_get() -> Response {
    only("GET")
}

async fn only_post() -> Response {
    only("POST")
}

fn only(method: &'static str) -> Response {
    let mut response = detail(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}

/// Logs each request with the client's address, the path, the status and the duration. Omits the query, which may
/// contain a secret.
async fn log_access(Extension(Peer(peer)): Extension<Peer>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let line = format!("{} {} {:?}", request.method(), request.uri().path(), request.version());
    let response = next.run(request).await;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    call::log(Level::Info, format!("{peer} - \"{line}\" {}, {milliseconds:.1} ms", response.status()));
    response
}
