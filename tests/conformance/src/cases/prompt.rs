//! How long the table's functions keep whoever calls them.
//!
//! What counts is the fastest of some attempts, without the time in which others had the processor: a busy machine is no
//! fault of the plugin.

use std::collections::BTreeMap;
use std::time::Duration;

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::Entered;

use super::payload::{large_request, takes_inputs};
use super::process::waited_for_a_processor;
use crate::bench::Bench;
use crate::case::{Case, LIBRARY};
use crate::mark::{Mark, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("abi-prompt", "abi.prompt", "Its functions return within 50 ms.", prompt).inside(LIBRARY),
    Case::new(
        "abi-prompt-large",
        "abi.prompt",
        "With a large body they take no more than 1 ms longer for each MiB.",
        prompt_with_much,
    )
    .inside(LIBRARY),
];

/// What any function may take.
const LIMIT: Duration = Duration::from_millis(50);

/// What it may take longer for each MiB that it is lent.
const PER_MIB: Duration = Duration::from_millis(1);

const ATTEMPTS: usize = 5;

/// A deadline that is never reached, in milliseconds.
const HOUR: u64 = 3_600_000;

fn prompt(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let target = bench.target()?;
    let mut best = BTreeMap::<&str, Duration>::new();
    let mut note = |name: &'static str, enter: &dyn Fn() -> Entered| {
        let took = time(enter);
        best.entry(name).and_modify(|least| *least = took.min(*least)).or_insert(took);
    };
    for _attempt in 0..ATTEMPTS {
        let client = driver.fresh_id();
        let call = driver.fresh_id();
        bench.say("opens a client and asks it everything");
        note("open", &|| driver.enter(Slot::Open, client, call, &bench.open_request(&target)));
        bench.answer(&driver, Slot::Open, call)?;
        for operation in bench.harmless(&driver) {
            let (slot, call) = (Slot::Operation(operation), driver.fresh_id());
            let sample = bench.sample(operation);
            note(slot.name(), &|| driver.enter(slot, client, call, &sample));
            note("cancel", &|| driver.cancel(call));
            note("credit", &|| driver.credit(call, 1));
        }
        note("close", &|| driver.close(client));
    }
    let slow: Vec<_> = best.iter().filter(|(_, took)| **took > LIMIT).collect();
    ensure!(slow.is_empty(), "the fastest of {ATTEMPTS} attempts each: {slow:?}");
    Ok(())
}

fn prompt_with_much(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let mib = bench.config().limits.body_mib;
    let limit = LIMIT + PER_MIB * u32::try_from(mib).unwrap_or(u32::MAX);
    let operations: Vec<_> = bench.harmless(&driver).into_iter().filter(takes_inputs).collect();
    if operations.is_empty() {
        return Err(Mark::skip("no operation that can be asked takes inputs"));
    }
    for operation in operations {
        let slot = Slot::Operation(operation);
        let asked = large_request(bench, operation).with_timeout_ms(HOUR);
        let mut best = Duration::MAX;
        for _attempt in 0..ATTEMPTS {
            let call = driver.fresh_id();
            bench.say(format!("calls `{}` with {mib} MiB (client {client}, call {call})", slot.name()));
            best = best.min(time(&|| driver.enter(slot, client, call, &asked)));
            bench.answer(&driver, slot, call)?;
            driver.forget(call);
            if best <= limit {
                break;
            }
        }
        ensure!(
            best <= limit,
            "`{}` took {best:?} with {mib} MiB, the fastest of {ATTEMPTS} attempts: no more than {limit:?} is prompt",
            slot.name()
        );
    }
    Ok(())
}

/// How long it was on a processor, or waited for something else.
fn time(enter: &dyn Fn() -> Entered) -> Duration {
    let before = waited_for_a_processor();
    let took = enter().took;
    took.saturating_sub(waited_for_a_processor().saturating_sub(before))
}
