//! The four paths of MLflow's scoring server, and what is written down of each request.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::FutureExt;
use mlflow_deploy_plugin_api::Payload;
use mlflow_deploy_plugin_api::call::{self, Level};
use tokio::sync::Semaphore;

use super::answers::{Refused, as_json, detail};
use super::limits::{Limits, Room, in_time, read};
use crate::deployed::Deployed;

/// The version of MLflow whose protocol is spoken. Its server answers it at `/version`.
const MLFLOW: &str = "3.17.2";

/// What requests are answered with.
pub(super) struct Server {
    deployed: Arc<Deployed>,
    pub(super) limits: Limits,
    /// One permit for each request that is taken on.
    places: Semaphore,
    room: Room,
}

/// Who sent a request.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Server {
    pub(super) fn new(deployed: Arc<Deployed>, limits: Limits) -> Self {
        let places = Semaphore::new(limits.max_requests.min(Semaphore::MAX_PERMITS));
        Self { deployed, limits, places, room: Room::new(limits.max_request_bytes) }
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
        .layer(from_fn_with_state(Arc::clone(&server), in_time))
        .layer(from_fn(log))
        .with_state(server)
}

async fn ping() -> Response {
    as_json(StatusCode::OK, "\n")
}

async fn version() -> Response {
    as_json(StatusCode::OK, MLFLOW)
}

/// Predicts. A request that is taken on waits for a session as long as its time lasts.
async fn invocations(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Refused> {
    let limits = &server.limits;
    let place = server.places.try_acquire();
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    // What is refused for another reason is read as well, so that its client reads the answer; but none of it is kept.
    let is_heard = place.is_ok() && content_type.is_some();
    let body = read(request, if is_heard { limits.max_request_bytes } else { 0 }, &server.room).await;
    let _place = place.map_err(|_full| Refused::Busy(limits.max_requests))?;
    let content_type = content_type.ok_or(Refused::NoContentType)?;
    let (body, _room) = body?;
    let inputs = Payload::new(String::from_utf8_lossy(content_type.as_bytes()), body);
    let predicted = AssertUnwindSafe(Arc::clone(&server.deployed).predict(inputs)).catch_unwind().await;
    let predicted = predicted.map_err(|panic| {
        // It is one request's: the others go on.
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let message = text.unwrap_or("without a message");
        call::log(Level::Error, format!("a prediction panicked: {message}"));
        Refused::Panicked
    })??;
    Ok(([(CONTENT_TYPE, "application/json")], predicted.into_bytes()).into_response())
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
