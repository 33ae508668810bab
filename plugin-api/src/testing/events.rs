//! Starts a plugin in the process of a test, with a host that records its events.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::event::{Event, Level};
use crate::ffi::{Plugin, RemotePlugin};
use crate::{Result, sync};

/// The recorded events of a plugin. Each entry holds the id of the call (0 for none), the severity, and the event.
///
/// See the [module](super) for an example.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<(u64, Level, Event)>>>);

impl Events {
    /// Returns all events that were recorded so far, in the order of their arrival.
    pub fn all(&self) -> Vec<(u64, Level, Event)> {
        sync::lock(&self.0).clone()
    }

    /// Returns a listener that adds the events of a plugin to this record.
    pub fn listener(&self) -> impl Fn(u64, Level, Event) + Send + Sync + 'static {
        let events = Arc::clone(&self.0);
        move |call, level, event| {
            sync::lock(&events).push((call, level, event));
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.all()).finish()
    }
}

/// Starts an instance of a plugin in this process. Returns the instance, and the record of its events.
///
/// See the [module](super) for an example.
///
/// With the cargo feature `log` or `tracing`, records of the plugin's crate become events, unless the test has installed a
/// logger.
///
/// # Errors
/// `PLUGIN_LOAD_FAILED` if the plugin's `init` fails.
pub fn start(plugin: &Plugin) -> Result<(RemotePlugin, Events)> {
    #[cfg(feature = "log")]
    crate::log_records::install(plugin.module());
    let events = Events::default();
    Ok((plugin.start(events.listener())?, events))
}
