//! Cases that check the cancellation of calls: before a call, during it, and after its reply.

use mlflow_deploy_plugin_api::ffi::Slot;

use super::operations::each_has_one_reply;
use crate::case::{Case, FILTERED};
use crate::harness::Harness;
use crate::marker::{Marker, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("cancel-one-reply", "cancel.one-reply", "A cancelled call gets exactly one reply.", one_reply),
    Case::new("cancel-early", "cancel.early", "A cancel that arrives before its call is remembered.", early)
        .in_process_only(FILTERED),
    Case::new("cancel-late", "cancel.late", "A cancel after the reply does nothing.", late).in_process_only(FILTERED),
    Case::new("cancel-code", "cancel.code", "A call that fails because of a cancel has the code `CANCELLED`.", code),
    Case::new("cancel-open", "cancel.open", "A cancelled `open` gets exactly one reply, and other clients open.", open),
    Case::new(
        "cancel-deadline",
        "cancel.deadline",
        "A call gets its reply at its deadline, without a cancel.",
        deadline,
    ),
];

/// A timeout of one hour in milliseconds, which is longer than any call of these cases.
const HOUR: u64 = 3_600_000;

/// The timeout of the calls of `cancel-one-reply` in milliseconds. A value of its own lets a mutant tell these calls from
/// those of the other cases.
const THREE_HOURS: u64 = 3 * HOUR;

fn one_reply(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let mut calls = Vec::new();
    let proof = match harness.pending(&driver, client) {
        Ok((slot, request)) => {
            let request = request.with_timeout_ms(THREE_HOURS);
            for _ in 0..4 {
                let call = driver.fresh_id();
                harness.start(&driver, slot, (client, call), &request);
                calls.push((slot, call));
            }
            Ok(())
        }
        Err(Marker::Skip(_)) => harness.prove_samples(&driver, client),
        Err(marker) => Err(marker),
    };
    for operation in harness.safe_operations(&driver) {
        let (slot, call) = (Slot::Operation(operation), driver.fresh_id());
        harness.start(&driver, slot, (client, call), &harness.sample(operation));
        calls.push((slot, call));
    }
    for (_, call) in &calls {
        driver.cancel(*call);
        driver.cancel(*call);
    }
    for (slot, call) in calls {
        harness.answer(&driver, slot, call)?;
    }
    harness.drain(&driver, client)?;
    each_has_one_reply(&driver)?;
    proof
}

fn early(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.pending(&driver, client)?;
    let call = driver.fresh_id();
    harness.log(format!("cancels call {call} before it is made"));
    driver.cancel(call);
    harness.start(&driver, slot, (client, call), &request);
    harness.answer(&driver, slot, call).map(drop)
}

fn late(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.working_call(&driver, client)?;
    let call = driver.fresh_id();
    harness.start(&driver, slot, (client, call), &request.with_timeout_ms(HOUR));
    harness.answer(&driver, slot, call)?;
    harness.log(format!("cancels call {call} after its reply"));
    driver.cancel(call);
    driver.cancel(call);
    harness.drain(&driver, client)?;
    let replies = driver.call(call).replies.len();
    ensure!(replies == 1, "the plugin replied {replies} times");
    Ok(())
}

fn code(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.pending(&driver, client)?;
    let call = driver.fresh_id();
    harness.start(&driver, slot, (client, call), &request);
    driver.cancel(call);
    let answer = harness.answer(&driver, slot, call)?;
    if answer.is_ok() || answer.code().as_deref() == Some("CANCELLED") {
        return Ok(());
    }
    // The call may have failed for another reason than the cancel.
    harness.prove_cancel(&driver, client, slot, &request)?;
    Err(Marker::fail(answer.describe()))
}

fn open(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let target = harness.target()?;
    for _attempt in 0..16 {
        let (client, call) = (driver.fresh_id(), driver.fresh_id());
        harness.start(&driver, Slot::Open, (client, call), &harness.open_request(&target).with_timeout_ms(HOUR));
        driver.cancel(call);
        let answer = harness.answer(&driver, Slot::Open, call)?;
        // Only a successful `open` has made a client to close.
        if answer.is_ok() {
            driver.close(client);
        }
    }
    let client = harness.open(&driver)?;
    harness.drain(&driver, client)?;
    each_has_one_reply(&driver)
}

fn deadline(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.pending(&driver, client)?;
    harness.call(&driver, slot, client, &request.with_timeout_ms(100)).map(drop)
}
