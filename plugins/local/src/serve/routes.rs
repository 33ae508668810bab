//! The four paths of MLflow's scoring server, and what is written down of each request.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mlflow_deploy_plugin_api::Payload;
use mlflow_deploy_plugin_api::call::{self, Level};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answers::{Refused, as_json, detail};
use super::exchange::Exchange;
use super::hosts::Hosts;
use super::limits::{Limits, Room, in_time, read};
use super::worker::Worker;
use crate::loaded_model::LoadedModel;

/// The version of MLflow whose protocol is spoken. Its server answers it at `/version`.
const MLFLOW: &str = "3.17.2";

/// What requests are answered with.
pub(super) struct Server {
    model: Served,
    limits: Limits,
    hosts: Hosts,
    /// One permit for each request that is taken on.
    places: Arc<Semaphore>,
    room: Room,
}

/// Where the model runs.
pub(super) enum Served {
    /// In a process of its own.
    Apart(Arc<Worker>),
    /// Where the server runs, or in a Python that it has started.
    Here(Arc<LoadedModel>),
}

/// Who sent a request.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Server {
    pub(super) fn new(model: Served, limits: Limits, hosts: Hosts) -> Self {
        let places = Arc::new(Semaphore::new(limits.max_requests.min(Semaphore::MAX_PERMITS)));
        Self { model, limits, hosts, places, room: Room::new(limits.max_request_bytes) }
    }

    async fn predict(&self, inputs: Payload, until: Instant) -> Result<Payload, Refused> {
        Ok(match &self.model {
            Served::Apart(worker) => Arc::clone(worker).predict(inputs, until).await?,
            Served::Here(deployed) => Arc::clone(deployed).predict_one_of_many(inputs).await?,
        })
    }
}

/// The paths, with everything around them.
pub(super) fn router(server: Server) -> Router {
    let server = Arc::new(server);
    // A route for GET answers HEAD as well, which MLflow's server refuses.
    Router::new()
        .route("/ping", get(ping).head(only_get).fallback(only_get))
        .route("/health", get(ping).head(only_get).fallback(only_get))
        .route("/version", get(version).head(only_get).fallback(only_get))
        .route("/invocations", post(invocations).fallback(only_post))
        .fallback(async || detail(StatusCode::NOT_FOUND))
        .layer(from_fn(in_time))
        .layer(from_fn_with_state(Arc::clone(&server), known_host))
        .layer(from_fn(log))
        .with_state(server)
}

async fn ping() -> Response {
    as_json(StatusCode::OK, "\n")
}

async fn version() -> Response {
    as_json(StatusCode::OK, MLFLOW)
}

/// Predicts. A request that is taken on waits for a session as long as its time lasts; its place and its memory are free
/// again when its answer has been sent.
async fn invocations(
    State(server): State<Arc<Server>>,
    Extension(exchange): Extension<Exchange>,
    request: Request,
) -> Result<Response, Refused> {
    let limits = &server.limits;
    let place = Arc::clone(&server.places).try_acquire_owned();
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    // What is refused for another reason is read as well, so that its client reads the answer; but none of it is kept.
    let is_heard = place.is_ok() && content_type.is_some();
    let body = read(request, if is_heard { limits.max_request_bytes } else { 0 }, &server.room).await;
    exchange.hold(place.map_err(|_full| Refused::Busy(limits.max_requests))?);
    let content_type = content_type.ok_or(Refused::NoContentType)?;
    let (body, mut room) = body?;
    let inputs = Payload::new(String::from_utf8_lossy(content_type.as_bytes()), body);
    let predicted = server.predict(inputs, exchange.begin()).await?.into_bytes();
    // The inputs are gone.
    if !server.room.fit(&mut room, predicted.len()) {
        return Err(Refused::Full);
    }
    if let Some(room) = room {
        exchange.hold(room);
    }
    Ok(([(CONTENT_TYPE, "application/json")], predicted).into_response())
}

/// Refuses what was meant for another server.
async fn known_host(State(server): State<Arc<Server>>, request: Request, next: Next) -> Result<Response, Refused> {
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
    let mut answer = detail(StatusCode::METHOD_NOT_ALLOWED);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    answer
}

/// The access log: who asked for what, what it was answered, and how long that took. A query may hold a secret.
async fn log(Extension(Peer(peer)): Extension<Peer>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let asked = format!("{} {} {:?}", request.method(), request.uri().path(), request.version());
    let answer = next.run(request).await;
    let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
    call::log(Level::Info, format!("{peer} - \"{asked}\" {}, {milliseconds:.1} ms", answer.status()));
    answer
}
