//! Starts another instance of a plugin in a process of its own when the plugin requests one.

use std::sync::Arc;

use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, PluginTransport};

use super::spawn_config::SpawnConfig;
use super::supervisor::Supervisor;
use crate::discovery::digest::Identity;

/// Starts processes that load the library of one plugin. These processes have the same limits as those of plugins that
/// the host isolates.
#[derive(Clone, Debug)]
pub(crate) struct InstanceSpawner {
    config: SpawnConfig,
    /// The identity of the library's file when the spawner was created.
    identity: Identity,
}

impl InstanceSpawner {
    /// Returns a spawner, or `None` if the library's file cannot be found.
    pub(crate) fn new(config: SpawnConfig) -> Option<Self> {
        let identity = Identity::of_all(&config.files).ok()?;
        Some(Self { config, identity })
    }

    /// Returns an instance of the plugin. Its first call starts the process.
    pub(crate) fn spawn(&self, host: Arc<dyn HostCallbacks>) -> Arc<dyn PluginTransport> {
        Arc::new(Supervisor::unstarted(self.config.clone(), self.identity, host))
    }
}

/// The host of a plugin that runs in this process. Forwards callbacks to `host`, and starts other instances with
/// `spawner`.
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
