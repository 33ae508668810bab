//! Tests that send requests to a scripted server.

mod downloading;
mod encodings;
mod paging;
mod proxies;
mod secrets;
mod sending;
mod streaming;
mod tls;

use std::net::TcpListener;
use std::time::Duration;

use http::Method;
use http::header::AUTHORIZATION;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use mlflow_deploy_test_support::server::{Answer, Server};
use url::Url;

use crate::{Backoff, Client, Connection, Credentials, Policy, Request, Response, send};

/// The token that the tests send in their requests. No error may contain it.
const TOKEN: &str = "dapi-0123456789";

/// Returns a policy with two retries and no waits before them.
pub(crate) fn policy() -> Policy {
    Policy { max_retries: 2, backoff: Backoff::Mlflow { factor: 0.0, jitter: 0.0 }, ..Policy::default() }
}

pub(crate) fn request(method: Method, url: &str) -> Request {
    let body = if method == Method::POST { "{\"x\": NaN}" } else { "" };
    request_with_body(method, url, body)
}

fn request_with_body(method: Method, url: &str, body: &'static str) -> Request {
    let token = Credentials::Bearer(Secret::new(TOKEN)).header().unwrap();
    crate::request(method, &Url::parse(url).unwrap(), [(AUTHORIZATION, token)].into_iter().collect(), body).unwrap()
}

/// Sends one request to a server that sends these answers. Returns the result and the number of attempts.
async fn send_to(
    method: Method,
    answers: impl IntoIterator<Item = Answer>,
    policy: &Policy,
) -> (Result<Response>, usize) {
    let server = Server::start(answers);
    let result = get(&server, method, policy).await;
    (result, server.requests().len())
}

async fn get(server: &Server, method: Method, policy: &Policy) -> Result<Response> {
    let client = Client::new(Connection::default());
    let result = send(&client, &request(method, &format!("{}/p?q=1", server.url())), policy).await;
    if let Err(error) = &result {
        assert_no_secret(error);
    }
    result
}

pub(crate) fn assert_no_secret(error: &Error) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("q=1"), "{shown}");
}

/// Returns a URL with a closed port, to which connections fail.
pub(crate) fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/p?q=1", listener.local_addr().unwrap())
}

/// A timeout that is long enough for a request to arrive, even on a busy machine.
const SHORT: Duration = Duration::from_secs(2);
/// A time limit that is longer than any test takes.
const LONG: Duration = Duration::from_secs(60);
