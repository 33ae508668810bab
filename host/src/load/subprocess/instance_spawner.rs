//! Starts another instance of a plugin in its own process, at the plugin's request.

use std::sync::Arc;

use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, PluginTransport};

use super::child::SpawnConfig;
use super::supervisor::Supervisor;
use crate::discovery::digest::Identity;

/// Starts processes that load the library of one plugin. The processes have the same limits as those of isolated
/// plugins.
#[derive(Clone, Debug)]
pub(crate) struct InstanceSpawner {
    config: SpawnConfig,
    /// The identity of the library's file when it was loaded.
    identity: Identity,
}

impl InstanceSpawner {
    /// Returns a spawner; `None` if the library no longer exists.
    pub(crate) fn new(config: SpawnConfig) -> Option<Self> {
        let identity = Identity::at(&config.library).ok()?;
        Some(Self { config, identity })
    }

    /// Returns an instance whose first call starts the process.
    pub(crate) fn spawn(&self, host: Arc<dyn HostCallbacks>) -> Arc<dyn PluginTransport> {
        Arc::new(Supervisor::unstarted(self.config.clone(), self.identity, host))
    }
}

/// The host of a plugin in this process: forwards its callbacks and starts other instances of it.
pub(crate) struct InProcessHost {
    pub(crate) host: Arc<dyn HostCallbacks>,
    pub(crate) spawner: Option<InstanceSpawner>,
}

impl HostCallbacks for InProcessHost {
    fn reply(&self, call: u64, status: u32, reply: BorrowedReply<'_>) {
        self.host.reply(call, status, reply);
    }

    fn chunk(&self, call: u64, chunk: BorrowedReply<'_>) {
        self.host.chunk(call, chunk);
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        self.host.event(call, level, json);
    }

    fn isolate(&self, host: Arc<dyn HostCallbacks>) -> Option<Arc<dyn PluginTransport>> {
        self.spawner.as_ref().map(|spawner| spawner.spawn(host))
    }
}
