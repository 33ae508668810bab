//! Why a file is not used as a plugin: one typed reason each, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use mlflow_deploy_plugin_api::ffi::TableError;
use thiserror::Error;

/// Why a file is not used as a plugin.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its manifest or its table speaks another version of the contract.
    #[error("speaks plugin ABI {plugin}, and this host ABI {host}: upgrade the {}", if plugin > host { "host" } else { "plugin" })]
    Abi {
        /// The plugin's version.
        plugin: u32,
        /// The host's version.
        host: u32,
    },
    /// Its `init` said that it failed, or took the process's other threads by surprise.
    #[error("failed to start: {0}")]
    Init(String),
    /// The manifest is there, but wrong.
    #[error("its manifest is invalid: {0}")]
    Manifest(String),
    /// A library that it needs is not there.
    #[error("needs the library `{0}`, which is not installed")]
    MissingDependency(String),
    /// It asks for a process of its own.
    #[error("must run in a process of its own, which this host does not offer")]
    NeedsIsolation,
    /// It is no shared library, or a damaged one.
    #[error("not a shared library: {0}")]
    NotALibrary(String),
    /// The system's loader would not load it.
    #[error("the system refused to load it: {0}")]
    NotLoadable(String),
    /// A panic in it would end the process.
    #[error(
        "was built with `panic = \"abort\"`, so a panic in it would end the process: build it with `panic = \"unwind\"`"
    )]
    PanicsAbort,
    /// Its table cannot be used.
    #[error("{0}")]
    Table(TableError),
    /// Loading it did not come to an end.
    #[error("did not finish loading within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Somebody else could have put it there.
    #[error("{why}: `{}` {fix}", path.display())]
    Untrusted {
        /// The file or directory in question.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// How to put it right.
        fix: String,
    },
    /// It is for another processor, system or C library.
    #[error("built for {found}, and this host is for {expected}: get the plugin built for {expected}")]
    WrongMachine {
        /// What it is built for.
        found: String,
        /// What the host is built for.
        expected: String,
    },
}
