//! Sends the requests of the library `object_store` with the HTTP client of plugins, so that TLS, proxies, deadlines,
//! retries and redaction are the same as for every other request.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use http::HeaderMap;
use http::header::{AUTHORIZATION, RANGE};
use http_body::Frame;
use http_body_util::BodyExt;
use mlflow_deploy_http::{Client, Connection, Policy, Request, exchange, hide, request};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Secret};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use url::Url;

use crate::digest::Digest;
use crate::failure::BUCKET_REGION;

/// The maximum size in bytes of a response that is not a part of a file: a page of a listing, or a token.
const MAX_ANSWER: u64 = 64 << 20;
/// The maximum number of retries of a request to the metadata service of a machine, which answers at once or not at all.
const METADATA_RETRIES: u32 = 1;
/// The maximum time to connect to a metadata service.
const METADATA_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum time without a byte from a metadata service.
const METADATA_SILENCE: Duration = Duration::from_secs(10);
/// The headers that contain credentials, besides `Authorization`.
const SECRET_HEADERS: [&str; 4] = [
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
    "x-aws-ec2-metadata-token",
    "x-identity-header",
];
/// The parameters of a URL or a form that contain credentials.
const SECRET_PARAMETERS: [&str; 8] = [
    "assertion",
    "client_assertion",
    "client_secret",
    "refresh_token",
    "sig",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-signature",
];

/// Creates the HTTP clients of object stores, and is such a client.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    client: Arc<Client>,
    /// The client for the metadata service of this machine, which is never reached through a proxy.
    metadata: Arc<Client>,
    pub(crate) policy: Policy,
    /// The advice if the metadata service does not answer, because no credentials were set.
    no_credentials: &'static str,
}

impl Connector {
    pub(crate) fn new(client: Arc<Client>, policy: &Policy, no_credentials: &'static str) -> Self {
        let mut direct = Connection::default();
        direct.connect_timeout = METADATA_CONNECT_TIMEOUT;
        let metadata = Arc::new(Client::new(direct));
        // A redirect would change the signed URL.
        let policy = Policy { follow_redirects: false, ..policy.clone() };
        Self { client, metadata, policy, no_credentials }
    }

    async fn send(&self, request: &Request) -> Result<HttpResponse, Error> {
        let is_metadata = is_metadata_service(request.url());
        let result = if is_metadata {
            let policy = Policy {
                max_retries: METADATA_RETRIES.min(self.policy.max_retries),
                silence: METADATA_SILENCE.min(self.policy.silence),
                ..self.policy.clone()
            };
            exchange(&self.metadata, request, &policy).await
        } else {
            exchange(&self.client, request, &self.policy).await
        };
        let response = match result {
            Ok(response) if response.status().is_success() => response,
            Ok(refusal) => {
                let region = refusal.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
                let region = region.map(str::to_owned);
                let error = refusal.into_error().await;
                let error = match region {
                    Some(region) => error.with_detail(BUCKET_REGION, region),
                    None => error,
                };
                return Err(if is_metadata { self.no_credentials(&error) } else { error });
            }
            Err(error) if is_metadata => return Err(self.no_credentials(&error)),
            Err(error) => return Err(error),
        };
        let mut answer = http::Response::new(());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        if let Some(digest) = Digest::of_response(response.headers()) {
            answer.extensions_mut().insert(digest);
        }
        let max = if request.headers().contains_key(RANGE) { u64::MAX } else { MAX_ANSWER };
        let body = Body(Mutex::new(response.into_body(max).map_err(http_error).boxed()));
        Ok(answer.map(|()| HttpResponseBody::new(body)))
    }

    fn no_credentials(&self, error: &Error) -> Error {
        let advice = self.no_credentials;
        let message =
            format!("no credentials found: {advice}; this machine's metadata service has none either: {error}");
        Error::new(ErrorCode::UNAUTHENTICATED, message).with_cause(error)
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = convert(request).await.map_err(http_error)?;
        self.send(&request).await.map_err(http_error)
    }
}

/// Wraps an error so that the library neither retries the request nor changes the error.
fn http_error(error: Error) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

/// Converts a request of the library, and marks its secrets.
async fn convert(given: HttpRequest) -> Result<Request, Error> {
    let (parts, body) = given.into_parts();
    let url = Url::parse(&parts.uri.to_string())
        .map_err(|error| Error::internal(format!("invalid URL of a request to an object store: {error}")))?;
    let body = match body.as_bytes() {
        Some(bytes) => bytes.clone(),
        None => {
            let whole = body.collect().await;
            whole.map_err(|error| Error::internal("failed to read a request's body").with_cause(&error))?.to_bytes()
        }
    };
    let mut secrets: Vec<_> = secret_values(url.query().unwrap_or_default().as_bytes()).collect();
    if parts.headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded") {
        secrets.extend(secret_values(&body));
    }
    let mut request = request(parts.method, &url, mark(parts.headers), body)?;
    hide(&mut request, secrets);
    Ok(request)
}

/// Marks the headers with credentials as sensitive.
fn mark(mut headers: HeaderMap) -> HeaderMap {
    for (name, value) in &mut headers {
        if *name == AUTHORIZATION || SECRET_HEADERS.contains(&name.as_str()) {
            value.set_sensitive(true);
        }
    }
    headers
}

/// Returns the values of secret parameters in a query or a form.
fn secret_values(encoded: &[u8]) -> impl Iterator<Item = Secret> + '_ {
    url::form_urlencoded::parse(encoded)
        .filter(|(name, _)| SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(_, value)| Secret::new(value.into_owned()))
}

/// Returns true if a URL is that of a metadata service, which tells programs the credentials of their machine.
fn is_metadata_service(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_link_local(),
        Some(url::Host::Domain(name)) => name == "metadata.google.internal",
        _ => false,
    }
}

/// The body of a response. The library requires a body that several threads can share.
struct Body(Mutex<BoxStream<'static, Result<Bytes, HttpError>>>);

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let stream = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        stream.poll_next_unpin(context).map_ok(Frame::data)
    }
}
