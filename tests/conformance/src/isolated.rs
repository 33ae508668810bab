//! Starts a plugin in a separate process, as a host does for an isolated plugin. Reports the exit of that process to
//! the harness.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use mlflow_deploy::{LoadError, ProcessExit, isolate};
use mlflow_deploy_plugin_api::ffi::{PluginTransport, Request, Slot};
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::sync;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape};

use crate::marker::Marker;
use crate::message::{Line, Reporter};

/// A transport that a case can drop before its driver.
type Shared = Arc<Mutex<Option<Arc<dyn PluginTransport>>>>;

/// The connection to a plugin in a separate process.
pub(crate) struct Connection {
    transport: Shared,
    /// Receives nothing. Its sender is dropped when the process has ended.
    ended: Receiver<()>,
}

impl Connection {
    /// Ends the connection, and waits until the process has exited or was killed.
    pub(crate) fn end(self) {
        drop(sync::lock(&self.transport).take());
        let _disconnected = self.ended.recv();
    }
}

/// Starts a plugin in a separate process. If that process exits early, or has to be killed after the end of the
/// connection, reports the exit to the harness, and the case fails.
pub(crate) fn start(
    (program, plugin): (&Path, &Path),
    manifest: &Manifest,
    shape: HostShape,
    teller: &Arc<Reporter>,
) -> Result<(Driver, Connection), Marker> {
    let (sender, ended): (Sender<()>, _) = channel();
    let reporter = Arc::clone(teller);
    let died = move |death: &ProcessExit| {
        let _until_dropped = &sender;
        reporter.send(&end(death));
    };
    let transport = Shared::default();
    let started = Driver::through(shape, |host| {
        let isolated = isolate(program, plugin, manifest, host, Box::new(died))?;
        *sync::lock(&transport) = Some(Arc::new(isolated));
        Ok(SharedTransport(Arc::clone(&transport)))
    });
    let driver = started.map_err(|refusal: LoadError| {
        match &refusal {
            LoadError::Crashed(death) => teller.send(&end(death)),
            LoadError::NeedsIsolation { .. } | LoadError::PluginHost(_) => return Marker::fault(refusal),
            _ => {}
        }
        Marker::fail(refusal.reason())
    })?;
    Ok((driver, Connection { transport, ended }))
}

fn end(death: &ProcessExit) -> Line {
    Line::Died { how: death.to_string(), signal: death.signal(), log: death.log().to_vec() }
}

/// A transport that does nothing after the end of the connection.
struct SharedTransport(Shared);

impl SharedTransport {
    fn transport(&self) -> Option<Arc<dyn PluginTransport>> {
        sync::lock(&self.0).clone()
    }
}

impl PluginTransport for SharedTransport {
    fn has(&self, slot: Slot) -> bool {
        self.transport().is_some_and(|plugin| plugin.has(slot))
    }

    fn call(&self, slot: Slot, client: u64, call: u64, request: &Request<'_>) {
        if let Some(plugin) = self.transport() {
            plugin.call(slot, client, call, request);
        }
    }

    fn close(&self, client: u64) {
        if let Some(plugin) = self.transport() {
            plugin.close(client);
        }
    }

    fn cancel(&self, call: u64) {
        if let Some(plugin) = self.transport() {
            plugin.cancel(call);
        }
    }

    fn credit(&self, call: u64, chunks: u32) {
        if let Some(plugin) = self.transport() {
            plugin.credit(call, chunks);
        }
    }
}
