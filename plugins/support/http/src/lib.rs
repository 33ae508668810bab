#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access;
mod address;
mod answer;
mod backoff;
mod client;
mod credentials;
mod download;
mod environment;
mod exchange;
mod fault;
mod header;
mod member;
mod pages;
mod patience;
mod policy;
mod redirect;
mod secrets;
mod send;
mod sse;
mod stream;
#[cfg(test)]
mod tests;
mod times;
mod tls;
mod words;

pub use access::{Access, AccessOptions};
pub use address::{encode_segment, is_loopback, join, parse_url, redact_url, without_user};
pub use answer::{endpoint, named, prediction, require_inputs};
pub use backoff::Backoff;
pub use client::{Client, Connection};
pub use credentials::Credentials;
pub use download::download;
pub use environment::Environment;
pub use header::{content_type, header_name, header_value, secret_header};
pub use member::{Object, json_list, set_member};
pub use pages::Pages;
pub use policy::Policy;
pub use send::{Request, Response, hide, request, send};
pub use sse::{Event, SseReader};
pub use stream::{ChunkStream, stream};
