//! Plugins in processes of their own, as hosts isolate them. Here is what of that differs from a plugin that is loaded: how
//! it starts, and how its end is told.

use std::path::Path;
use std::sync::Arc;

use mlflow_deploy::{Death, Refusal, isolate};
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape};

use crate::child::{Line, Teller};
use crate::mark::Mark;

/// Starts a plugin in a process of its own. The end of that process is the verdict on the case, whatever the case says.
pub(crate) fn start(
    (program, plugin): (&Path, &Path),
    manifest: &Manifest,
    shape: HostShape,
    teller: &Arc<Teller>,
) -> Result<Driver, Mark> {
    let telling = Arc::clone(teller);
    let died = move |death: &Death| telling.tell(&end(death));
    Driver::through(shape, |host| isolate(program, plugin, manifest, host, Box::new(died))).map_err(|refusal| {
        match &refusal {
            Refusal::Crashed(death) => teller.tell(&end(death)),
            Refusal::NeedsIsolation { .. } | Refusal::PluginHost(_) => return Mark::fault(refusal),
            _ => {}
        }
        Mark::fail(refusal.reason())
    })
}

fn end(death: &Death) -> Line {
    Line::Died { how: death.to_string(), signal: death.signal(), log: death.log().to_vec() }
}
