//! Cases that check memory and other resources: the plugin does not keep memory that it borrowed, and releases its own.

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape, Request};
use serde_json::Value;

use super::process;
use crate::case::{Case, PROCESS, SLICES};
use crate::harness::{Answer, Harness, request};
use crate::marker::{Marker, ensure};
use crate::untrusted;

pub(super) const CASES: &[Case] = &[
    Case::new("memory-lent", "memory.lent", "A request is not read after the slot has returned.", lent)
        .in_process_only(SLICES),
    Case::new("memory-bounds", "memory.bounds", "Slices are not read past their end.", bounds).in_process_only(SLICES),
    Case::new("memory-calls", "memory.calls", "Memory does not grow over 10 000 calls.", calls)
        .in_process_only(PROCESS),
    Case::new("memory-clients", "memory.clients", "Closed clients leave no memory, file or thread behind.", clients)
        .in_process_only(PROCESS),
    Case::new(
        "memory-instances",
        "memory.instances",
        "An instance leaves no thread behind after `shutdown`.",
        instances,
    )
    .protects_host(),
];

/// Makes the sample call of each operation, with its request changed by `change`. Fails if the plugin panics, or if the
/// unchanged calls do not succeed afterwards.
fn call_all(harness: &Harness, change: impl Fn(Request) -> Request) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let target = harness.target()?;
    let client = driver.fresh_id();
    harness.call(&driver, Slot::Open, client, &change(harness.open_request(&target)))?.expect_no_panic()?;
    for operation in harness.safe_operations(&driver) {
        let slot = Slot::Operation(operation);
        harness.call(&driver, slot, client, &change(harness.sample(operation)))?.expect_no_panic()?;
    }
    harness.prove_samples(&driver, client)
}

fn lent(harness: &Harness) -> Result<(), Marker> {
    call_all(harness, Request::fleeting)
}

fn bounds(harness: &Harness) -> Result<(), Marker> {
    call_all(harness, Request::guarded)
}

/// The growth of the process's memory that is allowed, in KiB. The allocator and other threads may need this much.
const MARGIN: u64 = 8 * 1024;

fn calls(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.working_call(&driver, client)?;
    driver.be_brief();
    let many = harness.config().limits.calls;
    // The first calls allocate resources that later calls reuse, such as a connection or a thread's arena.
    call_often(harness, &driver, (slot, client), &request, many / 5 + 1)?;
    let before = process::memory()?;
    call_often(harness, &driver, (slot, client), &request, many)?;
    let after = process::memory()?;
    let grown = after.saturating_sub(before);
    ensure!(grown < MARGIN, "memory grew by {grown} KiB over {many} calls of `{}`", slot.name());
    Ok(())
}

fn call_often(
    harness: &Harness,
    driver: &Driver,
    (slot, client): (Slot, u64),
    request: &Request,
    many: u64,
) -> Result<(), Marker> {
    const AT_ONCE: u64 = 16;
    harness.log(format!("calls `{}` {many} times", slot.name()));
    let before = driver.replies();
    for number in 0..many {
        let call = driver.fresh_id();
        driver.enter(slot, client, call, request);
        let due = before + (number + 1).saturating_sub(AT_ONCE);
        ensure!(
            driver.wait_for_replies(due, harness.reply_timeout()),
            "no reply to one of {number} calls of `{}`",
            slot.name()
        );
        driver.forget_answered();
    }
    ensure!(
        driver.wait_for_replies(before + many, harness.reply_timeout()),
        "no reply to one of {many} calls of `{}`",
        slot.name()
    );
    Ok(())
}

fn clients(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    driver.close(harness.open(&driver)?);
    driver.be_brief();
    let target = harness.target()?;
    let round = |many: u64| (0..many).try_for_each(|_| open_and_close(harness, &driver, &target));
    let many = harness.config().limits.calls / 10 + 1;
    round(many / 5 + 1)?;
    let (memory, files, threads) = (process::memory()?, process::files()?.len(), process::threads()?.len());
    harness.log(format!("opens and closes {many} clients"));
    round(many)?;
    let grown = process::memory()?.saturating_sub(memory);
    ensure!(grown < MARGIN, "memory grew by {grown} KiB over {many} clients");
    let more_files = process::files()?.len().saturating_sub(files);
    ensure!((more_files as u64) < many / 4 + 8, "{many} clients left {more_files} files open");
    let left = process::threads_at_most(threads + 8, harness.reply_timeout())?.saturating_sub(threads);
    ensure!(left <= 8, "{many} clients left {left} threads behind");
    Ok(())
}

fn open_and_close(harness: &Harness, driver: &Driver, target: &str) -> Result<(), Marker> {
    let (client, call) = (driver.fresh_id(), driver.fresh_id());
    driver.enter(Slot::Open, client, call, &harness.open_request(target));
    ensure!(driver.wait(call, harness.reply_timeout(), |call| !call.replies.is_empty()), "no reply to `open`");
    driver.forget(call);
    driver.close(client);
    Ok(())
}

fn instances(harness: &Harness) -> Result<(), Marker> {
    const MANY: usize = 16;
    let table = harness.table()?;
    let target = harness.target()?;
    let before = process::threads()?.len();
    let mut proof = Ok(());
    for _ in 0..MANY {
        let driver = untrusted::start(table, HostShape::Current).ok_or_else(|| Marker::fail("`init` returned NULL"))?;
        if !driver.has(Slot::Shutdown) {
            return Err(Marker::skip("the plugin has no `shutdown`"));
        }
        let client = driver.fresh_id();
        let opened: Answer = harness.call(&driver, Slot::Open, client, &harness.open_request(&target))?;
        if let (true, Some((slot, request))) = (opened.is_ok(), harness.simple_call(&driver)) {
            proof = proof.and(harness.call(&driver, slot, client, &request)?.expect_proof());
        }
        proof = proof.and(opened.expect_proof());
        driver.close(client);
        harness.call(&driver, Slot::Shutdown, 0, &request(&Value::Null, ""))?;
    }
    // A few threads that all instances share are not a leak.
    let limit = before + MANY / 2;
    let threads = process::threads_at_most(limit, harness.reply_timeout())?;
    ensure!(threads <= limit, "{} threads are left after the shutdown of {MANY} instances", threads - before);
    proof
}
