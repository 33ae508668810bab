//! Accepts, drives and closes the server's connections.
//!
//! All connections run in one future. Dropping the future closes them. Log messages about the connections are sent to
//! the caller of `run_local`.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mlflow_deploy_plugin_api::call::{self, Level};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use super::exchange::{Exchange, TrackedStream};
use super::limits::Limits;
use super::routes::Peer;

/// The maximum time to finish current requests after the server was told to stop. The command line program waits
/// slightly longer for the server to end.
const GRACE: Duration = Duration::from_secs(4);

/// The maximum time for a client to send the head of a request. A connection may also be idle for this time at most.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum size of a request's head, and of hyper's buffer for a response, in bytes.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// The maximum number of idle connections, in addition to one connection for each concurrent request.
const MAX_IDLE: usize = 1024;

/// The pause before the server tries again after it failed to accept a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections and answers their requests until `stop` completes. Then closes the listener, and waits at most
/// [`GRACE`] for current requests.
///
/// Each request must comply with `limits`. Its head must arrive within [`HEAD_TIMEOUT`].
pub(super) async fn serve(listener: TcpListener, router: &Router, limits: Limits, stop: impl Future<Output = ()>) {
    let max_connections = limits.max_requests.saturating_add(MAX_IDLE);
    let (stopping, is_stopping) = watch::channel(false);
    let mut connections = FuturesUnordered::new();
    {
        let mut stop = pin!(stop);
        let mut accepted = pin!(accept(&listener));
        loop {
            tokio::select! {
                () = &mut stop => break,
                (stream, peer) = &mut accepted, if connections.len() < max_connections => {
                    connections.push(drive(stream, peer, router, limits.timeout, is_stopping.clone()));
                    accepted.set(accept(&listener));
                }
                Some(()) = connections.next(), if !connections.is_empty() => {}
            }
        }
    }
    // Closes the listener, so that new connections are refused.
    drop(listener);
    stopping.send_replace(true);
    let all_done = async { while connections.next().await.is_some() {} };
    if timeout(GRACE, all_done).await.is_err() {
        call::warn(format!(
            "{} requests did not finish within {} s and were cut off",
            connections.len(),
            GRACE.as_secs()
        ));
    }
}

/// Accepts a connection. Tries again if the system reports an error, such as too many open files.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                call::warn(format!("failed to accept a connection: {error}; retrying in {} ms", PAUSE.as_millis()));
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_client_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Answers all requests of one connection, one after the other.
async fn drive(
    stream: TcpStream,
    peer: SocketAddr,
    router: &Router,
    limit: Duration,
    mut is_stopping: watch::Receiver<bool>,
) {
    // Responses are small: they are sent at once. A failure only delays them.
    let _ignored = stream.set_nodelay(true);
    let exchange = Exchange::new(limit);
    let service = service_fn(async |mut request: Request<Incoming>| {
        // A request whose bytes arrived together with the previous one begins now.
        exchange.begin();
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(exchange.clone());
        router.clone().call(request.map(Body::new)).await.map(|response| exchange.track(response))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limit.min(HEAD_TIMEOUT)).max_buf_size(MAX_BUFFER_BYTES);
    let stream = TokioIo::new(TrackedStream { stream, exchange: exchange.clone() });
    let mut connection = pin!(http.serve_connection(stream, service));
    let ended = async {
        tokio::select! {
            ended = &mut connection => ended,
            () = async { drop(is_stopping.wait_for(|is_stopping| *is_stopping).await) } => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    let reason = tokio::select! {
        ended = ended => ended.err().map(|error| error.to_string()),
        () = exchange.expired() => Some("the client did not read the response in time: connection closed".to_owned()),
    };
    if let Some(reason) = reason {
        call::log(Level::Info, format!("{peer} - {reason}"));
    }
}
