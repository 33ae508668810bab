//! A plugin in a process of its own for programs that check plugins rather than use them: the seam itself, without a
//! [`Host`](crate::Host) above it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlflow_deploy_plugin_api::ffi::{HostCallbacks, PluginTransport};
use mlflow_deploy_plugin_api::manifest::Manifest;

use super::child::SpawnConfig;
use super::policy;
use super::process_exit::ProcessExit;
use super::supervisor::Supervisor;
use crate::LoadError;

/// The program that hosts plugins in processes of their own: `named`, or the one that
/// [`HostBuilder::plugin_host`](crate::HostBuilder::plugin_host) tells of.
///
/// # Errors
/// [`LoadError::NeedsIsolation`] where it is not there, with the places where it was looked for.
pub fn plugin_host(named: Option<&Path>) -> Result<PathBuf, LoadError> {
    policy::program(named, &"that was asked for")
}

/// Starts a plugin in a process of its own, as a [`Host`](crate::Host) does that isolates it: `program` is what
/// [`plugin_host`] gives, and of the environment the process sees what the manifest declares. It blocks until the plugin
/// has been loaded and started.
///
/// What is returned makes calls, which come back to `host`; each gets its one reply, also where the process ends. `died` is
/// told of each end that nobody has asked for before any reply tells of it, on a thread that may not be kept waiting. The
/// next call starts the process anew. Dropping it ends the process.
///
/// # Errors
/// Why the plugin is not used; [`LoadError::PluginHost`] is about the program, and no other about anything but the plugin.
pub fn isolate(
    program: &Path,
    library: &Path,
    manifest: &Manifest,
    host: Arc<dyn HostCallbacks>,
    died: Box<dyn Fn(&ProcessExit) + Send + Sync>,
) -> Result<impl PluginTransport + use<>, LoadError> {
    Supervisor::start(SpawnConfig::new(program.to_owned(), library, manifest, &[]), host, died)
}
