#![doc = include_str!("../README.md")]

mod builder;
#[cfg(feature = "bulk")]
pub mod bulk;
mod client;
#[cfg(feature = "command")]
pub mod command;
mod config;
mod config_error;
mod discovery;
mod error;
mod host;
mod load;
mod loader;
mod named_targets;
mod replacement;
#[cfg(feature = "command")]
mod reserved_stdout;
#[doc(hidden)]
pub mod settings;
mod state_file;
mod targets;

pub use builder::HostBuilder;
pub use client::blocking;
pub use client::deploy_client::{DeployClient, PredictionStream};
pub use client::event::PluginEvent;
pub use client::global::{
    get_deploy_client, get_deploy_client_with, get_deployments_target, run_local, set_deployments_target, target_help,
};
#[cfg(any(feature = "csv", feature = "predictions"))]
pub use client::inputs;
pub use client::local_deployment::LocalDeployment;
#[cfg(feature = "predictions")]
pub use client::predictions;
#[cfg(feature = "predictions")]
pub use client::predictions::PredictionsResponse;
pub use client::record::Record;
pub use client::target::Target;
pub use client::usage::Usage;
#[doc(hidden)]
pub use config::{check_user_config, user_config_path};
pub use discovery::candidate::{Candidate, CandidateState};
pub use discovery::digest::Digest;
pub use discovery::lock::Lock;
pub use discovery::locked_plugin::LockedPlugin;
pub use discovery::no_plugin::NoPlugin;
pub use discovery::registry::Choice;
pub use discovery::scan::{Directory, DirectoryState, Discovery};
pub use discovery::search_path::Origin;
pub use error::Error;
pub use host::Host;
pub use load::dynamic_deps::Dependency;
pub use load::library::{STACK_SIZE, exit_now};
pub use load::load_error::LoadError;
pub use load::subprocess::{IsolatedBy, ProcessExit, isolate, plugin_host, serve_plugin};
pub use mlflow_deploy_plugin_api::call::{Event, Level};
pub use mlflow_deploy_plugin_api::ffi::TableError;
pub use mlflow_deploy_plugin_api::ffi::abi::ABI as PLUGIN_ABI;
pub use mlflow_deploy_plugin_api::{
    ClientOptions, Config, ErrorCode, HttpFailure, JSON, Operation, Payload, Secret, TargetUri, args, manifest, nearest,
};
pub use named_targets::{NamedTarget, OptionSource, ProjectFile, ProjectTrust};
pub use replacement::Replacement;
pub use targets::{databricks, gateway};

/// The examples of the migration guide for Python users, which run as tests.
#[cfg(doctest)]
#[doc = include_str!("../MIGRATING.md")]
mod migrating {}

/// The error that a target returns. [`Error::Target`] holds it.
pub type TargetError = mlflow_deploy_plugin_api::Error;
