//! Cases that make calls from many threads, with one client and with many, and cases that exit the process during
//! calls.

use std::sync::Barrier;
use std::thread;

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};

use super::operations::each_has_one_reply;
use crate::case::{Case, ONE_THREAD, PROCESS, Process};
use crate::harness::Harness;
use crate::marker::{Marker, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("threads-any", "threads.any", "Any thread may call any function.", any).in_process_only(ONE_THREAD),
    Case::new("threads-one-client", "threads.one-client", "64 threads may call one client in parallel.", one_client)
        .in_process_only(ONE_THREAD),
    Case::new(
        "threads-many-clients",
        "threads.many-clients",
        "64 threads may each open and call a client in parallel.",
        many,
    )
    .in_process_only(ONE_THREAD),
    Case::new("threads-close", "threads.close", "A client may be closed while its calls run.", close),
    Case::new("threads-exit", "threads.exit", "The process may exit while calls run.", exit)
        .in_process_only(PROCESS)
        .process(Process::Exits),
    Case::new(
        "threads-host-end",
        "threads.host-end",
        "A process plugin exits after the end of the connection to its host, also while calls run.",
        host_end,
    )
    .process_only(),
];

/// The number of calls that each thread makes.
const ROUNDS: usize = 16;

/// Calls `work` on as many threads as `limits.threads` in the config, and waits until all of them have ended.
fn on_threads(harness: &Harness, work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for number in 0..harness.config().limits.threads {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}

fn any(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let target = harness.target()?;
    let client = driver.fresh_id();
    let elsewhere = |slot: Slot, client: u64, request: &Request| -> Result<_, Marker> {
        let call = driver.fresh_id();
        harness.log(format!("calls `{}` on a new thread", slot.name()));
        thread::scope(|scope| scope.spawn(|| driver.enter(slot, client, call, request)).join())
            .map_err(|_panicked| Marker::fault("a thread panicked"))?;
        harness.answer(&driver, slot, call)
    };
    elsewhere(Slot::Open, client, &harness.open_request(&target))?.expect_ok()?;
    let (slot, request) = harness.require_simple_call(&driver)?;
    let answer = elsewhere(slot, client, &request)?;
    answer.expect_no_panic()?;
    thread::scope(|scope| scope.spawn(|| driver.close(client)).join())
        .map_err(|_panicked| Marker::fault("a thread panicked"))?;
    answer.expect_proof()
}

fn one_client(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.working_call(&driver, client)?;
    let before = driver.replies();
    harness.log(format!("calls `{}` from many threads", slot.name()));
    on_threads(harness, |_| call_often(&driver, slot, client, &request));
    all_answered(harness, &driver, before)?;
    harness.drain(&driver, client)?;
    each_has_one_reply(&driver)
}

fn call_often(driver: &Driver, slot: Slot, client: u64, request: &Request) {
    for _ in 0..ROUNDS {
        driver.enter(slot, client, driver.fresh_id(), request);
    }
}

/// Waits until the calls of all threads have got their replies. `before` is the number of replies before these calls.
fn all_answered(harness: &Harness, driver: &Driver, before: u64) -> Result<(), Marker> {
    let expected = (harness.config().limits.threads * ROUNDS) as u64;
    let all = driver.wait_for_replies(before + expected, harness.reply_timeout());
    ensure!(all, "of {expected} calls, {} got a reply", driver.replies() - before);
    Ok(())
}

fn many(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let target = harness.target()?;
    let open = harness.open_request(&target);
    let (slot, request) = harness.require_simple_call(&driver)?;
    let reply_timeout = harness.reply_timeout();
    harness.log("opens a client on each of many threads");
    let clients: Vec<_> = (0..harness.config().limits.threads).map(|_| driver.fresh_id()).collect();
    on_threads(harness, |number| {
        let (Some(client), call) = (clients.get(number), driver.fresh_id()) else { return };
        driver.enter(Slot::Open, *client, call, &open);
        driver.wait(call, reply_timeout, |call| !call.replies.is_empty());
        call_often(&driver, slot, *client, &request);
    });
    let opened = clients.len() as u64;
    all_answered(harness, &driver, opened)?;
    for client in clients {
        driver.close(client);
    }
    let failed = driver.calls().iter().any(|(_, call)| {
        call.replies.iter().any(|reply| {
            reply.body.as_deref().is_some_and(|body| body.windows(15).any(|word| word == b"PLUGIN_PANICKED"))
        })
    });
    ensure!(!failed, "the plugin panicked");
    harness.working_call(&driver, harness.open(&driver)?).map(drop)
}

fn close(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.pending_or_working(&driver, client)?;
    let before = driver.replies();
    let calls: Vec<_> = (0..harness.config().limits.threads * ROUNDS).map(|_| driver.fresh_id()).collect();
    harness.log("calls from many threads, and closes the client when all have called");
    let all_have_called = Barrier::new(harness.config().limits.threads);
    on_threads(harness, |number| {
        let own = || calls.iter().skip(number * ROUNDS).take(ROUNDS);
        for call in own() {
            driver.enter(slot, client, *call, &request);
        }
        all_have_called.wait();
        for call in own() {
            driver.cancel(*call);
        }
        if number == 0 {
            driver.close(client);
        }
    });
    all_answered(harness, &driver, before)?;
    let other = harness.open(&driver)?;
    harness.drain(&driver, other)?;
    each_has_one_reply(&driver)
}

fn exit(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    start_calls(harness, &driver)?;
    harness.log("exits the process");
    Ok(())
}

fn host_end(harness: &Harness) -> Result<(), Marker> {
    let (driver, connection) = harness.connected_instance()?;
    start_calls(harness, &driver)?;
    harness.log("ends the connection, and waits for the exit of the process");
    connection.end();
    Ok(())
}

/// Opens a client and starts calls that do not end soon, if the plugin has such an operation.
fn start_calls(harness: &Harness, driver: &Driver) -> Result<(), Marker> {
    let client = harness.open(driver)?;
    // A plugin may load another library on its first call. It can handle the exit of the process only after that.
    if let Some((slot, request)) = harness.simple_call(driver) {
        harness.call(driver, slot, client, &request)?;
    }
    let (slot, request) = harness.pending_or_working(driver, client)?;
    for _ in 0..8 {
        harness.start(driver, slot, (client, driver.fresh_id()), &request);
    }
    Ok(())
}
