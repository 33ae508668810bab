//! Cases that check the plugin table, which holds a plugin's functions: its layout, and the behaviour that all
//! functions share.

use std::thread;

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::ffi::TableError;
use mlflow_deploy_plugin_api::ffi::abi::{ABI, ENTRY_SYMBOL};
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape, Library, TableFacts};
use serde_json::Value;

use crate::case::{Case, FILTERED, LIBRARY, Stage};
use crate::harness::{Harness, request};
use crate::marker::{Marker, ensure};
use crate::untrusted;

pub(super) const CASES: &[Case] = &[
    Case::new("abi-entry", "abi.entry", "The library exports `mlflow_deploy_plugin_v1`.", entry)
        .in_process_only(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-table", "abi.table", "`mlflow_deploy_plugin_v1` returns a table.", table)
        .in_process_only(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-size", "abi.size", "The table begins with its size, which covers whole functions.", size)
        .in_process_only(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-version", "abi.version", "The table declares ABI 1.", version)
        .in_process_only(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-functions", "abi.functions", "The table has all required functions.", functions)
        .in_process_only(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new("abi-layout", "abi.layout", "A Rust plugin's table has the host's layout.", layout)
        .in_process_only(LIBRARY)
        .needs(Stage::Library)
        .gate(),
    Case::new(
        "abi-same-table",
        "abi.lasting",
        "The table has the same address on every thread and every call.",
        same_table,
    )
    .in_process_only(LIBRARY)
    .needs(Stage::Table),
    Case::new("abi-init", "abi.init", "`init` returns an instance.", init).needs(Stage::Table).gate(),
    Case::new("abi-init-null", "abi.no-host", "`init` returns NULL if it is passed no host.", init_null)
        .in_process_only(LIBRARY)
        .needs(Stage::Table),
    Case::new("abi-two-instances", "abi.instances", "Two instances are separate, and call only their own hosts.", two)
        .in_process_only(LIBRARY)
        .needs(Stage::Instance),
    Case::new("abi-context", "abi.context", "Callbacks receive the `ctx` of their own host.", context)
        .in_process_only(LIBRARY),
    Case::new(
        "abi-older-host",
        "abi.older-host",
        "The plugin works with a host whose table ends after `reply`.",
        older,
    )
    .in_process_only(LIBRARY)
    .needs(Stage::Instance),
    Case::new(
        "abi-newer-host",
        "abi.newer-host",
        "The plugin works with a host whose table is longer than expected.",
        newer,
    )
    .in_process_only(LIBRARY)
    .needs(Stage::Instance),
    Case::new(
        "abi-newer-request",
        "abi.newer-request",
        "The plugin accepts a request that is longer than it expects.",
        newer_request,
    )
    .in_process_only(LIBRARY),
    Case::new("abi-large-ids", "abi.ids", "64-bit ids are passed back in full.", large_ids),
    Case::new(
        "abi-unknown-ids",
        "abi.unknown-ids",
        "`cancel`, `credit` and `close` with an unknown id do nothing.",
        unknown_ids,
    )
    .in_process_only(FILTERED),
    Case::new(
        "abi-unknown-client",
        "abi.unknown-client",
        "A call on a client that is not open gets a reply.",
        no_client,
    ),
    Case::new("abi-reentrant", "abi.reentrant", "A host may call `close` and `cancel` inside `reply`.", reentrant)
        .in_process_only("a plugin in a separate process receives messages, so no call can happen inside `reply`")
        .needs(Stage::Instance),
    Case::new("abi-shutdown", "abi.shutdown", "`shutdown` gets one reply.", shutdown).needs(Stage::Instance),
    Case::new(
        "abi-shutdown-calls",
        "abi.shutdown-calls",
        "Pending calls get their replies before `shutdown` does.",
        order,
    ),
    Case::new(
        "abi-events",
        "abi.events",
        "Events are JSON with a message, a valid level, and the id of a call that was made.",
        events,
    ),
    Case::new("abi-fork", "abi.fork", "After `fork`, a call gets a reply at once.", fork).protects_host(),
];

fn facts(harness: &Harness) -> Result<TableFacts, Marker> {
    harness.library()?.table_facts().ok_or_else(|| Marker::skip("the library returns no table"))
}

fn entry(harness: &Harness) -> Result<(), Marker> {
    let name = ENTRY_SYMBOL.to_string_lossy();
    ensure!(harness.library()?.exports(ENTRY_SYMBOL), "the library does not export `{name}`");
    Ok(())
}

fn table(harness: &Harness) -> Result<(), Marker> {
    let library = harness.library()?;
    if !library.exports(ENTRY_SYMBOL) {
        return Err(Marker::skip("the library does not export `mlflow_deploy_plugin_v1`"));
    }
    harness.log("calls `mlflow_deploy_plugin_v1`");
    ensure!(library.table_facts().is_some(), "`mlflow_deploy_plugin_v1` returned NULL");
    Ok(())
}

/// The valid sizes of a plugin table in bytes. The table of every version of the contract has a size in this range.
const SIZES: std::ops::RangeInclusive<u32> = 48..=64 * 1024;

fn size(harness: &Harness) -> Result<(), Marker> {
    let size = facts(harness)?.size;
    ensure!(SIZES.contains(&size), "`size` is {size}: expected {} to {} bytes", SIZES.start(), SIZES.end());
    let pointer = size_of::<usize>();
    ensure!((size as usize).is_multiple_of(pointer), "`size` is {size}: expected a multiple of {pointer}");
    Ok(())
}

fn version(harness: &Harness) -> Result<(), Marker> {
    let facts = facts(harness)?;
    if !SIZES.contains(&facts.size) {
        return Err(Marker::skip("the table is too small to have an `abi`"));
    }
    ensure!(facts.abi == ABI, "`abi` is {}: expected {ABI}", facts.abi);
    Ok(())
}

fn functions(harness: &Harness) -> Result<(), Marker> {
    let facts = facts(harness)?;
    if !SIZES.contains(&facts.size) {
        return Err(Marker::skip("the table is too small to have an `abi`"));
    }
    let streams = ["predict_stream", "run_local"].iter().any(|slot| facts.functions.contains(slot));
    let required = ["init", "open", "close", "cancel"].into_iter().chain(streams.then_some("credit"));
    let missing: Vec<_> = required.filter(|name| !facts.functions.contains(name)).collect();
    ensure!(missing.is_empty(), "required functions are NULL: {missing:?}");
    Ok(())
}

fn layout(harness: &Harness) -> Result<(), Marker> {
    match harness.library()?.table() {
        Err(TableError::Layout(difference)) => Err(Marker::fail(difference)),
        _ => Ok(()),
    }
}

fn same_table(harness: &Harness) -> Result<(), Marker> {
    let library = harness.library()?;
    let address = |library: Library| library.table_facts().map(|facts| facts.address);
    let first = address(library);
    let elsewhere =
        thread::spawn(move || address(library)).join().map_err(|_panicked| Marker::fault("a thread panicked"))?;
    ensure!(first == elsewhere, "the table has a different address on another thread");
    ensure!(first == address(library), "the table has a different address on the second call");
    Ok(())
}

fn init(harness: &Harness) -> Result<(), Marker> {
    harness.instance().map(drop)
}

fn init_null(harness: &Harness) -> Result<(), Marker> {
    let table = harness.table()?;
    harness.log("calls `init` with NULL");
    ensure!(!untrusted::start_without_host(table), "`init` returned an instance without a host to reply to");
    Ok(())
}

fn two(harness: &Harness) -> Result<(), Marker> {
    let (one, other) = (harness.instance()?, harness.instance()?);
    ensure!(one.handle() != other.handle(), "`init` returned the same instance twice");
    let target = harness.target()?;
    for (driver, idle) in [(one, other), (other, one)] {
        let before = idle.replies();
        let answer = harness.call(&driver, Slot::Open, driver.fresh_id(), &harness.open_request(&target))?;
        ensure!(idle.replies() == before, "the reply went to the wrong host");
        answer.expect_no_panic()?;
    }
    Ok(())
}

fn context(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.require_simple_call(&driver)?;
    let call = driver.fresh_id();
    harness.start(&driver, slot, (client, call), &request);
    let answered = driver.wait(call, harness.reply_timeout(), |call| !call.replies.is_empty());
    ensure!(Driver::strange_contexts() == 0, "a callback received a `ctx` that no host passed");
    ensure!(answered, "no reply to `{}`", slot.name());
    Ok(())
}

fn older(harness: &Harness) -> Result<(), Marker> {
    works_for(harness, HostShape::Older)
}

fn newer(harness: &Harness) -> Result<(), Marker> {
    works_for(harness, HostShape::Newer)
}

fn works_for(harness: &Harness, shape: HostShape) -> Result<(), Marker> {
    let driver = harness.instance_for(shape)?;
    let target = harness.target()?;
    let client = driver.fresh_id();
    let opened = harness.call(&driver, Slot::Open, client, &harness.open_request(&target))?;
    opened.expect_proof()?;
    harness.working_call(&driver, client).map(drop)
}

fn newer_request(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.working_call(&driver, client)?;
    let newer = harness.call(&driver, slot, client, &request.newer())?;
    ensure!(newer.is_ok(), "a longer request fails, but a request of the usual length succeeds: {}", newer.describe());
    Ok(())
}

fn large_ids(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let target = harness.target()?;
    let (slot, request) = harness.require_simple_call(&driver)?;
    for id in [(1 << 32) + 1, (1 << 53) + 1, 1 << 63, u64::MAX - 1] {
        for (slot, call, request) in [(Slot::Open, id, harness.open_request(&target)), (slot, id - 2, request.clone())]
        {
            harness.start(&driver, slot, (id, call), &request);
            let answered = driver.wait(call, harness.reply_timeout(), |call| !call.replies.is_empty());
            let others: Vec<_> = driver.calls().into_iter().filter(|(_, call)| !call.made).map(|(id, _)| id).collect();
            ensure!(answered, "no reply to call {call}; replies came for {others:?}");
        }
    }
    Ok(())
}

fn unknown_ids(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.working_call(&driver, client)?;
    harness.log("calls `cancel`, `credit` and `close` with unknown ids");
    let unknown: Vec<_> = (0..4).map(|_| driver.fresh_id()).chain([u64::MAX]).collect();
    for id in &unknown {
        driver.cancel(*id);
        driver.credit(*id, u32::MAX);
        driver.close(*id);
        driver.close(*id);
    }
    harness.call(&driver, slot, client, &request)?.expect_ok()?;
    let answered: Vec<_> =
        driver.calls().into_iter().filter(|(id, call)| unknown.contains(id) && !call.replies.is_empty()).collect();
    ensure!(answered.is_empty(), "the plugin replied to calls that were never made: {answered:?}");
    Ok(())
}

fn no_client(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.require_simple_call(&driver)?;
    harness.call(&driver, slot, driver.fresh_id(), &request)?.expect_no_panic()?;
    driver.close(client);
    harness.call(&driver, slot, client, &request)?.expect_no_panic()
}

fn reentrant(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance_for(HostShape::Reentrant)?;
    let target = harness.target()?;
    let (client, other) = (driver.fresh_id(), driver.fresh_id());
    driver.close_from_reply(client);
    harness.log("closes the client inside every `reply`");
    harness.call(&driver, Slot::Open, client, &harness.open_request(&target))?;
    harness.call(&driver, Slot::Open, other, &harness.open_request(&target))?;
    if let Some((slot, request)) = harness.simple_call(&driver) {
        harness.call(&driver, slot, other, &request)?;
    }
    Ok(())
}

fn shutdown(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    if !driver.has(Slot::Shutdown) {
        return Err(Marker::skip("the plugin has no `shutdown`"));
    }
    let answer = harness.call(&driver, Slot::Shutdown, 0, &request(&Value::Null, ""))?;
    answer.expect_ok()?;
    ensure!(answer.call.replies.len() == 1, "`shutdown` got {} replies", answer.call.replies.len());
    Ok(())
}

fn order(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    if !driver.has(Slot::Shutdown) {
        return Err(Marker::skip("the plugin has no `shutdown`"));
    }
    let (slot, waits) = harness.pending(&driver, client)?;
    let call = driver.fresh_id();
    harness.start(&driver, slot, (client, call), &waits);
    harness.call(&driver, Slot::Shutdown, 0, &request(&Value::Null, ""))?;
    ensure!(driver.call(call).replies.len() == 1, "`shutdown` got its reply before `{}` did", slot.name());
    Ok(())
}

fn events(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    for operation in harness.safe_operations(&driver) {
        harness.call(&driver, Slot::Operation(operation), client, &harness.sample(operation))?;
    }
    let (calls, events) = (driver.calls(), driver.events());
    if events.is_empty() {
        harness.prove_samples(&driver, client)?;
        return Err(Marker::skip("the plugin sent no event"));
    }
    for event in events {
        let json = event.json.as_deref().unwrap_or_default();
        let text = String::from_utf8_lossy(json);
        let message: Option<Value> = serde_json::from_slice(json).ok();
        let message = message.as_ref().and_then(|event| event["message"].as_str());
        ensure!(message.is_some(), "an event is not JSON with a `message`: `{text}`");
        ensure!((1..=4).contains(&event.level), "an event has level {}, expected 1 to 4: `{text}`", event.level);
        let is_made = event.call == 0 || calls.iter().any(|(id, call)| *id == event.call && call.made);
        ensure!(is_made, "an event has the id of call {}, which was never made: `{text}`", event.call);
    }
    Ok(())
}

fn fork(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.require_simple_call(&driver)?;
    harness.call(&driver, slot, client, &request)?;
    let call = driver.fresh_id();
    let reply_timeout = harness.reply_timeout();
    harness.log("forks, and makes a call in the child process");
    let answered = untrusted::call_in_fork(reply_timeout, || {
        driver.enter(slot, client, call, &request);
        driver.wait(call, reply_timeout / 2, |call| !call.replies.is_empty())
    });
    match answered {
        Some(true) => Ok(()),
        Some(false) => Err(Marker::fail("a call in the forked process did not get a reply, or ended the process")),
        None => Err(Marker::fail("a call in the forked process did not return")),
    }
}
