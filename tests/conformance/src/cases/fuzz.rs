//! Inputs and orders of calls that nobody would think of: made up, and the same for the same seed.

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};
use serde_json::{Map, Value, json};

use super::operations::once;
use crate::bench::{Bench, request};
use crate::case::Case;
use crate::mark::{Mark, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("fuzz-heads", "fuzz.heads", "Any head is replied to, without a panic.", heads),
    Case::new("fuzz-bodies", "fuzz.bodies", "Any body is replied to, without a panic.", bodies),
    Case::new("fuzz-orders", "fuzz.orders", "Whatever the order of calls, each gets one reply.", orders),
];

fn heads(bench: &Bench) -> Result<(), Mark> {
    made_up(bench, |random, head, body| {
        let value = Value::from(change(random, head));
        let mut text = value.to_string().into_bytes();
        if random.u8(..) < 96 {
            damage(random, &mut text);
        }
        Request::new(text, body)
    })
}

fn bodies(bench: &Bench) -> Result<(), Mark> {
    made_up(bench, |random, head, mut body| {
        match random.u8(..3) {
            0 => body = (0..random.u8(..)).map(|_| random.u8(..)).collect(),
            1 => body = anything(random, 0).to_string().into_bytes(),
            _ => damage(random, &mut body),
        }
        request(&head.into(), body)
    })
}

fn made_up(
    bench: &Bench,
    mut make: impl FnMut(&mut fastrand::Rng, Map<String, Value>, Vec<u8>) -> Request,
) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let operations = bench.harmless(&driver);
    let mut random = bench.random();
    for _ in 0..bench.config().limits.fuzz {
        let Some(operation) = random.choice(&operations) else { break };
        let (head, body) = bench.arguments(*operation);
        let made = make(&mut random, head, body).with_credit(1 << 20);
        let slot = Slot::Operation(*operation);
        bench.say(format!("made up: {made:.300?}"));
        bench.ask(&driver, slot, client, &made)?.must_not_be_a_panic()?;
    }
    Ok(())
}

/// A head with something else in it.
fn change(random: &mut fastrand::Rng, mut head: Map<String, Value>) -> Map<String, Value> {
    const KEYS: [&str; 9] =
        ["name", "endpoint", "deployment_name", "model_uri", "flavor", "config", "content_type", "operation", "\u{7}"];
    for _ in 0..=random.usize(..3) {
        let Some(key) = random.choice(KEYS) else { break };
        head.insert(key.to_owned(), anything(random, 0));
    }
    head
}

fn anything(random: &mut fastrand::Rng, depth: usize) -> Value {
    match random.u8(..if depth > 3 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => random.bool().into(),
        2 => random.i64(..).into(),
        3 => json!(f64::from_bits(random.u64(..))),
        4 => (0..random.u8(..24)).map(|_| random.char(..)).collect::<String>().into(),
        5 => std::iter::repeat_with(|| anything(random, depth + 1)).take(3).collect(),
        _ => json!({"a": anything(random, depth + 1), "": anything(random, depth + 1)}),
    }
}

/// Changes, adds or takes away some bytes.
fn damage(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=random.usize(..4) {
        let at = random.usize(..=bytes.len());
        match random.u8(..3) {
            0 => bytes.insert(at, random.u8(..)),
            1 => bytes.truncate(at),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.u8(..)),
        }
    }
}

/// What there is in the course of made-up calls.
struct Course<'a> {
    bench: &'a Bench,
    driver: Driver,
    open: Request,
    clients: Vec<u64>,
    calls: Vec<u64>,
}

fn orders(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let target = bench.target()?;
    let mut course =
        Course { bench, driver, open: bench.open_request(&target), clients: Vec::new(), calls: Vec::new() };
    let mut random = bench.random();
    for _ in 0..bench.config().limits.fuzz {
        course.step(&mut random)?;
    }
    // Then the host gives up all that is left.
    for call in &course.calls {
        driver.cancel(*call);
    }
    for call in &course.calls {
        let answered = driver.wait(*call, bench.patience(), |call| !call.replies.is_empty());
        ensure!(answered, "no reply to call {call}, though it was cancelled");
    }
    let client = bench.open(&driver)?;
    bench.settle(&driver, client)?;
    once(&driver)
}

impl Course<'_> {
    fn step(&mut self, random: &mut fastrand::Rng) -> Result<(), Mark> {
        let (call, driver) = (self.driver.fresh_id(), self.driver);
        let client = random.choice(&self.clients).copied();
        match (random.u8(..10), client) {
            (0..=1, _) | (_, None) => {
                let client = driver.fresh_id();
                self.bench.start(&driver, Slot::Open, (client, call), &self.open);
                self.calls.push(call);
                self.clients.push(client);
            }
            (2..=5, Some(client)) => {
                let operations = self.bench.harmless(&driver);
                let Some(operation) = random.choice(&operations) else { return Ok(()) };
                let asked = self.bench.sample(*operation).with_credit(random.u32(..3));
                self.bench.start(&driver, Slot::Operation(*operation), (client, call), &asked);
                self.calls.push(call);
            }
            (6..=7, _) => {
                if let Some(call) = random.choice(&self.calls) {
                    self.bench.say(format!("cancels call {call}"));
                    driver.cancel(*call);
                }
            }
            (8, _) => {
                if let Some(call) = random.choice(&self.calls) {
                    self.bench.say(format!("credits call {call}"));
                    driver.credit(*call, random.u32(..5));
                }
            }
            (_, Some(client)) => {
                self.bench.say(format!("closes client {client}"));
                self.clients.retain(|each| *each != client);
                driver.close(client);
            }
        }
        Ok(())
    }
}
