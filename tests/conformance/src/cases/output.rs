//! The case that checks the output of calls. A plugin has to print nothing to standard output, which belongs to the
//! program that loads the plugin.

use mlflow_deploy_plugin_api::ffi::Slot;

use super::process;
use crate::case::Case;
use crate::harness::Harness;
use crate::marker::{Marker, ensure};

pub(super) const CASES: &[Case] =
    &[Case::new("operations-quiet", "operations.quiet", "Calls print nothing to standard output.", quiet)
        .protects_host()];

fn quiet(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let before = process::printed_to_stdout()?;
    let client = harness.open(&driver)?;
    for operation in harness.safe_operations(&driver) {
        harness.call(&driver, Slot::Operation(operation), client, &harness.sample(operation))?;
    }
    let proof = harness.prove_samples(&driver, client);
    harness.drain(&driver, client)?;
    let printed = process::printed_to_stdout()? - before;
    ensure!(printed == 0, "the plugin printed {printed} bytes to standard output: log with events");
    proof
}
