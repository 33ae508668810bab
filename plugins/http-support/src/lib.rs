#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod backoff;
mod client;
mod environment;
mod exchange;
mod fault;
mod member;
mod patience;
mod policy;
mod redirect;
mod secret;
mod send;
mod sse;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod words;

pub use address::{encode_segment, join, redact_url};
pub use client::{Client, Connection};
pub use environment::{Environment, Proxies};
pub use member::set_member;
pub use policy::Policy;
pub use secret::{Credentials, Secret};
pub use send::{Request, Response, request, send};
pub use sse::{Event, SseReader};
pub use stream::{ChunkStream, stream};
