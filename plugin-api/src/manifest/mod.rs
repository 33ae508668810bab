//! The manifest is a plugin's description of itself, in a section of the plugin's file. Hosts read the manifest without
//! running the plugin.
//!
//! [`export_plugin!`](crate::export_plugin) embeds the manifest.
//!
//! ```
//! use mlflow_deploy_plugin_api::Operation;
//! use mlflow_deploy_plugin_api::manifest::Manifest;
//!
//! let json = br#"{"manifest": 1, "abi": 1, "name": "echo", "version": "1.0.0", "target": "x86_64-unknown-linux-gnu",
//!     "schemes": ["echo"], "operations": ["predict"], "panic": "unwind"}"#;
//! let manifest = Manifest::parse(json)?;
//! assert!(manifest.declares(Operation::Predict));
//! # Ok::<(), String>(())
//! ```

#[cfg(feature = "host")]
mod bounded;
#[cfg(feature = "host")]
mod check;
#[cfg(feature = "host")]
mod check_schema;
#[doc(hidden)]
pub mod embed;
mod embed_check;
mod embed_message;
mod format;
#[cfg(feature = "host")]
mod located;
#[cfg(feature = "host")]
mod read;

#[cfg(feature = "host")]
pub use bounded::Bounded;
#[cfg(feature = "host")]
pub use check::{Checked, Fault, check, check_process};
pub use format::{
    EnvironmentVariable, InvokeOperation, Isolation, MAX_BYTES, Manifest, PROCESS_SUFFIX, Panic, SECTIONS, TARGET,
};
#[cfg(feature = "host")]
pub use read::{ReadError, is_process_file, json_from, read, read_from, read_process_from};

#[cfg(feature = "host")]
#[cfg(test)]
#[cfg(not(miri))]
mod tests;
