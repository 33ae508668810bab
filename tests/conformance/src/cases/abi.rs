//! The table: how it looks, and what its functions do whatever the operation.

use std::thread;

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::ffi::TableError;
use mlflow_deploy_plugin_api::ffi::abi::{ABI, ENTRY_SYMBOL};
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape, Library, TableFacts};
use serde_json::Value;

use crate::bench::{Bench, request};
use crate::case::{Case, FILTERED, LIBRARY, PROCESS, Stage};
use crate::mark::{Mark, ensure};
use crate::untrusted;

pub(super) const CASES: &[Case] = &[
    Case::new("abi-entry", "abi.entry", "The library exports `mlflow_deploy_plugin_v1`.", entry)
        .inside(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-table", "abi.table", "`mlflow_deploy_plugin_v1` returns a table.", table)
        .inside(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-size", "abi.size", "The table begins with its size, which holds whole functions.", size)
        .inside(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-version", "abi.version", "The table says that it speaks ABI 1.", version)
        .inside(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-functions", "abi.functions", "The table has every function that a plugin must have.", functions)
        .inside(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-layout", "abi.layout", "A Rust plugin's table is laid out as the host's.", layout)
        .inside(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-same-table", "abi.lasting", "The table stays the same one, whichever thread asks.", same_table)
        .inside(LIBRARY)
        .needs(Stage::Table),
    Case::new("abi-init", "abi.init", "`init` makes an instance.", init).needs(Stage::Table).gate(),
    Case::new("abi-init-null", "abi.no-host", "`init` returns NULL where it is given no host.", init_null)
        .inside(LIBRARY)
        .needs(Stage::Table),
    Case::new("abi-two-instances", "abi.instances", "Two instances are apart, and answer to their own hosts.", two)
        .inside(LIBRARY)
        .needs(Stage::Instance),
    Case::new("abi-context", "abi.context", "Callbacks get the `ctx` of their own host back.", context).inside(LIBRARY),
    Case::new("abi-older-host", "abi.older-host", "It does with a host that has `reply` and nothing after it.", older)
        .inside(LIBRARY)
        .needs(Stage::Instance),
    Case::new("abi-newer-host", "abi.newer-host", "It does with a host whose table is longer than it knows.", newer)
        .inside(LIBRARY)
        .needs(Stage::Instance),
    Case::new(
        "abi-newer-request",
        "abi.newer-request",
        "A request that is longer than it knows is read.",
        newer_request,
    )
    .inside(LIBRARY),
    Case::new("abi-large-ids", "abi.ids", "Ids are 64 bits wide, and come back whole.", large_ids),
    Case::new("abi-unknown-ids", "abi.unknown-ids", "Ids that it does not know do nothing.", unknown_ids)
        .inside(FILTERED),
    Case::new(
        "abi-unknown-client",
        "abi.unknown-client",
        "A call of a client that is not open is replied to.",
        no_client,
    ),
    Case::new("abi-reentrant", "abi.reentrant", "A host may close and cancel from within `reply`.", reentrant)
        .inside("no reply is waited for between processes")
        .needs(Stage::Instance),
    Case::new("abi-shutdown", "abi.shutdown", "`shutdown` is replied to, once.", shutdown).needs(Stage::Instance),
    Case::new(
        "abi-shutdown-calls",
        "abi.shutdown-calls",
        "Calls on their way are answered before `shutdown` is.",
        order,
    ),
    Case::new(
        "abi-events",
        "abi.events",
        "Events are JSON with a message, of a level and a call that there are.",
        events,
    ),
    Case::new("abi-fork", "abi.fork", "After a fork calls are answered at once.", fork).inside(PROCESS),
];

fn facts(bench: &Bench) -> Result<TableFacts, Mark> {
    bench.library()?.table_facts().ok_or_else(|| Mark::skip("there is no table"))
}

fn entry(bench: &Bench) -> Result<(), Mark> {
    let name = ENTRY_SYMBOL.to_string_lossy();
    ensure!(bench.library()?.exports(ENTRY_SYMBOL), "it does not export `{name}`");
    Ok(())
}

fn table(bench: &Bench) -> Result<(), Mark> {
    let library = bench.library()?;
    if !library.exports(ENTRY_SYMBOL) {
        return Err(Mark::skip("there is no way in"));
    }
    bench.say("calls `mlflow_deploy_plugin_v1`");
    ensure!(library.table_facts().is_some(), "it returned NULL");
    Ok(())
}

/// The smallest table there ever was, and one that no version will be as large as.
const SIZES: std::ops::RangeInclusive<u32> = 48..=64 * 1024;

fn size(bench: &Bench) -> Result<(), Mark> {
    let size = facts(bench)?.size;
    ensure!(SIZES.contains(&size), "it says that it has {size} bytes: too few for what every plugin has, or too many");
    let pointer = size_of::<usize>();
    ensure!(
        (size as usize).is_multiple_of(pointer),
        "it says that it has {size} bytes, which is no multiple of {pointer}"
    );
    Ok(())
}

fn version(bench: &Bench) -> Result<(), Mark> {
    let facts = facts(bench)?;
    if !SIZES.contains(&facts.size) {
        return Err(Mark::skip("the table is too small to say"));
    }
    ensure!(facts.abi == ABI, "it says ABI {}", facts.abi);
    Ok(())
}

fn functions(bench: &Bench) -> Result<(), Mark> {
    let facts = facts(bench)?;
    if !SIZES.contains(&facts.size) {
        return Err(Mark::skip("the table is too small to say"));
    }
    let streams = ["predict_stream", "run_local"].iter().any(|slot| facts.functions.contains(slot));
    let required = ["init", "open", "close", "cancel"].into_iter().chain(streams.then_some("credit"));
    let missing: Vec<_> = required.filter(|name| !facts.functions.contains(name)).collect();
    ensure!(missing.is_empty(), "these are NULL: {missing:?}");
    Ok(())
}

fn layout(bench: &Bench) -> Result<(), Mark> {
    match bench.library()?.table() {
        Err(TableError::Layout(difference)) => Err(Mark::fail(difference)),
        _ => Ok(()),
    }
}

fn same_table(bench: &Bench) -> Result<(), Mark> {
    let library = bench.library()?;
    let address = |library: Library| library.table_facts().map(|facts| facts.address);
    let first = address(library);
    let elsewhere =
        thread::spawn(move || address(library)).join().map_err(|_panicked| Mark::fault("a thread panicked"))?;
    ensure!(first == elsewhere, "another thread got another table");
    ensure!(first == address(library), "it gave another table when it was asked again");
    Ok(())
}

fn init(bench: &Bench) -> Result<(), Mark> {
    bench.instance().map(drop)
}

fn init_null(bench: &Bench) -> Result<(), Mark> {
    let table = bench.table()?;
    bench.say("calls `init` with NULL");
    ensure!(!untrusted::start_without_host(table), "it made an instance that can never reply");
    Ok(())
}

fn two(bench: &Bench) -> Result<(), Mark> {
    let (one, other) = (bench.instance()?, bench.instance()?);
    ensure!(one.handle() != other.handle(), "`init` returned the same instance twice");
    let target = bench.target()?;
    for (driver, idle) in [(one, other), (other, one)] {
        let before = idle.replies();
        let answer = bench.ask(&driver, Slot::Open, driver.fresh_id(), &bench.open_request(&target))?;
        ensure!(idle.replies() == before, "the other host was replied to as well");
        answer.must_not_be_a_panic()?;
    }
    Ok(())
}

fn context(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.need_easy(&driver)?;
    let call = driver.fresh_id();
    bench.start(&driver, slot, (client, call), &request);
    let answered = driver.wait(call, bench.patience(), |call| !call.replies.is_empty());
    ensure!(Driver::strange_contexts() == 0, "a callback was called with a `ctx` that no host gave");
    ensure!(answered, "no reply to `{}`", slot.name());
    Ok(())
}

fn older(bench: &Bench) -> Result<(), Mark> {
    works_for(bench, HostShape::Older)
}

fn newer(bench: &Bench) -> Result<(), Mark> {
    works_for(bench, HostShape::Newer)
}

fn works_for(bench: &Bench, shape: HostShape) -> Result<(), Mark> {
    let driver = bench.instance_for(shape)?;
    let target = bench.target()?;
    let client = driver.fresh_id();
    let opened = bench.ask(&driver, Slot::Open, client, &bench.open_request(&target))?;
    if let (true, Some((slot, request))) = (opened.is_ok(), bench.easy(&driver)) {
        bench.ask(&driver, slot, client, &request)?;
    }
    Ok(())
}

fn newer_request(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.need_easy(&driver)?;
    let plain = bench.ask(&driver, slot, client, &request)?;
    let newer = bench.ask(&driver, slot, client, &request.newer())?;
    ensure!(
        newer.is_ok() == plain.is_ok(),
        "a longer request is not answered as one of the usual length: {}",
        newer.said()
    );
    Ok(())
}

fn large_ids(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let target = bench.target()?;
    let (slot, request) = bench.need_easy(&driver)?;
    for id in [(1 << 32) + 1, (1 << 53) + 1, 1 << 63, u64::MAX - 1] {
        for (slot, call, request) in [(Slot::Open, id, bench.open_request(&target)), (slot, id - 2, request.clone())] {
            bench.start(&driver, slot, (id, call), &request);
            let answered = driver.wait(call, bench.patience(), |call| !call.replies.is_empty());
            let others: Vec<_> = driver.calls().into_iter().filter(|(_, call)| !call.made).map(|(id, _)| id).collect();
            ensure!(answered, "no reply to call {call}; replies came for {others:?}");
        }
    }
    Ok(())
}

fn unknown_ids(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.need_easy(&driver)?;
    bench.say("cancels, credits and closes what there never was");
    let unknown: Vec<_> = (0..4).map(|_| driver.fresh_id()).chain([u64::MAX]).collect();
    for id in &unknown {
        driver.cancel(*id);
        driver.credit(*id, u32::MAX);
        driver.close(*id);
        driver.close(*id);
    }
    bench.ask(&driver, slot, client, &request)?;
    let answered: Vec<_> =
        driver.calls().into_iter().filter(|(id, call)| unknown.contains(id) && !call.replies.is_empty()).collect();
    ensure!(answered.is_empty(), "it replied to calls that nobody made: {answered:?}");
    Ok(())
}

fn no_client(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.need_easy(&driver)?;
    bench.ask(&driver, slot, driver.fresh_id(), &request)?.must_not_be_a_panic()?;
    driver.close(client);
    bench.ask(&driver, slot, client, &request)?.must_not_be_a_panic()
}

fn reentrant(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance_for(HostShape::Reentrant)?;
    let target = bench.target()?;
    let (client, other) = (driver.fresh_id(), driver.fresh_id());
    driver.close_from_reply(client);
    bench.say("the host closes the client from within every reply");
    bench.ask(&driver, Slot::Open, client, &bench.open_request(&target))?;
    bench.ask(&driver, Slot::Open, other, &bench.open_request(&target))?;
    if let Some((slot, request)) = bench.easy(&driver) {
        bench.ask(&driver, slot, other, &request)?;
    }
    Ok(())
}

fn shutdown(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    if !driver.has(Slot::Shutdown) {
        return Err(Mark::skip("there is no `shutdown`"));
    }
    let answer = bench.ask(&driver, Slot::Shutdown, 0, &request(&Value::Null, ""))?;
    answer.must_be_ok()?;
    ensure!(answer.call.replies.len() == 1, "it was replied to {} times", answer.call.replies.len());
    Ok(())
}

fn order(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    if !driver.has(Slot::Shutdown) {
        return Err(Mark::skip("there is no `shutdown`"));
    }
    let (slot, waits) = bench.pending(&driver)?;
    let call = driver.fresh_id();
    bench.start(&driver, slot, (client, call), &waits);
    bench.ask(&driver, Slot::Shutdown, 0, &request(&Value::Null, ""))?;
    ensure!(driver.call(call).replies.len() == 1, "`{}` had not been answered when `shutdown` was", slot.name());
    Ok(())
}

fn events(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    for operation in bench.harmless(&driver) {
        bench.ask(&driver, Slot::Operation(operation), client, &bench.sample(operation))?;
    }
    let calls = driver.calls();
    for event in driver.events() {
        let json = event.json.as_deref().unwrap_or_default();
        let said = String::from_utf8_lossy(json);
        let message: Option<Value> = serde_json::from_slice(json).ok();
        let message = message.as_ref().and_then(|event| event["message"].as_str());
        ensure!(message.is_some(), "an event is no JSON with a `message`: `{said}`");
        ensure!((1..=4).contains(&event.level), "an event has the level {}: `{said}`", event.level);
        let is_made = event.call == 0 || calls.iter().any(|(id, call)| *id == event.call && call.made);
        ensure!(is_made, "an event is about call {}, which nobody made: `{said}`", event.call);
    }
    Ok(())
}

fn fork(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.need_easy(&driver)?;
    bench.ask(&driver, slot, client, &request)?;
    let call = driver.fresh_id();
    let patience = bench.patience();
    bench.say("forks, and calls in the fork");
    let answered = untrusted::call_in_fork(patience, || {
        driver.enter(slot, client, call, &request);
        driver.wait(call, patience / 2, |call| !call.replies.is_empty())
    });
    match answered {
        Some(true) => Ok(()),
        Some(false) => Err(Mark::fail("a call in the fork was not answered, or ended the fork")),
        None => Err(Mark::fail("a call in the fork did not return")),
    }
}
