#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod artifacts;
mod fetch;
mod files;
mod folder;
mod limits;
mod listing;
mod name;
mod presigned;
mod progress;
mod python_function;
mod ranges;
mod resolve;
mod rest;
mod run;
mod session;
mod staging;
mod store;
#[cfg(test)]
mod tests;
mod tracking;
mod unity_catalog;
mod uri;

pub use fetch::{Fetched, fetch};
pub use python_function::PythonFunction;
pub use tracking::{Tracking, TrackingOptions};
pub use uri::{ModelUri, redact_uri};
