//! Starts a plugin in a separate process, as a host does for an isolated plugin. Reports the exit of that process to
//! the harness.

use std::path::Path;
use std::sync::Arc;

use mlflow_deploy::{LoadError, ProcessExit, isolate};
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape};

use crate::marker::Marker;
use crate::message::{Line, Reporter};

/// Starts a plugin in a separate process. If that process exits early, reports the exit to the harness, and the case
/// fails.
pub(crate) fn start(
    (program, plugin): (&Path, &Path),
    manifest: &Manifest,
    shape: HostShape,
    teller: &Arc<Reporter>,
) -> Result<Driver, Marker> {
    let sender = Arc::clone(teller);
    let died = move |death: &ProcessExit| sender.send(&end(death));
    Driver::through(shape, |host| isolate(program, plugin, manifest, host, Box::new(died))).map_err(|refusal| {
        match &refusal {
            LoadError::Crashed(death) => teller.send(&end(death)),
            LoadError::NeedsIsolation { .. } | LoadError::PluginHost(_) => return Marker::fault(refusal),
            _ => {}
        }
        Marker::fail(refusal.reason())
    })
}

fn end(death: &ProcessExit) -> Line {
    Line::Died { how: death.to_string(), signal: death.signal(), log: death.log().to_vec() }
}
