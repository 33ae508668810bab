//! Streams: no faster than their caller, in order, with one end.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, HostShape};

use super::operations::{is_head, once};
use crate::bench::Bench;
use crate::case::Case;
use crate::mark::{Mark, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("stream-credit", "stream.credit", "A stream sends no more chunks than it has credit for.", credit),
    Case::new("stream-resumes", "stream.resumes", "A stream goes on when it gets more credit, to its end.", resumes),
    Case::new("stream-one-end", "stream.one-end", "A stream ends with one reply, and nothing comes after it.", one_end),
    Case::new("stream-cancel", "stream.cancel", "A stream that waits for credit ends when it is cancelled.", cancel),
    Case::new("stream-close", "stream.close", "A stream ends when its client is closed.", close),
    Case::new("stream-serial", "stream.serial", "Chunks and reply of one stream come one after the other.", serial)
        .inside("messages between processes cannot overlap"),
    Case::new("stream-chunk-head", "stream.chunk-head", "A chunk's head is empty, or names its format.", chunk_head),
    Case::new("stream-much-credit", "stream.much-credit", "Credit without end does no harm.", much_credit),
    Case::new("stream-plain", "stream.plain", "A call that is no stream sends no chunks.", plain),
];

const SLOT: Slot = Slot::Operation(Operation::PredictStream);

fn streaming(bench: &Bench) -> Result<(Driver, u64), Mark> {
    let (driver, client) = bench.client()?;
    if driver.has(SLOT) { Ok((driver, client)) } else { Err(Mark::skip("the plugin does not stream")) }
}

/// Starts a stream with so much credit.
fn start(bench: &Bench, driver: &Driver, client: u64, credit: u32) -> u64 {
    start_for(bench, driver, client, credit, 0)
}

/// Starts a stream with so much credit, and so many hours.
fn start_for(bench: &Bench, driver: &Driver, client: u64, credit: u32, hours: u64) -> u64 {
    let call = driver.fresh_id();
    let request = bench.sample(Operation::PredictStream).with_credit(credit).with_timeout_ms(hours * 3_600_000);
    bench.start(driver, SLOT, (client, call), &request);
    call
}

fn credit(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = streaming(bench)?;
    let call = start(bench, &driver, client, 1);
    driver.wait(call, bench.patience(), |call| !call.chunks.is_empty() || !call.replies.is_empty());
    // Whatever it sends too early comes before the answer to another call, or the end.
    if let Some((slot, request)) = bench.easy(&driver) {
        bench.ask(&driver, slot, client, &request)?;
    }
    driver.credit(call, 1);
    driver.cancel(call);
    bench.answer(&driver, SLOT, call)?;
    let beyond = driver.call(call).beyond_credit;
    ensure!(beyond == 0, "it sent {beyond} chunks without credit");
    Ok(())
}

fn resumes(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = streaming(bench)?;
    let call = start(bench, &driver, client, 0);
    for chunks in 0.. {
        driver.credit(call, 1);
        let more = driver.wait(call, bench.patience(), |call| call.chunks.len() > chunks || !call.replies.is_empty());
        ensure!(more, "after {chunks} chunks and credit for one more, nothing came");
        if !driver.call(call).replies.is_empty() {
            break;
        }
    }
    Ok(())
}

fn one_end(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = streaming(bench)?;
    let call = start(bench, &driver, client, 1 << 20);
    bench.answer(&driver, SLOT, call)?;
    bench.settle(&driver, client)?;
    let ended = driver.call(call);
    ensure!(ended.replies.len() == 1, "it replied {} times", ended.replies.len());
    ensure!(ended.after_reply == 0, "{} chunks came after the reply", ended.after_reply);
    Ok(())
}

fn cancel(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = streaming(bench)?;
    let call = start_for(bench, &driver, client, 0, 1);
    driver.cancel(call);
    bench.answer(&driver, SLOT, call)?;
    driver.credit(call, 1000);
    bench.settle(&driver, client)?;
    let ended = driver.call(call);
    ensure!(ended.after_reply == 0, "{} chunks came after it was cancelled and had replied", ended.after_reply);
    Ok(())
}

fn close(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = streaming(bench)?;
    let calls: Vec<_> = (0..4).map(|credit| start_for(bench, &driver, client, credit, 2)).collect();
    // So a host closes a client: what is pending is cancelled first.
    for call in &calls {
        driver.cancel(*call);
    }
    driver.close(client);
    for call in calls {
        bench.answer(&driver, SLOT, call)?;
    }
    let other = bench.open(&driver)?;
    bench.settle(&driver, other)?;
    once(&driver)
}

fn serial(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance_for(HostShape::Slow)?;
    if !driver.has(SLOT) {
        return Err(Mark::skip("the plugin does not stream"));
    }
    let client = bench.open(&driver)?;
    // Enough to see; a slow host makes a long stream longer.
    let call = start(bench, &driver, client, 8);
    driver.wait(call, bench.patience(), |call| call.chunks.len() >= 8 || !call.replies.is_empty());
    driver.cancel(call);
    bench.answer(&driver, SLOT, call)?;
    ensure!(!driver.call(call).overlapped, "a chunk or the reply came while another chunk was being taken");
    Ok(())
}

fn chunk_head(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = streaming(bench)?;
    let call = start(bench, &driver, client, 1 << 20);
    bench.answer(&driver, SLOT, call)?;
    for chunk in driver.call(call).chunks {
        is_head(chunk.head.as_deref()).map_err(|why| Mark::fail(format!("a chunk: {why}")))?;
        ensure!(chunk.body.is_some(), "a chunk's body is NULL and not empty");
    }
    Ok(())
}

fn much_credit(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = streaming(bench)?;
    let call = start(bench, &driver, client, u32::MAX);
    for _ in 0..8 {
        driver.credit(call, u32::MAX);
    }
    bench.answer(&driver, SLOT, call)?.must_not_be_a_panic()
}

fn plain(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    for operation in bench.harmless(&driver).into_iter().filter(|each| *each != Operation::PredictStream) {
        bench.ask(&driver, Slot::Operation(operation), client, &bench.sample(operation).with_credit(0))?;
    }
    bench.settle(&driver, client)?;
    let chunks: usize = driver.calls().iter().map(|(_, call)| call.chunks.len()).sum();
    ensure!(chunks == 0, "{chunks} chunks came for calls that are no streams");
    Ok(())
}
