//! Events of plugins, such as log messages and progress.

use std::sync::Arc;

use mlflow_deploy_plugin_api::call::{Event, Level};

/// An event of a plugin, or of the host about the plugin. Received by
/// [`HostBuilder::on_event`](crate::HostBuilder::on_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginEvent {
    /// The name of the plugin.
    pub plugin: String,
    /// The id of the call; 0 for events that do not belong to a call, such as those of the host.
    pub call: u64,
    /// The severity.
    pub level: Level,
    /// The message and the progress.
    pub event: Event,
}

pub(crate) type Listener = Arc<dyn Fn(PluginEvent) + Send + Sync>;

/// The default listener: passes events to `tracing`.
pub(crate) fn trace(event: PluginEvent) {
    let PluginEvent { plugin, call, level, event } = event;
    let message = event.message;
    match level {
        Level::Error => tracing::error!(plugin, call, "{message}"),
        Level::Warn => tracing::warn!(plugin, call, "{message}"),
        Level::Info => tracing::info!(plugin, call, progress = event.progress, "{message}"),
        _ => tracing::debug!(plugin, call, "{message}"),
    }
}
