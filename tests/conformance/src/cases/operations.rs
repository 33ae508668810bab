//! Cases that check the operations of a plugin: each call gets one reply, and each result has the format that the
//! contract requires.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::Driver;
use serde_json::{Value, json};

use crate::case::{Case, Stage};
use crate::harness::{Answer, Harness, request};
use crate::marker::{Marker, ensure};

/// Creates a case at the level "required" that checks the clause `operations.answers` for one operation.
const fn case(id: &'static str, summary: &'static str, check: fn(&Harness) -> Result<(), Marker>) -> Case {
    Case::new(id, "operations.answers", summary, check)
}

pub(super) const CASES: &[Case] = &[
    Case::new("operations-open", "operations.open", "`open` makes a client for the target.", open)
        .needs(Stage::Instance)
        .gate(),
    Case::new("operations-targets", "operations.targets", "Every target URI of the config can be opened.", targets),
    Case::new(
        "operations-target-forms",
        "operations.target-forms",
        "`open` with any form of target URI gets a reply.",
        forms,
    ),
    Case::new("operations-one-reply", "operations.one-reply", "Every call gets exactly one reply.", one_reply),
    Case::new("operations-reply-head", "operations.reply-head", "A result's head is empty or names the format.", head),
    case("operations-create-deployment", "`create_deployment` returns a record with `name`.", |harness| {
        on_deployment(harness, Operation::CreateDeployment, is_record)
    }),
    case("operations-update-deployment", "`update_deployment` returns a record or nothing.", |harness| {
        on_deployment(harness, Operation::UpdateDeployment, is_object_or_nothing)
    }),
    case("operations-delete-deployment", "`delete_deployment` succeeds.", |harness| {
        on_deployment(harness, Operation::DeleteDeployment, is_anything)
    }),
    case("operations-get-deployment", "`get_deployment` returns a record with `name`.", |harness| {
        on_deployment(harness, Operation::GetDeployment, is_record)
    }),
    case("operations-list-deployments", "`list_deployments` returns a list of records with `name`.", |harness| {
        on_deployment(harness, Operation::ListDeployments, is_list)
    }),
    case("operations-create-endpoint", "`create_endpoint` returns a record with `name`.", |harness| {
        on_endpoint(harness, Operation::CreateEndpoint, is_record)
    }),
    case("operations-update-endpoint", "`update_endpoint` returns a record or nothing.", |harness| {
        on_endpoint(harness, Operation::UpdateEndpoint, is_object_or_nothing)
    }),
    case("operations-delete-endpoint", "`delete_endpoint` succeeds.", |harness| {
        on_endpoint(harness, Operation::DeleteEndpoint, is_anything)
    }),
    case("operations-get-endpoint", "`get_endpoint` returns a record with `name`.", |harness| {
        on_endpoint(harness, Operation::GetEndpoint, is_record)
    }),
    case("operations-list-endpoints", "`list_endpoints` returns a list of records with `name`.", |harness| {
        on_endpoint(harness, Operation::ListEndpoints, is_list)
    }),
    case("operations-predict", "`predict` returns a result, valid JSON if declared as such.", |harness| {
        with_inputs(harness, Operation::Predict)
    }),
    case(
        "operations-predict-stream",
        "`predict_stream` ends, and its chunks are valid JSON if declared as such.",
        |harness| with_inputs(harness, Operation::PredictStream),
    ),
    case("operations-explain", "`explain` returns a result, valid JSON if declared as such.", |harness| {
        with_inputs(harness, Operation::Explain)
    }),
    case("operations-invoke", "`invoke` returns a result, valid JSON if declared as such.", |harness| {
        with_inputs(harness, Operation::Invoke)
    }),
    case("operations-target-help", "`target_help` returns text.", target_help),
    case(
        "operations-run-local",
        "`run_local` reports when the model is ready, and stops when it is cancelled.",
        run_local,
    ),
];

fn open(harness: &Harness) -> Result<(), Marker> {
    harness.client().map(drop)
}

fn targets(harness: &Harness) -> Result<(), Marker> {
    let targets = &harness.config().target_uris;
    if targets.is_empty() {
        return Err(Marker::skip("the config has no `target_uris`"));
    }
    let driver = harness.instance()?;
    for target in targets {
        harness.log(format!("opens `{target}`"));
        harness.open_as(&driver, driver.fresh_id(), target)?;
    }
    Ok(())
}

fn forms(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    for scheme in harness.manifest()?.schemes {
        let forms =
            ["", ":", ":/", "://", ":/conformance", "://conformance", "://a:b@c/d?e=f#g", "://\u{1F600}", "://%00"];
        for target in forms.iter().map(|form| format!("{scheme}{form}")).chain([scheme.to_uppercase(), String::new()]) {
            harness.log(format!("opens `{target}`"));
            let client = driver.fresh_id();
            harness.call(&driver, Slot::Open, client, &harness.open_request(&target))?.expect_no_panic()?;
            driver.close(client);
        }
    }
    Ok(())
}

fn one_reply(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    for slot in harness.slots(&driver) {
        let request = match slot {
            Slot::Operation(operation) => harness.sample(operation),
            _ => request(&json!({}), ""),
        };
        harness.call(&driver, slot, client, &request)?;
    }
    let proof = harness.prove_samples(&driver, client);
    harness.drain(&driver, client)?;
    each_has_one_reply(&driver)?;
    proof
}

/// Fails unless every call got exactly one reply, and every reply belongs to a call that was made.
pub(super) fn each_has_one_reply(driver: &Driver) -> Result<(), Marker> {
    for (id, call) in driver.calls() {
        let replies = call.replies.len();
        ensure!(call.made || replies == 0, "the plugin replied to call {id}, which was never made");
        ensure!(replies <= 1, "the plugin replied {replies} times to call {id}");
        ensure!(!call.made || replies == 1, "the plugin did not reply to call {id}");
    }
    Ok(())
}

fn head(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    for slot in harness.slots(&driver) {
        let request = match slot {
            Slot::Operation(operation) => harness.sample(operation),
            _ => request(&json!({}), ""),
        };
        let answer = harness.call(&driver, slot, client, &request)?;
        if answer.is_ok() {
            check_head(answer.reply.head.as_deref())
                .map_err(|why| Marker::fail(format!("`{}`: {why}", slot.name())))?;
            ensure!(
                answer.reply.body.is_some(),
                "`{}` replied with a body that has a NULL pointer and a nonzero length",
                slot.name()
            );
        }
    }
    harness.prove_samples(&driver, client)
}

/// Checks the head of a reply. Fails unless it is empty, or a JSON object in which `content_type` is absent or a
/// string.
pub(super) fn check_head(head: Option<&[u8]>) -> Result<(), String> {
    let head = head.ok_or("its head has a NULL pointer and a nonzero length")?;
    if head.is_empty() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(head);
    let value: Value =
        serde_json::from_slice(head).map_err(|error| format!("its head `{text}` is not JSON: {error}"))?;
    let kind = value.as_object().map(|members| members.get("content_type"));
    match kind {
        None => Err(format!("its head `{text}` is not a JSON object")),
        Some(None) | Some(Some(Value::String(_))) => Ok(()),
        Some(Some(other)) => Err(format!("its head's `content_type` is {other}")),
    }
}

/// Runs `check` if the plugin has the function `slot` in its table, and returns `Marker::Skip` otherwise. If the
/// manifest does not declare the operation, returns `Marker::Warn`.
fn if_declared(
    harness: &Harness,
    slot: Slot,
    check: impl FnOnce(Driver, u64) -> Result<(), Marker>,
) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let declares =
        harness.manifest().map_or(true, |manifest| manifest.operations.iter().any(|name| name == slot.name()));
    match (driver.has(slot), declares) {
        (false, false) => Err(Marker::skip("the plugin does not have the operation")),
        (false, true) => Err(Marker::skip("the operation has no slot, see `manifest-operations`")),
        (true, true) => check(driver, client),
        (true, false) => match check(driver, client) {
            Ok(()) => Err(Marker::warn("the operation works, but the manifest does not declare it")),
            Err(Marker::Fail(why)) => {
                Err(Marker::warn(format!("the operation fails, and the manifest does not declare it: {why}")))
            }
            Err(other) => Err(other),
        },
    }
}

type Shape = fn(&Answer) -> Result<(), Marker>;

/// Checks a reply. If it is a result, `shape` checks its format. If it is an error, the case fails if `must_work` is
/// true, and is unproven otherwise.
fn check(answer: &Answer, must_work: bool, shape: Shape) -> Result<(), Marker> {
    let code = answer.code();
    ensure!(
        code.as_deref() != Some("NOT_IMPLEMENTED") || !must_work,
        "the operation is declared, but {}",
        answer.describe()
    );
    match (answer.is_ok(), must_work) {
        (true, _) => shape(answer),
        (false, true) => Err(Marker::fail(answer.describe())),
        (false, false) => Err(answer.unproven("the call failed")),
    }
}

fn is_anything(_: &Answer) -> Result<(), Marker> {
    Ok(())
}

fn is_record(answer: &Answer) -> Result<(), Marker> {
    let named = answer.json().is_some_and(|record| record["name"].is_string());
    ensure!(named, "expected an object with `name`, but {}", answer.describe());
    Ok(())
}

fn is_object_or_nothing(answer: &Answer) -> Result<(), Marker> {
    let fits = answer.body().is_empty() || answer.json().is_some_and(|value| value.is_object() || value.is_null());
    ensure!(fits, "expected an object or nothing, but {}", answer.describe());
    Ok(())
}

fn is_list(answer: &Answer) -> Result<(), Marker> {
    let named = |list: &Vec<Value>| list.iter().all(|record| record["name"].is_string());
    ensure!(
        answer.json().is_some_and(|value| value.as_array().is_some_and(named)),
        "expected a list of objects with `name`, but {}",
        answer.describe()
    );
    match answer.json().is_some_and(|list| list == json!([])) {
        true => Err(answer.unproven("the list is empty")),
        false => Ok(()),
    }
}

/// Checks an operation on a deployment. If the config describes a deployment, creates it for the check. Otherwise makes
/// the operation's sample call.
fn on_deployment(harness: &Harness, operation: Operation, shape: Shape) -> Result<(), Marker> {
    on_resource(harness, operation, shape, |driver, client| harness.create_deployment(driver, client))
}

/// Checks an operation on an endpoint. If the config describes an endpoint, creates it for the check. Otherwise makes
/// the operation's sample call.
fn on_endpoint(harness: &Harness, operation: Operation, shape: Shape) -> Result<(), Marker> {
    on_resource(harness, operation, shape, |driver, client| harness.create_endpoint(driver, client))
}

fn on_resource(
    harness: &Harness,
    operation: Operation,
    shape: Shape,
    create: impl FnOnce(&Driver, u64) -> Result<Option<crate::resource::Resource>, Marker>,
) -> Result<(), Marker> {
    let slot = Slot::Operation(operation);
    if_declared(harness, slot, |driver, client| {
        let Some(resource) = create(&driver, client)? else {
            let answer = harness.call(&driver, slot, client, &harness.sample(operation))?;
            return check(&answer, harness.sample_works(operation), shape);
        };
        let checked = match resource.request(operation) {
            Some(request) => {
                harness.call(&driver, slot, client, &request).and_then(|answer| check(&answer, true, shape))
            }
            // The case checks the operation that created the resource.
            None => check(&resource.answer, true, shape),
        };
        harness.remove(&driver, client, &resource)?;
        checked
    })
}

fn with_inputs(harness: &Harness, operation: Operation) -> Result<(), Marker> {
    let slot = Slot::Operation(operation);
    if_declared(harness, slot, |driver, client| {
        let answer = harness.call(&driver, slot, client, &harness.sample(operation))?;
        let shape = if operation == Operation::PredictStream { chunks_are_json } else { body_is_json };
        check(&answer, harness.sample_works(operation), shape)
    })
}

fn body_is_json(answer: &Answer) -> Result<(), Marker> {
    let is_json = may_be_json(answer.reply.head.as_deref(), answer.body());
    ensure!(is_json, "the result is declared as JSON but is not: {}", answer.describe());
    Ok(())
}

fn chunks_are_json(answer: &Answer) -> Result<(), Marker> {
    answer.expect_chunks(1)?;
    for chunk in &answer.call.chunks {
        let body = chunk.body.as_deref().unwrap_or_default();
        let is_json = may_be_json(chunk.head.as_deref(), body);
        ensure!(is_json, "a chunk is declared as JSON but is not: `{}`", String::from_utf8_lossy(body));
    }
    Ok(())
}

/// Returns false if `head` declares the body as JSON and the body is not JSON. An empty body and Python's `NaN` and
/// `Infinity` are allowed.
fn may_be_json(head: Option<&[u8]>, body: &[u8]) -> bool {
    let head: Value = serde_json::from_slice(head.unwrap_or_default()).unwrap_or_default();
    let is_other = head["content_type"].as_str().is_some_and(|kind| !kind.contains("json"));
    let has = |word: &[u8]| body.windows(word.len()).any(|each| each == word);
    is_other || body.is_empty() || has(b"NaN") || has(b"Infinity") || serde_json::from_slice::<Value>(body).is_ok()
}

fn target_help(harness: &Harness) -> Result<(), Marker> {
    if_declared(harness, Slot::TargetHelp, |driver, _client| {
        let answer = harness.call(&driver, Slot::TargetHelp, 0, &request(&json!({}), ""))?;
        answer.expect_ok()?;
        let text = std::str::from_utf8(answer.body()).unwrap_or_default().trim();
        ensure!(!text.is_empty(), "expected a text that is not empty, but {}", answer.describe());
        Ok(())
    })
}

fn run_local(harness: &Harness) -> Result<(), Marker> {
    if_declared(harness, Slot::RunLocal, |driver, _client| {
        let name = harness.name("local");
        let Some(local) = &harness.config().run_local else {
            let head = json!({"name": name, "model_uri": "/conformance/missing", "target_uri": harness.target()?});
            let call = driver.fresh_id();
            harness.start(&driver, Slot::RunLocal, (0, call), &request(&head, "").with_credit(16));
            driver.cancel(call);
            return Err(harness.answer(&driver, Slot::RunLocal, call)?.unproven("no model was served"));
        };
        let head = json!({
            "name": name, "model_uri": local.model_uri, "flavor": local.flavor, "config": local.config,
            "target_uri": harness.target()?,
        });
        let call = driver.fresh_id();
        harness.start(&driver, Slot::RunLocal, (0, call), &request(&head, "").with_credit(16));
        driver.wait(call, harness.reply_timeout(), |call| !call.chunks.is_empty() || !call.replies.is_empty());
        let event: Option<Value> =
            driver.call(call).chunks.first().and_then(|chunk| serde_json::from_slice(chunk.body.as_deref()?).ok());
        driver.cancel(call);
        let answer = harness.answer(&driver, Slot::RunLocal, call)?;
        let ready = event.is_some_and(|event| event["event"] == "ready" && event["url"].is_string());
        ensure!(ready, "no chunk with `\"event\":\"ready\"` and a `url`; finally {}", answer.describe());
        Ok(())
    })
}
