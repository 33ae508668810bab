//! Cases that check the effects of loading a plugin on the process, such as threads and open files.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape, Library};
use tempfile::TempDir;

use super::process;
use crate::case::{Case, LIBRARY, Process, Stage};
use crate::harness::Harness;
use crate::marker::{Marker, ensure};
use crate::processor;
use crate::untrusted;

pub(super) const CASES: &[Case] = &[
    Case::new("load-opens", "load.complete", "The library loads, with all its symbols resolved.", opens)
        .in_process_only(LIBRARY)
        .needs(Stage::File)
        .gate(),
    Case::new(
        "load-twice",
        "load.once",
        "Loading the library again returns the same table, and the plugin still works.",
        twice,
    )
    .in_process_only(LIBRARY)
    .needs(Stage::Instance),
    Case::new("load-elsewhere", "load.anywhere", "A copy in another folder works too.", elsewhere)
        .needs(Stage::Instance),
    Case::new("load-stripped", "load.environment", "The plugin loads and starts in an empty environment.", starts)
        .needs(Stage::Instance)
        .process(Process::Stripped),
    Case::new("load-quiet", "load.quiet", "Loading and `init` print nothing.", quiet)
        .protects_host()
        .needs(Stage::Instance),
    Case::new("load-threads", "load.idle", "Loading and `init` start no thread.", starts_no_thread)
        .protects_host()
        .needs(Stage::Instance),
    Case::new("load-files", "load.files", "Loading and `init` leave no file or socket open, and write nothing.", files)
        .protects_host()
        .needs(Stage::Instance),
    Case::new("load-fast", "load.fast", "Loading and `init` take less than 50 ms.", fast)
        .protects_host()
        .needs(Stage::Instance),
    Case::new(
        "load-signals",
        "load.signals",
        "The plugin installs no signal handlers and changes no signal masks.",
        signals,
    )
    .protects_host()
    .needs(Stage::Instance),
    Case::new(
        "load-state",
        "load.state",
        "The plugin does not change the environment, the working directory or the umask.",
        state,
    )
    .protects_host()
    .needs(Stage::Instance),
];

fn opens(harness: &Harness) -> Result<(), Marker> {
    harness.library().map(drop)
}

fn twice(harness: &Harness) -> Result<(), Marker> {
    let first = harness.library()?;
    let second = harness.library()?;
    let address = |library: Library| library.table_facts().map(|facts| facts.address);
    ensure!(address(first) == address(second), "the table has a different address after the library is loaded again");
    for library in [first, second] {
        let table = library.table().map_err(|error| Marker::fail(error.to_string()))?;
        harness.log("calls `init`");
        ensure!(
            untrusted::start(table, HostShape::Current).is_some(),
            "`init` returned NULL after the library was loaded again"
        );
    }
    Ok(())
}

fn elsewhere(harness: &Harness) -> Result<(), Marker> {
    if harness.manifest()?.is_process() {
        return Err(Marker::skip("a process plugin has several files, which belong together"));
    }
    let (_folder, copy) = copy(harness, "elsewhere-")?;
    harness.log("loads a copy from another folder");
    harness.instance_of(&copy, HostShape::Current).map(drop)
}

/// Copies the plugin's library to a new temporary folder whose name begins with `folder`. Returns the folder and the
/// path of the copy.
fn copy(harness: &Harness, folder: &str) -> Result<(TempDir, PathBuf), Marker> {
    let folder = TempDir::with_prefix(folder).map_err(Marker::fault)?;
    let copy = folder.path().join(harness.plugin().file_name().unwrap_or_default());
    fs::copy(harness.plugin(), &copy).map_err(Marker::fault)?;
    Ok((folder, copy))
}

fn starts(harness: &Harness) -> Result<(), Marker> {
    harness.instance().map(drop)
}

/// Loads and starts the plugin without sending log messages to the harness. Such a message would count as data that the
/// plugin wrote.
fn start_unlogged(harness: &Harness) -> Result<Driver, Marker> {
    let library = untrusted::open(harness.plugin()).map_err(Marker::fail)?;
    let table = library.table().map_err(|error| Marker::fail(error.to_string()))?;
    untrusted::start(table, HostShape::Current).ok_or_else(|| Marker::fail("`init` returned NULL"))
}

fn quiet(harness: &Harness) -> Result<(), Marker> {
    let before = process::printed()?;
    start_unlogged(harness)?;
    let printed = process::printed()? - before;
    ensure!(printed == 0, "the plugin printed {printed} bytes");
    Ok(())
}

fn starts_no_thread(harness: &Harness) -> Result<(), Marker> {
    let before = process::threads()?;
    start_unlogged(harness)?;
    let after = process::threads()?;
    ensure!(
        after.len() <= before.len(),
        "the number of threads grew from {} to {}: {after:?}",
        before.len(),
        after.len()
    );
    Ok(())
}

fn files(harness: &Harness) -> Result<(), Marker> {
    let (files, written, printed) = (process::files()?, process::written()?, process::printed()?);
    start_unlogged(harness)?;
    let written = process::written()? - written;
    let printed = process::printed()? - printed;
    let more = process::files()?;
    let opened: Vec<_> = more.iter().filter(|(number, _)| !files.contains_key(number)).map(|(_, file)| file).collect();
    ensure!(opened.is_empty(), "the plugin left files open: {opened:?}");
    ensure!(written <= printed, "the plugin wrote {} bytes to files or sockets", written - printed);
    Ok(())
}

fn fast(harness: &Harness) -> Result<(), Marker> {
    const LIMIT: Duration = Duration::from_millis(50);
    let (mut times, mut took) = (Vec::new(), None);
    while times.len() < process::ATTEMPTS && took.is_none_or(|took| took >= LIMIT) {
        let (_folder, copy) = copy(harness, "copy-")?;
        let (begun, waited) = (Instant::now(), processor::waited_by_this_thread());
        let library = untrusted::open(&copy).map_err(Marker::fail)?;
        let table = library.table().map_err(|error| Marker::fail(error.to_string()))?;
        ensure!(
            untrusted::start(table, HostShape::Current).is_some(),
            "`init` of a copy in another folder returned NULL"
        );
        let waited = processor::waited_by_this_thread().saturating_sub(waited);
        times.push(begun.elapsed().saturating_sub(waited));
        took = process::second_fastest(&times);
    }
    let took = took.unwrap_or_default();
    ensure!(took < LIMIT, "all but one of {} attempts took at least {} ms", process::ATTEMPTS, took.as_millis());
    Ok(())
}

/// Opens a client and makes one call, if the plugin has an operation that can be called. The outer result is an error
/// if the calls could not be made, and the inner result is an error if the plugin replied with an error.
fn exercise(harness: &Harness) -> Result<Result<(), Marker>, Marker> {
    let driver = harness.instance()?;
    let target = harness.target().unwrap_or_default();
    let client = driver.fresh_id();
    let answer = harness.call(&driver, Slot::Open, client, &harness.open_request(&target))?;
    if let (true, Some((slot, request))) = (answer.is_ok(), harness.simple_call(&driver)) {
        return Ok(harness.call(&driver, slot, client, &request)?.expect_proof());
    }
    Ok(answer.expect_proof())
}

fn signals(harness: &Harness) -> Result<(), Marker> {
    let before = process::signals()?;
    let proof = exercise(harness)?;
    let after = process::signals()?;
    ensure!(before == after, "the signal masks changed from {before:?} to {after:?}");
    proof
}

fn state(harness: &Harness) -> Result<(), Marker> {
    let state = || -> Result<_, Marker> {
        let variables: Vec<_> = std::env::vars_os().collect();
        Ok((variables, std::env::current_dir().map_err(Marker::fault)?, process::umask()?))
    };
    let (variables, folder, mask) = state()?;
    let proof = exercise(harness)?;
    let (variables_after, folder_after, mask_after) = state()?;
    let changed: Vec<_> = variables_after
        .iter()
        .filter(|variable| !variables.contains(variable))
        .chain(variables.iter().filter(|variable| !variables_after.contains(variable)))
        .map(|(name, _)| name)
        .collect();
    ensure!(changed.is_empty(), "the plugin changed the environment: {changed:?}");
    ensure!(folder == folder_after, "the plugin changed the working directory to `{}`", folder_after.display());
    ensure!(mask == mask_after, "the plugin changed the umask from {mask} to {mask_after}");
    proof
}
