//! Bad heads and bodies: they get an error, and never a crash.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Bytes, Driver, Request};
use serde_json::{Map, Value, json};

use crate::bench::{Answer, Bench, request};
use crate::case::{Case, LENT};
use crate::mark::{Mark, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("payload-not-json", "payload.json", "A head that is no JSON gets an error.", not_json),
    Case::new("payload-not-object", "payload.object", "A head that is JSON and no object gets an error.", not_object),
    Case::new("payload-null-slice", "payload.null", "A slice that is NULL and not empty gets an error.", null_slice)
        .inside(LENT),
    Case::new("payload-empty-head", "payload.empty-head", "An empty head is replied to as `{}` is.", empty_head),
    Case::new("payload-empty-body", "payload.empty-body", "An empty body is replied to.", empty_body),
    Case::new(
        "payload-unknown-keys",
        "payload.unknown-keys",
        "Keys that it does not know change nothing.",
        unknown_keys,
    ),
    Case::new("payload-missing", "payload.missing", "A name that is needed and is not there gets an error.", missing)
        .recommended(),
    Case::new("payload-wrong-types", "payload.types", "An argument of a wrong type gets an error.", wrong_types)
        .recommended(),
    Case::new("payload-large", "payload.large", "A body of 64 MiB is replied to.", large),
    Case::new("payload-deep", "payload.deep", "JSON that is nested 100 000 deep is replied to.", deep),
    Case::new(
        "payload-utf8",
        "payload.utf8",
        "Bytes that are no UTF-8 get an error in a head, and a reply in a body.",
        utf8,
    ),
    Case::new("payload-nul", "payload.nul", "NUL in a name or a body is replied to.", nul),
    Case::new("payload-numbers", "payload.numbers", "Numbers of any size are replied to.", numbers),
];

/// Asks every slot that takes a request, and `open`, for each of these; each answer is looked at.
fn everywhere(
    bench: &Bench,
    (driver, client): &(Driver, u64),
    requests: impl IntoIterator<Item = Request>,
    look: impl Fn(&Answer) -> Result<(), Mark>,
) -> Result<(), Mark> {
    for request in requests {
        for slot in driver.operations().map(Slot::Operation).chain([Slot::Open]) {
            let client = if slot == Slot::Open { driver.fresh_id() } else { *client };
            look(&bench.ask(driver, slot, client, &request)?)?;
        }
    }
    Ok(())
}

/// Requests with these heads, and no body.
fn heads<H: Into<Bytes>>(heads: impl IntoIterator<Item = H>) -> impl Iterator<Item = Request> {
    heads.into_iter().map(|head| Request::new(head, ""))
}

/// Asks the operations that leave nothing behind, each for what is made of its sample.
fn each(
    bench: &Bench,
    (driver, client): &(Driver, u64),
    change: impl Fn(Map<String, Value>, Vec<u8>) -> Request,
) -> Result<(), Mark> {
    bench.harmless(driver).into_iter().try_for_each(|operation| {
        let (head, body) = bench.arguments(operation);
        let changed = change(head, body).with_credit(1 << 20);
        bench.ask(driver, Slot::Operation(operation), *client, &changed)?.must_not_be_a_panic()
    })
}

fn not_json(bench: &Bench) -> Result<(), Mark> {
    let heads = heads(["not JSON", "{", "{\"name\":", "{}{}", "{\"a\":1,}", "\u{FEFF}{}"]);
    everywhere(bench, &bench.client()?, heads, Answer::must_be_an_error)
}

fn not_object(bench: &Bench) -> Result<(), Mark> {
    everywhere(bench, &bench.client()?, heads(["[]", "[1]", "1", "\"text\"", "true", "null"]), Answer::must_be_an_error)
}

fn null_slice(bench: &Bench) -> Result<(), Mark> {
    let requests = [Request::new(Bytes::Null(3), ""), Request::new("{}", Bytes::Null(usize::MAX))];
    everywhere(bench, &bench.client()?, requests, Answer::must_be_an_error)
}

fn empty_head(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    for operation in bench.harmless(&driver) {
        let slot = Slot::Operation(operation);
        let object = bench.ask(&driver, slot, client, &Request::new("{}", ""))?;
        for head in [Bytes::Null(0), "".into()] {
            let empty = bench.ask(&driver, slot, client, &Request::new(head, Bytes::Null(0)))?;
            empty.must_not_be_a_panic()?;
            ensure!(
                empty.is_ok() == object.is_ok(),
                "with `{{}}` {}, and without a head {}",
                object.said(),
                empty.said()
            );
        }
    }
    Ok(())
}

fn empty_body(bench: &Bench) -> Result<(), Mark> {
    const HOUR: u64 = 3_600_000;
    let without_body = |head, _| Request::new(Value::from(head).to_string(), Bytes::Null(0)).with_timeout_ms(HOUR);
    each(bench, &bench.client()?, without_body)
}

fn unknown_keys(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    for operation in bench.harmless(&driver) {
        let slot = Slot::Operation(operation);
        let plain = bench.ask(&driver, slot, client, &bench.sample(operation))?;
        let (mut head, body) = bench.arguments(operation);
        head.insert("conformance_unknown".to_owned(), json!({"a": [1, null, {"b": "c"}]}));
        head.insert(String::new(), Value::Null);
        let more = bench.ask(&driver, slot, client, &request(&head.into(), body).with_credit(1 << 20))?;
        ensure!(more.is_ok() == plain.is_ok(), "without more keys {}, and with them {}", plain.said(), more.said());
    }
    Ok(())
}

/// The argument without which an operation has no object.
fn needed(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::GetDeployment | Operation::DeleteDeployment | Operation::CreateDeployment => Some("name"),
        Operation::UpdateDeployment | Operation::CreateEndpoint => Some("name"),
        Operation::GetEndpoint | Operation::DeleteEndpoint | Operation::UpdateEndpoint => Some("endpoint"),
        Operation::Invoke => Some("operation"),
        _ => None,
    }
}

fn missing(bench: &Bench) -> Result<(), Mark> {
    needing(bench, |operation, client, driver| {
        bench.ask(driver, Slot::Operation(operation), client, &Request::new("{}", ""))?.must_be_an_error()
    })
}

fn needing(bench: &Bench, look: impl Fn(Operation, u64, &Driver) -> Result<(), Mark>) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let operations: Vec<_> = driver.operations().filter(|operation| needed(*operation).is_some()).collect();
    if operations.is_empty() {
        return Err(Mark::skip("no operation of the plugin needs a name"));
    }
    operations.into_iter().try_for_each(|operation| look(operation, client, &driver))
}

fn wrong_types(bench: &Bench) -> Result<(), Mark> {
    needing(bench, |operation, client, driver| {
        for wrong in [json!(1), json!(["a"]), json!({"a": 1}), json!(true)] {
            let head = json!({needed(operation).unwrap_or_default(): wrong});
            bench.ask(driver, Slot::Operation(operation), client, &request(&head, ""))?.must_be_an_error()?;
        }
        Ok(())
    })
}

fn large(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    for operation in bench.harmless(&driver).into_iter().filter(takes_inputs) {
        let (slot, call) = (Slot::Operation(operation), driver.fresh_id());
        let asked = large_request(bench, operation);
        bench.start(&driver, slot, (client, call), &asked);
        drop(asked);
        bench.answer(&driver, slot, call)?.must_not_be_a_panic()?;
        driver.forget(call);
    }
    Ok(())
}

/// Whether an operation has inputs for a body.
pub(super) fn takes_inputs(operation: &Operation) -> bool {
    [Operation::Predict, Operation::PredictStream, Operation::Explain, Operation::Invoke].contains(operation)
}

/// A sample with the largest body that is asked for: a string in JSON.
pub(super) fn large_request(bench: &Bench, operation: Operation) -> Request {
    let bytes = bench.config().limits.body_mib << 20;
    let mut body = vec![b' '; bytes];
    if let (Some(first), true) = (body.first_mut(), bytes > 1) {
        *first = b'"';
    }
    if let Some(last) = body.last_mut() {
        *last = b'"';
    }
    let (head, _) = bench.arguments(operation);
    request(&head.into(), body).with_credit(1 << 20)
}

fn deep(bench: &Bench) -> Result<(), Mark> {
    const DEPTH: usize = 100_000;
    let list = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let heads = heads([format!("{{\"config\":{list}}}"), format!("{{\"unknown\":{list}}}"), list]);
    let client = bench.client()?;
    everywhere(bench, &client, heads, Answer::must_not_be_a_panic)?;
    let object = format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH));
    each(bench, &client, |head, _| request(&head.into(), object.clone()))
}

fn utf8(bench: &Bench) -> Result<(), Mark> {
    let head = b"{\"name\":\"\xff\xfe\",\"endpoint\":\"\xc3\x28\"}".as_slice();
    let client = bench.client()?;
    everywhere(bench, &client, heads([head]), Answer::must_be_an_error)?;
    each(bench, &client, |head, _| request(&head.into(), b"\"\xff\xfe\xc3\x28\"".as_slice()))
}

fn nul(bench: &Bench) -> Result<(), Mark> {
    let with_nul = |mut head: Map<String, Value>, mut body: Vec<u8>| {
        for value in head.values_mut().filter(|value| value.is_string()) {
            *value = json!(format!("{}\0conformance", value.as_str().unwrap_or_default()));
        }
        body.push(0);
        request(&head.into(), body)
    };
    each(bench, &bench.client()?, with_nul)
}

fn numbers(bench: &Bench) -> Result<(), Mark> {
    const NUMBERS: &str =
        r#"[1e999999, -1e-999999, 123456789012345678901234567890, -0.0, 18446744073709551616, 1e400]"#;
    let with_numbers = |head: Map<String, Value>, _| {
        let head = Value::from(head).to_string();
        let members = head.trim_start_matches('{').trim_end_matches('}');
        let comma = if members.is_empty() { "" } else { "," };
        Request::new(format!("{{{members}{comma}\"conformance_numbers\":{NUMBERS}}}"), NUMBERS)
    };
    let client = bench.client()?;
    each(bench, &client, with_numbers)?;
    let with_config = |mut head: Map<String, Value>, body| {
        head.insert("config".to_owned(), json!({"conformance": [u64::MAX, i64::MIN, f64::MAX, f64::MIN_POSITIVE]}));
        request(&head.into(), body)
    };
    each(bench, &client, with_config)
}
