//! Cases that check streams: the number of chunks that a stream may send, their order, and its single reply.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape};

use super::operations::{check_head, each_has_one_reply};
use crate::case::Case;
use crate::harness::Harness;
use crate::marker::{Marker, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("stream-credit", "stream.credit", "A stream sends no chunk without credit.", credit),
    Case::new("stream-resumes", "stream.resumes", "A stream resumes with more credit, until its end.", resumes),
    Case::new("stream-one-end", "stream.one-end", "A stream ends with one reply, and no chunk follows it.", one_end),
    Case::new("stream-cancel", "stream.cancel", "A stream that waits for credit ends on cancel.", cancel),
    Case::new("stream-close", "stream.close", "A stream ends when its client is closed.", close),
    Case::new("stream-serial", "stream.serial", "The chunks and the reply of one stream do not overlap.", serial)
        .in_process_only("a connection between processes carries one message after the other"),
    Case::new("stream-chunk-head", "stream.chunk-head", "A chunk's head is empty or names the format.", chunk_head),
    Case::new(
        "stream-much-credit",
        "stream.much-credit",
        "A very large sum of credit does not cause a panic.",
        much_credit,
    ),
    Case::new("stream-plain", "stream.plain", "A call that does not stream sends no chunks.", plain),
];

const SLOT: Slot = Slot::Operation(Operation::PredictStream);

/// Opens a client. Checks that the sample stream of the config sends at least `chunks` chunks. Returns `Marker::Skip`
/// if the plugin does not stream.
fn streaming(harness: &Harness, chunks: usize) -> Result<(Driver, u64), Marker> {
    let (driver, client) = harness.client()?;
    if !driver.has(SLOT) {
        return Err(Marker::skip("the plugin does not stream"));
    }
    harness.prove_stream(&driver, client, chunks)?;
    Ok((driver, client))
}

/// Starts a stream that may send `credit` chunks. Returns the id of the call.
fn start(harness: &Harness, driver: &Driver, client: u64, credit: u32) -> u64 {
    start_for(harness, driver, client, credit, 0)
}

/// Starts a stream that may send `credit` chunks, with a timeout of `hours` hours. Returns the id of the call.
fn start_for(harness: &Harness, driver: &Driver, client: u64, credit: u32, hours: u64) -> u64 {
    let call = driver.fresh_id();
    let request = harness.sample(Operation::PredictStream).with_credit(credit).with_timeout_ms(hours * 3_600_000);
    harness.start(driver, SLOT, (client, call), &request);
    call
}

fn credit(harness: &Harness) -> Result<(), Marker> {
    // The stream has more chunks than the credit allows.
    let (driver, client) = streaming(harness, 2)?;
    let call = start(harness, &driver, client, 1);
    driver.wait(call, harness.reply_timeout(), |call| !call.chunks.is_empty() || !call.replies.is_empty());
    // A chunk without credit arrives before the reply to another call, or before the end of the stream.
    if let Some((slot, request)) = harness.simple_call(&driver) {
        harness.call(&driver, slot, client, &request)?;
    }
    driver.credit(call, 1);
    driver.cancel(call);
    harness.answer(&driver, SLOT, call)?;
    let beyond = driver.call(call).beyond_credit;
    ensure!(beyond == 0, "the plugin sent {beyond} chunks without credit");
    Ok(())
}

fn resumes(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = streaming(harness, 2)?;
    let call = start(harness, &driver, client, 0);
    for chunks in 0.. {
        driver.credit(call, 1);
        let more =
            driver.wait(call, harness.reply_timeout(), |call| call.chunks.len() > chunks || !call.replies.is_empty());
        ensure!(more, "the stream stopped after {chunks} chunks, although it has credit for another chunk");
        if !driver.call(call).replies.is_empty() {
            break;
        }
    }
    Ok(())
}

fn one_end(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = streaming(harness, 1)?;
    let call = start(harness, &driver, client, 1 << 20);
    harness.answer(&driver, SLOT, call)?;
    harness.drain(&driver, client)?;
    let ended = driver.call(call);
    ensure!(ended.replies.len() == 1, "the stream got {} replies", ended.replies.len());
    ensure!(ended.after_reply == 0, "{} chunks followed the reply", ended.after_reply);
    Ok(())
}

fn cancel(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = streaming(harness, 1)?;
    let call = start_for(harness, &driver, client, 0, 1);
    driver.cancel(call);
    harness.answer(&driver, SLOT, call)?;
    driver.credit(call, 1000);
    harness.drain(&driver, client)?;
    let ended = driver.call(call);
    ensure!(ended.after_reply == 0, "{} chunks followed the reply to the cancelled stream", ended.after_reply);
    Ok(())
}

fn close(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = streaming(harness, 1)?;
    let calls: Vec<_> = (0..4).map(|credit| start_for(harness, &driver, client, credit, 2)).collect();
    // A host cancels pending calls before it closes a client.
    for call in &calls {
        driver.cancel(*call);
    }
    driver.close(client);
    for call in calls {
        harness.answer(&driver, SLOT, call)?;
    }
    let other = harness.open(&driver)?;
    harness.drain(&driver, other)?;
    each_has_one_reply(&driver)
}

fn serial(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance_for(HostShape::Slow)?;
    if !driver.has(SLOT) {
        return Err(Marker::skip("the plugin does not stream"));
    }
    let client = harness.open(&driver)?;
    // A few chunks are enough, because the slow host delays each of them.
    let call = start(harness, &driver, client, 8);
    driver.wait(call, harness.reply_timeout(), |call| call.chunks.len() >= 8 || !call.replies.is_empty());
    driver.cancel(call);
    let answer = harness.answer(&driver, SLOT, call)?;
    ensure!(!driver.call(call).overlapped, "a chunk or the reply overlapped with another chunk");
    answer.expect_chunks(2)
}

fn chunk_head(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = streaming(harness, 1)?;
    let call = start(harness, &driver, client, 1 << 20);
    harness.answer(&driver, SLOT, call)?;
    for chunk in driver.call(call).chunks {
        check_head(chunk.head.as_deref()).map_err(|why| Marker::fail(format!("a chunk: {why}")))?;
        ensure!(chunk.body.is_some(), "a chunk's body has a NULL pointer and a nonzero length");
    }
    Ok(())
}

fn much_credit(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = streaming(harness, 1)?;
    let call = start(harness, &driver, client, u32::MAX);
    for _ in 0..8 {
        driver.credit(call, u32::MAX);
    }
    harness.answer(&driver, SLOT, call)?.expect_no_panic()
}

fn plain(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let mut calls = Vec::new();
    for operation in harness.safe_operations(&driver).into_iter().filter(|each| *each != Operation::PredictStream) {
        let (slot, call) = (Slot::Operation(operation), driver.fresh_id());
        harness.start(&driver, slot, (client, call), &harness.sample(operation).with_credit(0));
        harness.answer(&driver, slot, call)?;
        calls.push(call);
    }
    let proof = harness.prove_samples(&driver, client);
    harness.drain(&driver, client)?;
    let chunks: usize = calls.into_iter().map(|call| driver.call(call).chunks.len()).sum();
    ensure!(chunks == 0, "{chunks} chunks were sent by calls that do not stream");
    proof
}
