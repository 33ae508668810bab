#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attempt_error;
mod backoff;
mod client;
mod connect;
mod connection;
mod credentials;
mod download;
mod encoding;
mod environment;
mod error_body;
mod header;
mod json_object;
mod mlflow_auth;
mod mlflow_timeouts;
mod pages;
mod policy;
mod predict;
mod redirect;
mod request;
mod response;
mod retry;
mod secrets;
mod send;
mod sse;
mod stream;
mod streaming_response;
#[cfg(test)]
mod tests;
mod text;
mod timeouts;
mod tls;
mod url;

pub use self::url::{encode_segment, is_loopback, join, parse_url, redact_url, without_user};
pub use backoff::Backoff;
pub use client::Client;
pub use connection::Connection;
pub use credentials::Credentials;
pub use download::download;
pub use environment::{Environment, process_variable};
pub use header::{content_type, header_name, header_value, key_header, secret_header};
pub use json_object::{JsonObject, json_list, set_member};
pub use mlflow_auth::{MlflowAuth, MlflowAuthOptions};
pub use pages::Pages;
pub use policy::Policy;
pub use predict::{endpoint, named, prediction, require_inputs};
pub use request::{Request, hide, request};
pub use response::Response;
pub use send::send;
pub use sse::{Event, SseReader};
pub use stream::ChunkStream;
pub use text::trim;
