//! Giving calls up: at any moment, and each still gets its one reply.

use mlflow_deploy_plugin_api::ffi::Slot;

use super::operations::once;
use crate::bench::Bench;
use crate::case::{Case, FILTERED};
use crate::mark::{Mark, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "cancel-one-reply",
        "cancel.one-reply",
        "A call that is cancelled gets one reply, and no more.",
        one_reply,
    ),
    Case::new("cancel-early", "cancel.early", "A cancel that comes before its call is remembered.", early)
        .inside(FILTERED),
    Case::new("cancel-late", "cancel.late", "A cancel of a call that is answered does nothing.", late).inside(FILTERED),
    Case::new("cancel-code", "cancel.code", "A call that was cancelled and failed says `CANCELLED`.", code),
    Case::new("cancel-open", "cancel.open", "An `open` that is cancelled gets one reply, and others open.", open),
    Case::new("cancel-deadline", "cancel.deadline", "A call ends by itself when its caller's time is up.", deadline)
        .recommended(),
];

/// A deadline that is never reached, in milliseconds.
const HOUR: u64 = 3_600_000;

fn one_reply(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let mut calls = Vec::new();
    if let Ok((slot, request)) = bench.pending(&driver) {
        for _ in 0..4 {
            let call = driver.fresh_id();
            bench.start(&driver, slot, (client, call), &request);
            calls.push((slot, call));
        }
    }
    for operation in bench.harmless(&driver) {
        let (slot, call) = (Slot::Operation(operation), driver.fresh_id());
        bench.start(&driver, slot, (client, call), &bench.sample(operation));
        calls.push((slot, call));
    }
    for (_, call) in &calls {
        driver.cancel(*call);
        driver.cancel(*call);
    }
    for (slot, call) in calls {
        bench.answer(&driver, slot, call)?;
    }
    bench.settle(&driver, client)?;
    once(&driver)
}

fn early(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.pending(&driver)?;
    let call = driver.fresh_id();
    bench.say(format!("cancels call {call}, which is still to come"));
    driver.cancel(call);
    bench.start(&driver, slot, (client, call), &request);
    bench.answer(&driver, slot, call).map(drop)
}

fn late(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.need_easy(&driver)?;
    let call = driver.fresh_id();
    bench.start(&driver, slot, (client, call), &request.with_timeout_ms(HOUR));
    bench.answer(&driver, slot, call)?;
    bench.say(format!("cancels call {call}, which is answered"));
    driver.cancel(call);
    driver.cancel(call);
    bench.settle(&driver, client)?;
    let replies = driver.call(call).replies.len();
    ensure!(replies == 1, "it replied {replies} times");
    Ok(())
}

fn code(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.pending(&driver)?;
    let call = driver.fresh_id();
    bench.start(&driver, slot, (client, call), &request);
    driver.cancel(call);
    let answer = bench.answer(&driver, slot, call)?;
    ensure!(answer.is_ok() || answer.code().as_deref() == Some("CANCELLED"), "{}", answer.said());
    Ok(())
}

fn open(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let target = bench.target()?;
    for _attempt in 0..16 {
        let (client, call) = (driver.fresh_id(), driver.fresh_id());
        bench.start(&driver, Slot::Open, (client, call), &bench.open_request(&target).with_timeout_ms(HOUR));
        driver.cancel(call);
        let answer = bench.answer(&driver, Slot::Open, call)?;
        // One that failed leaves nothing to close.
        if answer.is_ok() {
            driver.close(client);
        }
    }
    let client = bench.open(&driver)?;
    bench.settle(&driver, client)?;
    once(&driver)
}

fn deadline(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.pending(&driver)?;
    bench.ask(&driver, slot, client, &request.with_timeout_ms(100)).map(drop)
}
