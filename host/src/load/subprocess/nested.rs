//! What a plugin gets that asks for an instance of itself in a process of its own: the same kind of process as the host's
//! own isolation starts, with the same bounds.

use std::sync::Arc;

use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, PluginTransport};

use super::child::SpawnConfig;
use super::supervisor::Supervisor;
use crate::discovery::digest::Identity;

/// How a plugin's library is started once more.
#[derive(Clone, Debug)]
pub(crate) struct Nested {
    recipe: SpawnConfig,
    /// The library as it was when it was loaded.
    identity: Identity,
}

impl Nested {
    /// A process of this kind; `None` where there is no such library any more.
    pub(crate) fn new(recipe: SpawnConfig) -> Option<Self> {
        let identity = Identity::at(&recipe.library).ok()?;
        Some(Self { recipe, identity })
    }

    /// An instance, whose process the first call starts.
    pub(crate) fn isolate(&self, host: Arc<dyn HostCallbacks>) -> Arc<dyn PluginTransport> {
        Arc::new(Supervisor::unstarted(self.recipe.clone(), self.identity, host))
    }
}

/// The host of a plugin in this process, which can be asked for another instance.
pub(crate) struct Isolating {
    pub(crate) host: Arc<dyn HostCallbacks>,
    pub(crate) nested: Option<Nested>,
}

impl HostCallbacks for Isolating {
    fn reply(&self, call: u64, status: u32, lent: BorrowedReply<'_>) {
        self.host.reply(call, status, lent);
    }

    fn chunk(&self, call: u64, lent: BorrowedReply<'_>) {
        self.host.chunk(call, lent);
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        self.host.event(call, level, json);
    }

    fn isolate(&self, host: Arc<dyn HostCallbacks>) -> Option<Arc<dyn PluginTransport>> {
        self.nested.as_ref().map(|nested| nested.isolate(host))
    }
}
