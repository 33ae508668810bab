#![doc = include_str!("../README.md")]

pub mod blocking;
mod builder;
mod client;
#[cfg(feature = "command")]
pub mod command;
mod config_file;
mod digest;
mod discover;
mod error;
mod event;
mod file;
mod host;
mod isolation;
mod library;
mod linkage;
mod loading;
mod local;
mod lock;
mod nearest;
#[cfg(feature = "predictions")]
pub mod predictions;
mod process;
mod race;
mod record;
mod refusal;
mod registry;
mod replacement;
mod search_path;
mod target;
mod trial;

pub use builder::HostBuilder;
pub use client::{DeployClient, PredictionStream};
pub use digest::Digest;
pub use discover::{Candidate, CandidateState, Directory, DirectoryState, Discovery};
pub use error::{Error, NoPlugin};
pub use event::PluginEvent;
pub use host::Host;
pub use isolation::{Death, IsolatedBy, isolate, plugin_host, serve_plugin};
pub use library::leave;
pub use linkage::Dependency;
pub use loading::STACK_SIZE;
pub use local::LocalDeployment;
pub use lock::{Lock, LockedPlugin};
pub use mlflow_deploy_plugin_api::call::{Event, Level};
pub use mlflow_deploy_plugin_api::ffi::TableError;
pub use mlflow_deploy_plugin_api::ffi::abi::ABI as PLUGIN_ABI;
pub use mlflow_deploy_plugin_api::{
    ClientOptions, Config, ErrorCode, HttpFailure, JSON, Operation, Payload, Secret, TargetUri, args, manifest,
};
pub use nearest::nearest;
#[cfg(feature = "predictions")]
pub use predictions::PredictionsResponse;
pub use process::{
    get_deploy_client, get_deploy_client_with, get_deployments_target, run_local, set_deployments_target, target_help,
};
pub use record::Record;
pub use refusal::Refusal;
pub use registry::Choice;
pub use replacement::Replacement;
pub use search_path::Origin;
pub use target::Target;

/// What a target answers where it answers with an error.
pub type TargetError = mlflow_deploy_plugin_api::Error;
