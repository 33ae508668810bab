//! Calls from many threads, on one client and on many, and the end of the process in the middle of them.

use std::sync::Barrier;
use std::thread;

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};

use super::operations::once;
use crate::bench::Bench;
use crate::case::{Case, ONE_THREAD, PROCESS, Process};
use crate::mark::{Mark, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("threads-any", "threads.any", "Any thread may call any function.", any).inside(ONE_THREAD),
    Case::new("threads-one-client", "threads.one-client", "64 threads may call one client at once.", one_client)
        .inside(ONE_THREAD),
    Case::new("threads-many-clients", "threads.many-clients", "64 threads may open a client each, and call it.", many)
        .inside(ONE_THREAD),
    Case::new("threads-close", "threads.close", "A client may be closed while its calls run.", close),
    Case::new("threads-exit", "threads.exit", "The process may end while calls run.", exit)
        .inside(PROCESS)
        .process(Process::Leaves),
];

/// How often each thread calls.
const ROUNDS: usize = 16;

/// Does something on as many threads at once as the config says.
fn on_threads(bench: &Bench, work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for number in 0..bench.config().limits.threads {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}

fn any(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let target = bench.target()?;
    let client = driver.fresh_id();
    let elsewhere = |slot: Slot, client: u64, request: &Request| -> Result<_, Mark> {
        let call = driver.fresh_id();
        bench.say(format!("calls `{}` on a thread of its own", slot.name()));
        thread::scope(|scope| scope.spawn(|| driver.enter(slot, client, call, request)).join())
            .map_err(|_panicked| Mark::fault("a thread panicked"))?;
        bench.answer(&driver, slot, call)
    };
    elsewhere(Slot::Open, client, &bench.open_request(&target))?.must_be_ok()?;
    let (slot, request) = bench.need_easy(&driver)?;
    elsewhere(slot, client, &request)?.must_not_be_a_panic()?;
    thread::scope(|scope| scope.spawn(|| driver.close(client)).join())
        .map_err(|_panicked| Mark::fault("a thread panicked"))?;
    Ok(())
}

fn one_client(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.need_easy(&driver)?;
    let before = driver.replies();
    bench.say(format!("calls `{}` from many threads", slot.name()));
    on_threads(bench, |_| call_often(&driver, slot, client, &request));
    all_answered(bench, &driver, before, 1)?;
    bench.settle(&driver, client)?;
    once(&driver)
}

fn call_often(driver: &Driver, slot: Slot, client: u64, request: &Request) {
    for _ in 0..ROUNDS {
        driver.enter(slot, client, driver.fresh_id(), request);
    }
}

/// Waits for the replies to all rounds of all threads, and so many times as many.
fn all_answered(bench: &Bench, driver: &Driver, before: u64, times: u64) -> Result<(), Mark> {
    let expected = (bench.config().limits.threads * ROUNDS) as u64 * times;
    let all = driver.wait_for_replies(before + expected, bench.patience());
    ensure!(all, "of {expected} calls {} were answered", driver.replies() - before);
    Ok(())
}

fn many(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let target = bench.target()?;
    let open = bench.open_request(&target);
    let (slot, request) = bench.need_easy(&driver)?;
    let patience = bench.patience();
    bench.say("opens a client on each of many threads");
    let clients: Vec<_> = (0..bench.config().limits.threads).map(|_| driver.fresh_id()).collect();
    on_threads(bench, |number| {
        let (Some(client), call) = (clients.get(number), driver.fresh_id()) else { return };
        driver.enter(Slot::Open, *client, call, &open);
        driver.wait(call, patience, |call| !call.replies.is_empty());
        call_often(&driver, slot, *client, &request);
    });
    let opened = clients.len() as u64;
    all_answered(bench, &driver, opened, 1)?;
    for client in clients {
        driver.close(client);
    }
    let failed = driver.calls().iter().any(|(_, call)| {
        call.replies.iter().any(|reply| {
            reply.body.as_deref().is_some_and(|body| body.windows(15).any(|word| word == b"PLUGIN_PANICKED"))
        })
    });
    ensure!(!failed, "the plugin panicked");
    Ok(())
}

fn close(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.pending(&driver).or_else(|_| bench.need_easy(&driver))?;
    let before = driver.replies();
    let calls: Vec<_> = (0..bench.config().limits.threads * ROUNDS).map(|_| driver.fresh_id()).collect();
    bench.say("calls from many threads, and closes the client when all have called");
    let all_have_called = Barrier::new(bench.config().limits.threads);
    on_threads(bench, |number| {
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
    all_answered(bench, &driver, before, 1)?;
    let other = bench.open(&driver)?;
    bench.settle(&driver, other)?;
    once(&driver)
}

fn exit(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    // A plugin that loads a library of its own with its first call cannot guard what it has not loaded yet.
    if let Some((slot, request)) = bench.easy(&driver) {
        bench.ask(&driver, slot, client, &request)?;
    }
    let (slot, request) = bench.pending(&driver).or_else(|_| bench.need_easy(&driver))?;
    for _ in 0..8 {
        bench.start(&driver, slot, (client, driver.fresh_id()), &request);
    }
    bench.say("ends the process");
    Ok(())
}
