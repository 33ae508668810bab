#![doc = include_str!("../README.md")]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

pub mod args;
pub mod call;
mod chunks;
mod client;
pub mod contract;
pub mod csv_header;
mod deadline;
mod error;
mod error_code;
mod event;
pub mod ffi;
pub mod file;
mod http_failure;
mod json;
pub mod json_integer;
#[cfg(feature = "log")]
mod log_records;
pub mod manifest;
mod operation;
mod payload;
pub mod program;
mod redact;
mod secret;
mod suggest;
pub mod sync;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod trust;

pub use chunks::Chunks;
pub use client::DeploymentClient;
pub use deadline::Deadline;
pub use error::{Error, Result};
pub use error_code::ErrorCode;
pub use ffi::{at_exit, blocking, is_privileged, library_path, load_and_resolve};
pub use http_failure::HttpFailure;
pub use json::{ClientOptions, Config};
pub use operation::{Operation, UnknownOperation};
pub use payload::{JSON, Payload};
pub use redact::Redactor;
pub use secret::Secret;
pub use suggest::nearest;
pub use target::TargetUri;
