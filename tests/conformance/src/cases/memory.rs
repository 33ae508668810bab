//! Memory and other things of the process: what is lent is not kept, and what is used is given back.

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape, Request};
use serde_json::Value;

use super::process;
use crate::bench::{Answer, Bench, request};
use crate::case::{Case, LENT, PROCESS};
use crate::mark::{Mark, ensure};
use crate::untrusted;

pub(super) const CASES: &[Case] = &[
    Case::new("memory-lent", "memory.lent", "What a request lends is not read after the slot has returned.", lent)
        .inside(LENT),
    Case::new("memory-bounds", "memory.bounds", "Slices are read to their length, and no further.", bounds)
        .inside(LENT),
    Case::new("memory-calls", "memory.calls", "Memory does not grow over 10 000 calls.", calls).inside(PROCESS),
    Case::new(
        "memory-clients",
        "memory.clients",
        "Clients that are closed leave no memory, file or thread behind.",
        clients,
    )
    .inside(PROCESS),
    Case::new(
        "memory-instances",
        "memory.instances",
        "Instances that are shut down leave no thread behind.",
        instances,
    )
    .inside(PROCESS),
];

/// Asks everything with what `change` makes of each sample.
fn asked(bench: &Bench, change: impl Fn(Request) -> Request) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let target = bench.target()?;
    let client = driver.fresh_id();
    bench.ask(&driver, Slot::Open, client, &change(bench.open_request(&target)))?.must_not_be_a_panic()?;
    for operation in bench.harmless(&driver) {
        let slot = Slot::Operation(operation);
        bench.ask(&driver, slot, client, &change(bench.sample(operation)))?.must_not_be_a_panic()?;
    }
    Ok(())
}

fn lent(bench: &Bench) -> Result<(), Mark> {
    asked(bench, Request::fleeting)
}

fn bounds(bench: &Bench) -> Result<(), Mark> {
    asked(bench, Request::guarded)
}

/// How much more may be in use, in KiB, whatever the allocator and other threads do meanwhile.
const MARGIN: u64 = 8 * 1024;

fn calls(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    driver.be_brief();
    let (slot, request) = bench.need_easy(&driver)?;
    let many = bench.config().limits.calls;
    // What is kept once, such as a connection or a thread's arena, is there after the first of them.
    call_often(bench, &driver, (slot, client), &request, many / 5 + 1)?;
    let before = process::memory()?;
    call_often(bench, &driver, (slot, client), &request, many)?;
    let after = process::memory()?;
    let grown = after.saturating_sub(before);
    ensure!(grown < MARGIN, "{many} calls of `{}` took {grown} KiB", slot.name());
    Ok(())
}

fn call_often(
    bench: &Bench,
    driver: &Driver,
    (slot, client): (Slot, u64),
    request: &Request,
    many: u64,
) -> Result<(), Mark> {
    const AT_ONCE: u64 = 16;
    bench.say(format!("calls `{}` {many} times", slot.name()));
    let before = driver.replies();
    for number in 0..many {
        let call = driver.fresh_id();
        driver.enter(slot, client, call, request);
        let due = before + (number + 1).saturating_sub(AT_ONCE);
        ensure!(
            driver.wait_for_replies(due, bench.patience()),
            "no reply to one of {number} calls of `{}`",
            slot.name()
        );
        driver.forget_answered();
    }
    ensure!(
        driver.wait_for_replies(before + many, bench.patience()),
        "no reply to one of {many} calls of `{}`",
        slot.name()
    );
    Ok(())
}

fn clients(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    driver.be_brief();
    let target = bench.target()?;
    let round = |many: u64| (0..many).try_for_each(|_| open_and_close(bench, &driver, &target));
    let many = bench.config().limits.calls / 10 + 1;
    round(many / 5 + 1)?;
    let (memory, files, threads) = (process::memory()?, process::files()?.len(), process::threads()?.len());
    bench.say(format!("opens and closes {many} clients"));
    round(many)?;
    let grown = process::memory()?.saturating_sub(memory);
    ensure!(grown < MARGIN, "{many} clients took {grown} KiB");
    let more_files = process::files()?.len().saturating_sub(files);
    ensure!((more_files as u64) < many / 4 + 8, "{many} clients left {more_files} files open");
    let left = process::threads_at_most(threads + 8, bench.patience())?.saturating_sub(threads);
    ensure!(left <= 8, "{many} clients left {left} threads behind");
    Ok(())
}

fn open_and_close(bench: &Bench, driver: &Driver, target: &str) -> Result<(), Mark> {
    let (client, call) = (driver.fresh_id(), driver.fresh_id());
    driver.enter(Slot::Open, client, call, &bench.open_request(target));
    ensure!(driver.wait(call, bench.patience(), |call| !call.replies.is_empty()), "no reply to `open`");
    driver.forget(call);
    driver.close(client);
    Ok(())
}

fn instances(bench: &Bench) -> Result<(), Mark> {
    const MANY: usize = 16;
    let table = bench.table()?;
    let target = bench.target()?;
    let before = process::threads()?.len();
    for _ in 0..MANY {
        let driver = untrusted::start(table, HostShape::Current).ok_or_else(|| Mark::fail("`init` returned NULL"))?;
        if !driver.has(Slot::Shutdown) {
            return Err(Mark::skip("there is no `shutdown`"));
        }
        let client = driver.fresh_id();
        let opened: Answer = bench.ask(&driver, Slot::Open, client, &bench.open_request(&target))?;
        if let (true, Some((slot, request))) = (opened.is_ok(), bench.easy(&driver)) {
            bench.ask(&driver, slot, client, &request)?;
        }
        driver.close(client);
        bench.ask(&driver, Slot::Shutdown, 0, &request(&Value::Null, ""))?;
    }
    // One or two that all instances share are no leak.
    let most = before + MANY / 2;
    let threads = process::threads_at_most(most, bench.patience())?;
    ensure!(threads <= most, "{MANY} instances were shut down, and {} threads are left", threads - before);
    Ok(())
}
