//! Cases that make calls with invalid and unusual heads and bodies. Each call has to get a reply, and none may crash
//! the plugin.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Bytes, Driver, Request};
use serde_json::{Map, Value, json};

use crate::case::{Case, SLICES};
use crate::harness::{Answer, Harness, request};
use crate::marker::{Marker, ensure};
use crate::proof::takes_inputs;

pub(super) const CASES: &[Case] = &[
    Case::new("payload-not-json", "payload.json", "A head that is not JSON gets an error.", not_json),
    Case::new(
        "payload-not-object",
        "payload.object",
        "A head that is JSON but not an object gets an error.",
        not_object,
    ),
    Case::new(
        "payload-null-slice",
        "payload.null",
        "A slice with a NULL pointer and a nonzero length gets an error.",
        null_slice,
    )
    .in_process_only(SLICES),
    Case::new("payload-empty-head", "payload.empty-head", "An empty head has the same outcome as `{}`.", empty_head),
    Case::new("payload-empty-body", "payload.empty-body", "An empty body gets a reply.", empty_body),
    Case::new("payload-unknown-keys", "payload.unknown-keys", "Unknown keys are ignored.", unknown_keys),
    Case::new("payload-missing", "payload.missing", "A missing required name gets an error.", missing).recommended(),
    Case::new("payload-wrong-types", "payload.types", "An argument of the wrong type gets an error.", wrong_types)
        .recommended(),
    Case::new("payload-large", "payload.large", "A body of 64 MiB gets a reply.", large),
    Case::new("payload-deep", "payload.deep", "JSON nested 100 000 deep gets a reply.", deep),
    Case::new("payload-utf8", "payload.utf8", "Invalid UTF-8 gets an error in a head, and a reply in a body.", utf8),
    Case::new("payload-nul", "payload.nul", "NUL in a name or a body gets a reply.", nul),
    Case::new("payload-numbers", "payload.numbers", "Numbers of any size get a reply.", numbers),
];

/// The number of chunks that these calls allow a stream to send. It is larger than the number of chunks in any stream,
/// so that every stream ends.
const MANY_CHUNKS: u32 = 1 << 20;

/// Calls every operation, and `open`, with each of the requests. Passes each reply to `check`.
fn everywhere(
    harness: &Harness,
    (driver, client): &(Driver, u64),
    requests: impl IntoIterator<Item = Request>,
    check: impl Fn(&Answer) -> Result<(), Marker>,
) -> Result<(), Marker> {
    for request in requests {
        for slot in driver.operations().map(Slot::Operation).chain([Slot::Open]) {
            let client = if slot == Slot::Open { driver.fresh_id() } else { *client };
            check(&harness.call(driver, slot, client, &request)?)?;
        }
    }
    Ok(())
}

/// Returns a request with an empty body for each of the heads.
fn heads<H: Into<Bytes>>(heads: impl IntoIterator<Item = H>) -> impl Iterator<Item = Request> {
    heads.into_iter().map(|head| Request::new(head, "").with_credit(MANY_CHUNKS))
}

/// Makes the sample call of each operation, with the request that `change` returns for its head and body. Fails if the
/// plugin panics, or if the unchanged calls do not succeed afterwards.
fn each(
    harness: &Harness,
    (driver, client): &(Driver, u64),
    change: impl Fn(Map<String, Value>, Vec<u8>) -> Request,
) -> Result<(), Marker> {
    harness.safe_operations(driver).into_iter().try_for_each(|operation| {
        let (head, body) = harness.arguments(operation);
        let request = change(head, body).with_credit(MANY_CHUNKS);
        harness.call(driver, Slot::Operation(operation), *client, &request)?.expect_no_panic()
    })?;
    harness.prove_samples(driver, *client)
}

fn not_json(harness: &Harness) -> Result<(), Marker> {
    let heads = heads(["not JSON", "{", "{\"name\":", "{}{}", "{\"a\":1,}", "\u{FEFF}{}"]);
    everywhere(harness, &harness.client()?, heads, Answer::expect_error)
}

fn not_object(harness: &Harness) -> Result<(), Marker> {
    everywhere(harness, &harness.client()?, heads(["[]", "[1]", "1", "\"text\"", "true", "null"]), Answer::expect_error)
}

fn null_slice(harness: &Harness) -> Result<(), Marker> {
    let requests = [Request::new(Bytes::Null(3), ""), Request::new("{}", Bytes::Null(usize::MAX))];
    let requests = requests.map(|request| request.with_credit(MANY_CHUNKS));
    everywhere(harness, &harness.client()?, requests, Answer::expect_error)
}

fn empty_head(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    for operation in harness.safe_operations(&driver) {
        let slot = Slot::Operation(operation);
        // A stream that needs no argument sends chunks, so it gets credit.
        let call = |head: Bytes, body: Bytes| {
            harness.call(&driver, slot, client, &Request::new(head, body).with_credit(MANY_CHUNKS))
        };
        let object = call("{}".into(), "".into())?;
        for head in [Bytes::Null(0), "".into()] {
            let empty = call(head, Bytes::Null(0))?;
            empty.expect_no_panic()?;
            ensure!(
                empty.is_ok() == object.is_ok(),
                "an empty head changed the outcome: with `{{}}` {}, without a head {}",
                object.describe(),
                empty.describe()
            );
        }
    }
    Ok(())
}

fn empty_body(harness: &Harness) -> Result<(), Marker> {
    const HOUR: u64 = 3_600_000;
    let without_body = |head, _| Request::new(Value::from(head).to_string(), Bytes::Null(0)).with_timeout_ms(HOUR);
    each(harness, &harness.client()?, without_body)
}

fn unknown_keys(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    for operation in harness.safe_operations(&driver) {
        let slot = Slot::Operation(operation);
        let plain = harness.call(&driver, slot, client, &harness.sample(operation))?;
        let (mut head, body) = harness.arguments(operation);
        head.insert("conformance_unknown".to_owned(), json!({"a": [1, null, {"b": "c"}]}));
        head.insert(String::new(), Value::Null);
        let more = harness.call(&driver, slot, client, &request(&head.into(), body).with_credit(MANY_CHUNKS))?;
        ensure!(
            more.is_ok() == plain.is_ok(),
            "unknown keys changed the outcome: without them {}, with them {}",
            plain.describe(),
            more.describe()
        );
    }
    harness.prove_samples(&driver, client)
}

/// Returns the name of the argument that an operation requires, or `None` if it does not require one.
fn required_argument(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::GetDeployment | Operation::DeleteDeployment | Operation::CreateDeployment => Some("name"),
        Operation::UpdateDeployment | Operation::CreateEndpoint => Some("name"),
        Operation::GetEndpoint | Operation::DeleteEndpoint | Operation::UpdateEndpoint => Some("endpoint"),
        Operation::Invoke => Some("operation"),
        _ => None,
    }
}

fn missing(harness: &Harness) -> Result<(), Marker> {
    with_required_argument(harness, |operation, client, driver| {
        harness.call(driver, Slot::Operation(operation), client, &Request::new("{}", ""))?.expect_error()
    })
}

fn with_required_argument(
    harness: &Harness,
    check: impl Fn(Operation, u64, &Driver) -> Result<(), Marker>,
) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let operations: Vec<_> = driver.operations().filter(|operation| required_argument(*operation).is_some()).collect();
    if operations.is_empty() {
        return Err(Marker::skip("no operation of the plugin has a required argument"));
    }
    operations.into_iter().try_for_each(|operation| check(operation, client, &driver))
}

fn wrong_types(harness: &Harness) -> Result<(), Marker> {
    with_required_argument(harness, |operation, client, driver| {
        for wrong in [json!(1), json!(["a"]), json!({"a": 1}), json!(true)] {
            let head = json!({required_argument(operation).unwrap_or_default(): wrong});
            harness.call(driver, Slot::Operation(operation), client, &request(&head, ""))?.expect_error()?;
        }
        Ok(())
    })
}

fn large(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    for operation in harness.safe_operations(&driver).into_iter().filter(takes_inputs) {
        let (slot, call) = (Slot::Operation(operation), driver.fresh_id());
        let request = large_request(harness, operation);
        harness.start(&driver, slot, (client, call), &request);
        drop(request);
        harness.answer(&driver, slot, call)?.expect_no_panic()?;
        driver.forget(call);
    }
    harness.prove_samples(&driver, client)
}

/// Returns the sample request of an operation with a large body: a JSON string of as many MiB as `limits.body_mib` in
/// the config.
pub(super) fn large_request(harness: &Harness, operation: Operation) -> Request {
    let bytes = harness.config().limits.body_mib << 20;
    let mut body = vec![b' '; bytes];
    if let (Some(first), true) = (body.first_mut(), bytes > 1) {
        *first = b'"';
    }
    if let Some(last) = body.last_mut() {
        *last = b'"';
    }
    let (head, _) = harness.arguments(operation);
    request(&head.into(), body).with_credit(MANY_CHUNKS)
}

fn deep(harness: &Harness) -> Result<(), Marker> {
    const DEPTH: usize = 100_000;
    let list = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let heads = heads([format!("{{\"config\":{list}}}"), format!("{{\"unknown\":{list}}}"), list]);
    let client = harness.client()?;
    everywhere(harness, &client, heads, Answer::expect_no_panic)?;
    let object = format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH));
    each(harness, &client, |head, _| request(&head.into(), object.clone()))
}

fn utf8(harness: &Harness) -> Result<(), Marker> {
    let head = b"{\"name\":\"\xff\xfe\",\"endpoint\":\"\xc3\x28\"}".as_slice();
    let client = harness.client()?;
    everywhere(harness, &client, heads([head]), Answer::expect_error)?;
    each(harness, &client, |head, _| request(&head.into(), b"\"\xff\xfe\xc3\x28\"".as_slice()))
}

fn nul(harness: &Harness) -> Result<(), Marker> {
    let with_nul = |mut head: Map<String, Value>, mut body: Vec<u8>| {
        for value in head.values_mut().filter(|value| value.is_string()) {
            *value = json!(format!("{}\0conformance", value.as_str().unwrap_or_default()));
        }
        body.push(0);
        request(&head.into(), body)
    };
    each(harness, &harness.client()?, with_nul)
}

fn numbers(harness: &Harness) -> Result<(), Marker> {
    const NUMBERS: &str =
        r#"[1e999999, -1e-999999, 123456789012345678901234567890, -0.0, 18446744073709551616, 1e400]"#;
    let with_numbers = |head: Map<String, Value>, _| {
        let head = Value::from(head).to_string();
        let members = head.trim_start_matches('{').trim_end_matches('}');
        let comma = if members.is_empty() { "" } else { "," };
        Request::new(format!("{{{members}{comma}\"conformance_numbers\":{NUMBERS}}}"), NUMBERS)
    };
    let client = harness.client()?;
    each(harness, &client, with_numbers)?;
    let with_config = |mut head: Map<String, Value>, body| {
        head.insert("config".to_owned(), json!({"conformance": [u64::MAX, i64::MIN, f64::MAX, f64::MIN_POSITIVE]}));
        request(&head.into(), body)
    };
    each(harness, &client, with_config)
}
