//! Cases that call a plugin with random inputs and in random order. The same seed repeats the same calls.

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};
use serde_json::{Map, Value, json};

use super::operations::each_has_one_reply;
use crate::case::Case;
use crate::harness::{Harness, request};
use crate::marker::{Marker, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("fuzz-heads", "fuzz.heads", "Any head gets a reply, without a panic.", heads),
    Case::new("fuzz-bodies", "fuzz.bodies", "Any body gets a reply, without a panic.", bodies),
    Case::new("fuzz-orders", "fuzz.orders", "Calls in any order get exactly one reply each.", orders),
];

fn heads(harness: &Harness) -> Result<(), Marker> {
    call_with_random(harness, |random, head, body| {
        let value = Value::from(change(random, head));
        let mut text = value.to_string().into_bytes();
        if random.u8(..) < 96 {
            corrupt(random, &mut text);
        }
        Request::new(text, body)
    })
}

fn bodies(harness: &Harness) -> Result<(), Marker> {
    call_with_random(harness, |random, head, mut body| {
        match random.u8(..3) {
            0 => body = (0..random.u8(..)).map(|_| random.u8(..)).collect(),
            1 => body = random_value(random, 0).to_string().into_bytes(),
            _ => corrupt(random, &mut body),
        }
        request(&head.into(), body)
    })
}

fn call_with_random(
    harness: &Harness,
    mut make: impl FnMut(&mut fastrand::Rng, Map<String, Value>, Vec<u8>) -> Request,
) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let operations = harness.safe_operations(&driver);
    let mut random = harness.random();
    for _ in 0..harness.config().limits.fuzz {
        let Some(operation) = random.choice(&operations) else { break };
        let (head, body) = harness.arguments(*operation);
        let request = make(&mut random, head, body).with_credit(1 << 20);
        let slot = Slot::Operation(*operation);
        harness.log(format!("generated: {request:?}"));
        harness.call(&driver, slot, client, &request)?.expect_no_panic()?;
    }
    harness.prove_samples(&driver, client)
}

/// Replaces or adds random members of `head`, the JSON object with the arguments of a call. Returns the changed object.
fn change(random: &mut fastrand::Rng, mut head: Map<String, Value>) -> Map<String, Value> {
    const KEYS: [&str; 9] =
        ["name", "endpoint", "deployment_name", "model_uri", "flavor", "config", "content_type", "operation", "\u{7}"];
    for _ in 0..=random.usize(..3) {
        let Some(key) = random.choice(KEYS) else { break };
        head.insert(key.to_owned(), random_value(random, 0));
    }
    head
}

fn random_value(random: &mut fastrand::Rng, depth: usize) -> Value {
    match random.u8(..if depth > 3 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => random.bool().into(),
        2 => random.i64(..).into(),
        3 => json!(f64::from_bits(random.u64(..))),
        4 => (0..random.u8(..24)).map(|_| random.char(..)).collect::<String>().into(),
        5 => std::iter::repeat_with(|| random_value(random, depth + 1)).take(3).collect(),
        _ => json!({"a": random_value(random, depth + 1), "": random_value(random, depth + 1)}),
    }
}

/// Changes `bytes` at random positions: inserts a byte, replaces a byte, or removes all bytes from the position on.
fn corrupt(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=random.usize(..4) {
        let at = random.usize(..=bytes.len());
        match random.u8(..3) {
            0 => bytes.insert(at, random.u8(..)),
            1 => bytes.truncate(at),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.u8(..)),
        }
    }
}

/// A random sequence of calls, with the ids of its clients and calls so far.
struct Sequence<'a> {
    harness: &'a Harness,
    driver: Driver,
    open: Request,
    clients: Vec<u64>,
    calls: Vec<u64>,
}

fn orders(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let target = harness.target()?;
    let mut sequence =
        Sequence { harness, driver, open: harness.open_request(&target), clients: Vec::new(), calls: Vec::new() };
    let mut random = harness.random();
    for _ in 0..harness.config().limits.fuzz {
        sequence.step(&mut random)?;
    }
    // Some calls are still pending, and end only if they are cancelled.
    for call in &sequence.calls {
        driver.cancel(*call);
    }
    for call in &sequence.calls {
        let answered = driver.wait(*call, harness.reply_timeout(), |call| !call.replies.is_empty());
        ensure!(answered, "no reply to cancelled call {call}");
    }
    let client = harness.open(&driver)?;
    let proof = harness.prove_samples(&driver, client);
    harness.drain(&driver, client)?;
    each_has_one_reply(&driver)?;
    proof
}

impl Sequence<'_> {
    fn step(&mut self, random: &mut fastrand::Rng) -> Result<(), Marker> {
        let (call, driver) = (self.driver.fresh_id(), self.driver);
        let client = random.choice(&self.clients).copied();
        match (random.u8(..10), client) {
            (0..=1, _) | (_, None) => {
                let client = driver.fresh_id();
                self.harness.start(&driver, Slot::Open, (client, call), &self.open);
                self.calls.push(call);
                self.clients.push(client);
            }
            (2..=5, Some(client)) => {
                let operations = self.harness.safe_operations(&driver);
                let Some(operation) = random.choice(&operations) else { return Ok(()) };
                let request = self.harness.sample(*operation).with_credit(random.u32(..3));
                self.harness.start(&driver, Slot::Operation(*operation), (client, call), &request);
                self.calls.push(call);
            }
            (6..=7, _) => {
                if let Some(call) = random.choice(&self.calls) {
                    self.harness.log(format!("cancels call {call}"));
                    driver.cancel(*call);
                }
            }
            (8, _) => {
                if let Some(call) = random.choice(&self.calls) {
                    self.harness.log(format!("gives credit to call {call}"));
                    driver.credit(*call, random.u32(..5));
                }
            }
            (_, Some(client)) => {
                self.harness.log(format!("closes client {client}"));
                self.clients.retain(|each| *each != client);
                driver.close(client);
            }
        }
        Ok(())
    }
}
