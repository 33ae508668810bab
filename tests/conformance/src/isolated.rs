//! Starts a plugin in a separate process, as hosts isolate plugins, and reports the end of that process.

use std::path::Path;
use std::sync::Arc;

use mlflow_deploy::{Death, Refusal, isolate};
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape};

use crate::mark::Mark;
use crate::message::{Line, Teller};

/// Starts a plugin in a separate process. If that process dies, its exit is the verdict, whatever the case returns.
pub(crate) fn start(
    (program, plugin): (&Path, &Path),
    manifest: &Manifest,
    shape: HostShape,
    teller: &Arc<Teller>,
) -> Result<Driver, Mark> {
    let sender = Arc::clone(teller);
    let died = move |death: &Death| sender.send(&end(death));
    Driver::through(shape, |host| isolate(program, plugin, manifest, host, Box::new(died))).map_err(|refusal| {
        match &refusal {
            Refusal::Crashed(death) => teller.send(&end(death)),
            Refusal::NeedsIsolation { .. } | Refusal::PluginHost(_) => return Mark::fault(refusal),
            _ => {}
        }
        Mark::fail(refusal.reason())
    })
}

fn end(death: &Death) -> Line {
    Line::Died { how: death.to_string(), signal: death.signal(), log: death.log().to_vec() }
}
