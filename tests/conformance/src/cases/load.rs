//! What loading a plugin does to the process, and what it must not do.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape, Library};
use tempfile::TempDir;

use super::process;
use crate::bench::Bench;
use crate::case::{Case, LIBRARY, PROCESS, Process, Stage};
use crate::mark::{Mark, ensure};
use crate::untrusted;

pub(super) const CASES: &[Case] = &[
    Case::new("load-opens", "load.complete", "The library loads with every symbol that it needs.", opens)
        .inside(LIBRARY)
        .needs(Stage::File)
        .gate(),
    Case::new("load-twice", "load.once", "Loading it a second time gives the same table, and does no harm.", twice)
        .inside(LIBRARY)
        .needs(Stage::Instance),
    Case::new("load-elsewhere", "load.anywhere", "A copy of it in another folder works as well.", elsewhere)
        .needs(Stage::Instance),
    Case::new("load-stripped", "load.environment", "It loads and starts with nothing in its environment.", starts)
        .needs(Stage::Instance)
        .process(Process::Stripped),
    Case::new("load-quiet", "load.quiet", "Loading and starting it prints nothing.", quiet)
        .inside(PROCESS)
        .needs(Stage::Instance),
    Case::new("load-threads", "load.idle", "Loading and starting it starts no thread.", starts_no_thread)
        .inside(PROCESS)
        .needs(Stage::Instance),
    Case::new("load-files", "load.files", "Loading and starting it opens no socket, and no file to write to.", files)
        .inside(PROCESS)
        .needs(Stage::Instance),
    Case::new("load-fast", "load.fast", "Loading and starting it takes less than 50 ms.", fast)
        .inside(PROCESS)
        .needs(Stage::Instance),
    Case::new("load-signals", "load.signals", "It leaves the process's signals as they are.", signals)
        .inside(PROCESS)
        .needs(Stage::Instance),
    Case::new("load-state", "load.state", "It leaves the environment, the folder and the file mode mask alone.", state)
        .inside(PROCESS)
        .needs(Stage::Instance),
];

fn opens(bench: &Bench) -> Result<(), Mark> {
    bench.library().map(drop)
}

fn twice(bench: &Bench) -> Result<(), Mark> {
    let first = bench.library()?;
    let second = bench.library()?;
    let address = |library: Library| library.table_facts().map(|facts| facts.address);
    ensure!(address(first) == address(second), "its table is another one when it is loaded again");
    for library in [first, second] {
        let table = library.table().map_err(|error| Mark::fail(error.to_string()))?;
        bench.say("calls `init`");
        ensure!(
            untrusted::start(table, HostShape::Current).is_some(),
            "`init` returned NULL after it was loaded again"
        );
    }
    Ok(())
}

fn elsewhere(bench: &Bench) -> Result<(), Mark> {
    let (_folder, copy) = copy(bench, "elsewhere-")?;
    bench.say("loads a copy from another folder");
    bench.instance_of(&copy, HostShape::Current).map(drop)
}

/// A copy of the plugin in a folder of its own.
fn copy(bench: &Bench, folder: &str) -> Result<(TempDir, PathBuf), Mark> {
    let folder = TempDir::with_prefix(folder).map_err(Mark::fault)?;
    let copy = folder.path().join(bench.plugin().file_name().unwrap_or_default());
    fs::copy(bench.plugin(), &copy).map_err(Mark::fault)?;
    Ok((folder, copy))
}

fn starts(bench: &Bench) -> Result<(), Mark> {
    bench.instance().map(drop)
}

/// Loads and starts it without a word to anybody.
fn silently(bench: &Bench) -> Result<Driver, Mark> {
    let library = untrusted::open(bench.plugin()).map_err(Mark::fail)?;
    let table = library.table().map_err(|error| Mark::fail(error.to_string()))?;
    untrusted::start(table, HostShape::Current).ok_or_else(|| Mark::fail("`init` returned NULL"))
}

fn quiet(bench: &Bench) -> Result<(), Mark> {
    let before = process::printed()?;
    silently(bench)?;
    let printed = process::printed()? - before;
    ensure!(printed == 0, "it printed {printed} bytes");
    Ok(())
}

fn starts_no_thread(bench: &Bench) -> Result<(), Mark> {
    let before = process::threads()?;
    silently(bench)?;
    let after = process::threads()?;
    ensure!(after.len() <= before.len(), "there were {} threads before, and now there are {after:?}", before.len());
    Ok(())
}

fn files(bench: &Bench) -> Result<(), Mark> {
    let (files, written, printed) = (process::files()?, process::written()?, process::printed()?);
    silently(bench)?;
    let written = process::written()? - written;
    let printed = process::printed()? - printed;
    let more = process::files()?;
    let opened: Vec<_> = more.iter().filter(|(number, _)| !files.contains_key(number)).map(|(_, file)| file).collect();
    ensure!(opened.is_empty(), "it opened, and kept open, {opened:?}");
    ensure!(written <= printed, "it wrote {} bytes", written - printed);
    Ok(())
}

/// The first of some copies that is fast enough will do: the machine may be slow once.
fn fast(bench: &Bench) -> Result<(), Mark> {
    const LIMIT: Duration = Duration::from_millis(50);
    let mut best = Duration::MAX;
    for attempt in 0..8 {
        let (_folder, copy) = copy(bench, "copy-")?;
        let begun = Instant::now();
        let library = untrusted::open(&copy).map_err(Mark::fail)?;
        let table = library.table().map_err(|error| Mark::fail(error.to_string()))?;
        ensure!(untrusted::start(table, HostShape::Current).is_some(), "`init` returned NULL in another folder");
        best = best.min(begun.elapsed());
        if best < LIMIT {
            return Ok(());
        }
        bench.say(format!("attempt {attempt}: {} ms", begun.elapsed().as_millis()));
    }
    Err(Mark::fail(format!("the fastest of 8 attempts took {} ms", best.as_millis())))
}

/// As far as a plugin gets: a client, and a call where one can be made.
fn live(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let target = bench.target().unwrap_or_default();
    let client = driver.fresh_id();
    let answer = bench.ask(&driver, Slot::Open, client, &bench.open_request(&target))?;
    if let (true, Some((slot, request))) = (answer.is_ok(), bench.easy(&driver)) {
        bench.ask(&driver, slot, client, &request)?;
    }
    Ok(())
}

fn signals(bench: &Bench) -> Result<(), Mark> {
    let before = process::signals()?;
    live(bench)?;
    let after = process::signals()?;
    ensure!(before == after, "the masks of signals were {before:?}, and now they are {after:?}");
    Ok(())
}

fn state(bench: &Bench) -> Result<(), Mark> {
    let state = || -> Result<_, Mark> {
        let variables: Vec<_> = std::env::vars_os().collect();
        Ok((variables, std::env::current_dir().map_err(Mark::fault)?, process::umask()?))
    };
    let (variables, folder, mask) = state()?;
    live(bench)?;
    let (variables_after, folder_after, mask_after) = state()?;
    let changed: Vec<_> = variables_after
        .iter()
        .filter(|variable| !variables.contains(variable))
        .chain(variables.iter().filter(|variable| !variables_after.contains(variable)))
        .map(|(name, _)| name)
        .collect();
    ensure!(changed.is_empty(), "it changed the environment: {changed:?}");
    ensure!(folder == folder_after, "it changed the folder to `{}`", folder_after.display());
    ensure!(mask == mask_after, "it changed the file mode mask from {mask} to {mask_after}");
    Ok(())
}
