//! Connections: accepted, driven, and brought to an end in good order.
//!
//! All of them are part of the one future that serves, so that dropping it ends them, and so that what is said on the way
//! reaches whoever asked for the server.

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

use super::exchange::{Exchange, Stream};
use super::limits::Limits;
use super::routes::Peer;

/// How long requests that are on their way may still take when the server is to stop. The command waits a little longer.
const GRACE: Duration = Duration::from_secs(4);

/// How long a client may take to send the head of a request, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(30);

/// How long a head may be, and how much of an answer hyper keeps before it sends it.
const MAX_BUFFER: usize = 64 << 10;

/// How many connections there may be besides those of the requests that are taken on.
const MAX_IDLE: usize = 1024;

/// How long to wait where the system has no connection to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready, and then as long as there are requests to answer, but no longer than [`GRACE`].
///
/// A request may take as long as the limits say; the head alone gets no more than [`HEAD`] of that.
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
    // Who connects now is refused, and sees that nobody is there.
    drop(listener);
    stopping.send_replace(true);
    let all_done = async { while connections.next().await.is_some() {} };
    if timeout(GRACE, all_done).await.is_err() {
        call::warn(format!(
            "{} requests took longer than {} s to finish, and were cut off",
            connections.len(),
            GRACE.as_secs()
        ));
    }
}

/// The next connection. It goes on where the system has none to give, such as with too many open files.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                call::warn(format!(
                    "failed to accept a connection: {error}; the next try is in {} ms",
                    PAUSE.as_millis()
                ));
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Answers the requests of a connection, one after the other.
async fn drive(
    stream: TcpStream,
    peer: SocketAddr,
    router: &Router,
    limit: Duration,
    mut is_stopping: watch::Receiver<bool>,
) {
    // Answers are small, and are not to wait for more.
    let _a_wish = stream.set_nodelay(true);
    let exchange = Exchange::new(limit);
    let service = service_fn(async |mut request: Request<Incoming>| {
        // One that came together with the one before it begins now.
        exchange.begin();
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(exchange.clone());
        router.clone().call(request.map(Body::new)).await.map(|answer| exchange.watched(answer))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limit.min(HEAD)).max_buf_size(MAX_BUFFER);
    let stream = TokioIo::new(Stream { stream, exchange: exchange.clone() });
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
    let why = tokio::select! {
        ended = ended => ended.err().map(|error| error.to_string()),
        () = exchange.expired() => Some("the answer was not read in time, and is dropped".to_owned()),
    };
    if let Some(why) = why {
        call::log(Level::Info, format!("{peer} - {why}"));
    }
}
