//! Cases that check the time until the functions of a plugin return.
//!
//! Each case makes attempts until two of them are fast enough. It subtracts the time for which the thread waited for a
//! processor, so that a plugin does not fail on a busy machine. The limit for large bodies grows with the time that the machine
//! needs to copy such a body.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::Entered;

use super::payload::large_request;
use super::process::{ATTEMPTS, second_fastest};
use crate::case::{Case, LIBRARY};
use crate::harness::Harness;
use crate::marker::{Marker, ensure};
use crate::processor;
use crate::proof::takes_inputs;

pub(super) const CASES: &[Case] = &[
    Case::new("abi-prompt", "abi.prompt", "All functions return within 50 ms.", prompt).in_process_only(LIBRARY),
    Case::new(
        "abi-prompt-large",
        "abi.prompt",
        "With a large body, functions take at most 1 ms more for each MiB.",
        prompt_with_large_body,
    )
    .in_process_only(LIBRARY),
];

/// The time within which every function of a plugin has to return.
const LIMIT: Duration = Duration::from_millis(50);

/// The time that a function may need in addition for each MiB of the request.
const PER_MIB: Duration = Duration::from_millis(1);

/// The number of copies of a large body for which a function gets time, even on a machine that copies slowly.
const COPIES: u32 = 3;

/// A timeout of one hour in milliseconds, which is longer than any call of these cases.
const HOUR: u64 = 3_600_000;

fn prompt(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let target = harness.target()?;
    let mut times = BTreeMap::<&str, Vec<Duration>>::new();
    for _attempt in 0..ATTEMPTS {
        let mut note =
            |name: &'static str, enter: &dyn Fn() -> Entered| times.entry(name).or_default().push(time(enter));
        let client = driver.fresh_id();
        let call = driver.fresh_id();
        harness.log("opens a client and makes all calls");
        note("open", &|| driver.enter(Slot::Open, client, call, &harness.open_request(&target)));
        harness.answer(&driver, Slot::Open, call)?;
        for operation in harness.safe_operations(&driver) {
            let (slot, call) = (Slot::Operation(operation), driver.fresh_id());
            let sample = harness.sample(operation);
            note(slot.name(), &|| driver.enter(slot, client, call, &sample));
            note("cancel", &|| driver.cancel(call));
            note("credit", &|| driver.credit(call, 1));
        }
        note("close", &|| driver.close(client));
        if times.values().all(|times| second_fastest(times).is_some_and(|took| took <= LIMIT)) {
            break;
        }
    }
    let times = times.iter().filter_map(|(name, times)| Some((name, second_fastest(times)?)));
    let slow: Vec<_> = times.filter(|(_, took)| *took > LIMIT).collect();
    ensure!(slow.is_empty(), "functions took more than {LIMIT:?} in all but one of {ATTEMPTS} attempts: {slow:?}");
    harness.prove_samples(&driver, harness.open(&driver)?)
}

fn prompt_with_large_body(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let mib = harness.config().limits.body_mib;
    let promised = PER_MIB * u32::try_from(mib).unwrap_or(u32::MAX);
    let operations: Vec<_> = harness.safe_operations(&driver).into_iter().filter(takes_inputs).collect();
    if operations.is_empty() {
        return Err(Marker::skip("the plugin has no operation with inputs that can be called"));
    }
    for operation in operations {
        let slot = Slot::Operation(operation);
        let request = large_request(harness, operation).with_timeout_ms(HOUR);
        let (mut times, mut limit) = (Vec::new(), Duration::ZERO);
        let mut took = None;
        while times.len() < ATTEMPTS && took.is_none_or(|took| took > limit) {
            let call = driver.fresh_id();
            harness.log(format!("calls `{}` with {mib} MiB (client {client}, call {call})", slot.name()));
            limit = limit.max(LIMIT + promised.max(COPIES * copy_time(mib)));
            times.push(time(&|| driver.enter(slot, client, call, &request)));
            harness.answer(&driver, slot, call)?;
            driver.forget(call);
            took = second_fastest(&times);
        }
        let took = took.unwrap_or_default();
        ensure!(
            took <= limit,
            "`{}` took at least {took:?} with {mib} MiB in all but one of {ATTEMPTS} attempts: expected at most {limit:?}",
            slot.name()
        );
    }
    harness.prove_samples(&driver, client)
}

/// Measures the time that the machine needs to copy a body of `mib` MiB to new memory.
fn copy_time(mib: usize) -> Duration {
    let body = vec![1_u8; mib << 20];
    let begun = Instant::now();
    drop(black_box(body.clone()));
    begun.elapsed()
}

/// Measures the duration of a call. Subtracts the time for which the thread waited for a processor.
fn time(enter: &dyn Fn() -> Entered) -> Duration {
    let before = processor::waited_by_this_thread();
    let took = enter().took;
    took.saturating_sub(processor::waited_by_this_thread().saturating_sub(before))
}
