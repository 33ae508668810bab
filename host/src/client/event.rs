//! What plugins say beside their replies, and the host of them, and where it goes.

use std::sync::Arc;

use mlflow_deploy_plugin_api::call::{Event, Level};

/// Something that a plugin said beside its replies, or the host of how it is loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginEvent {
    /// The plugin's name.
    pub plugin: String,
    /// The call that it concerns, 0 for none: what the host says concerns none.
    pub call: u64,
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub event: Event,
}

pub(crate) type Listener = Arc<dyn Fn(PluginEvent) + Send + Sync>;

/// Where events go unless the program says otherwise.
pub(crate) fn trace(said: PluginEvent) {
    let PluginEvent { plugin, call, level, event } = said;
    let message = event.message;
    match level {
        Level::Error => tracing::error!(plugin, call, "{message}"),
        Level::Warn => tracing::warn!(plugin, call, "{message}"),
        Level::Info => tracing::info!(plugin, call, progress = event.progress, "{message}"),
        _ => tracing::debug!(plugin, call, "{message}"),
    }
}
