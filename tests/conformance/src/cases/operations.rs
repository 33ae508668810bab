//! Every operation: whether it answers, once, and with what it promises.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::Driver;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, request};
use crate::case::{Case, Stage};
use crate::mark::{Mark, ensure};

/// A case for one operation.
const fn case(id: &'static str, says: &'static str, check: fn(&Bench) -> Result<(), Mark>) -> Case {
    Case::new(id, "operations.answers", says, check)
}

pub(super) const CASES: &[Case] = &[
    Case::new("operations-open", "operations.open", "`open` makes a client of the target.", open)
        .needs(Stage::Instance)
        .gate(),
    Case::new("operations-targets", "operations.targets", "Every target URI of the config can be opened.", targets),
    Case::new("operations-target-forms", "operations.target-forms", "Any form of target URI is replied to.", forms),
    Case::new("operations-one-reply", "operations.one-reply", "Every call gets one reply, and no more.", one_reply),
    Case::new("operations-reply-head", "operations.reply-head", "A result's head is empty, or names its format.", head),
    case("operations-create-deployment", "`create_deployment` answers a record with `name`.", |bench| {
        deployed(bench, Operation::CreateDeployment, is_record)
    }),
    case("operations-update-deployment", "`update_deployment` answers a record, or nothing.", |bench| {
        deployed(bench, Operation::UpdateDeployment, is_object_or_nothing)
    }),
    case("operations-delete-deployment", "`delete_deployment` answers.", |bench| {
        deployed(bench, Operation::DeleteDeployment, is_anything)
    }),
    case("operations-get-deployment", "`get_deployment` answers a record with `name`.", |bench| {
        deployed(bench, Operation::GetDeployment, is_record)
    }),
    case("operations-list-deployments", "`list_deployments` answers a list of records with `name`.", |bench| {
        deployed(bench, Operation::ListDeployments, is_list)
    }),
    case("operations-create-endpoint", "`create_endpoint` answers a record with `name`.", |bench| {
        provided(bench, Operation::CreateEndpoint, is_record)
    }),
    case("operations-update-endpoint", "`update_endpoint` answers a record, or nothing.", |bench| {
        provided(bench, Operation::UpdateEndpoint, is_object_or_nothing)
    }),
    case("operations-delete-endpoint", "`delete_endpoint` answers.", |bench| {
        provided(bench, Operation::DeleteEndpoint, is_anything)
    }),
    case("operations-get-endpoint", "`get_endpoint` answers a record with `name`.", |bench| {
        provided(bench, Operation::GetEndpoint, is_record)
    }),
    case("operations-list-endpoints", "`list_endpoints` answers a list of records with `name`.", |bench| {
        provided(bench, Operation::ListEndpoints, is_list)
    }),
    case("operations-predict", "`predict` answers, with JSON where it says so.", |bench| {
        asked(bench, Operation::Predict)
    }),
    case("operations-predict-stream", "`predict_stream` ends, and its chunks are JSON where they say so.", |bench| {
        asked(bench, Operation::PredictStream)
    }),
    case("operations-explain", "`explain` answers, with JSON where it says so.", |bench| {
        asked(bench, Operation::Explain)
    }),
    case("operations-invoke", "`invoke` answers, with JSON where it says so.", |bench| asked(bench, Operation::Invoke)),
    case("operations-target-help", "`target_help` answers a text.", target_help),
    case("operations-run-local", "`run_local` says when the model answers, and stops when it is cancelled.", run_local),
];

fn open(bench: &Bench) -> Result<(), Mark> {
    bench.client().map(drop)
}

fn targets(bench: &Bench) -> Result<(), Mark> {
    let targets = &bench.config().target_uris;
    if targets.is_empty() {
        return Err(Mark::skip("the config names no target URIs"));
    }
    let driver = bench.instance()?;
    for target in targets {
        bench.say(format!("opens `{target}`"));
        bench.open_as(&driver, driver.fresh_id(), target)?;
    }
    Ok(())
}

fn forms(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    for scheme in bench.manifest()?.schemes {
        let forms =
            ["", ":", ":/", "://", ":/conformance", "://conformance", "://a:b@c/d?e=f#g", "://\u{1F600}", "://%00"];
        for target in forms.iter().map(|form| format!("{scheme}{form}")).chain([scheme.to_uppercase(), String::new()]) {
            bench.say(format!("opens `{target}`"));
            let client = driver.fresh_id();
            bench.ask(&driver, Slot::Open, client, &bench.open_request(&target))?.must_not_be_a_panic()?;
            driver.close(client);
        }
    }
    Ok(())
}

fn one_reply(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    for slot in bench.slots(&driver) {
        let request = match slot {
            Slot::Operation(operation) => bench.sample(operation),
            _ => request(&json!({}), ""),
        };
        bench.ask(&driver, slot, client, &request)?;
    }
    bench.settle(&driver, client)?;
    once(&driver)
}

/// Whether every call was replied to exactly once, and nothing else was.
pub(super) fn once(driver: &Driver) -> Result<(), Mark> {
    for (id, call) in driver.calls() {
        let replies = call.replies.len();
        ensure!(call.made || replies == 0, "it replied to call {id}, which nobody made");
        ensure!(replies <= 1, "it replied {replies} times to call {id}");
        ensure!(!call.made || replies == 1, "it did not reply to call {id}");
    }
    Ok(())
}

fn head(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    for slot in bench.slots(&driver) {
        let request = match slot {
            Slot::Operation(operation) => bench.sample(operation),
            _ => request(&json!({}), ""),
        };
        let answer = bench.ask(&driver, slot, client, &request)?;
        if answer.is_ok() {
            is_head(answer.reply.head.as_deref()).map_err(|why| Mark::fail(format!("`{}`: {why}", slot.name())))?;
            ensure!(answer.reply.body.is_some(), "`{}` replied with a body that is NULL and not empty", slot.name());
        }
    }
    Ok(())
}

/// Whether a head can be read.
pub(super) fn is_head(head: Option<&[u8]>) -> Result<(), String> {
    let head = head.ok_or("its head is NULL and not empty")?;
    if head.is_empty() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(head);
    let value: Value =
        serde_json::from_slice(head).map_err(|error| format!("its head `{text}` is no JSON: {error}"))?;
    let kind = value.as_object().map(|members| members.get("content_type"));
    match kind {
        None => Err(format!("its head `{text}` is no JSON object")),
        Some(None) | Some(Some(Value::String(_))) => Ok(()),
        Some(Some(other)) => Err(format!("its head's `content_type` is {other}")),
    }
}

/// Turns "not declared" into a verdict: absent is nothing to check, and present and working is worth a word.
fn declared(bench: &Bench, slot: Slot, check: impl FnOnce(Driver, u64) -> Result<(), Mark>) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let declares = bench.manifest().map_or(true, |manifest| manifest.operations.iter().any(|name| name == slot.name()));
    match (driver.has(slot), declares) {
        (false, false) => Err(Mark::skip("the plugin does not have it")),
        (false, true) => Err(Mark::skip("it has no slot, see `manifest-operations`")),
        (true, true) => check(driver, client),
        (true, false) => match check(driver, client) {
            Ok(()) => Err(Mark::warn("it works, and the manifest does not name it")),
            Err(Mark::Fail(why)) => {
                Err(Mark::warn(format!("the manifest does not name it, and it does not work: {why}")))
            }
            Err(other) => Err(other),
        },
    }
}

type Shape = fn(&Answer) -> Result<(), Mark>;

/// Checks an answer: a result has its shape, and an error is one that an operation that is there can give.
fn check(answer: &Answer, must_work: bool, shape: Shape) -> Result<(), Mark> {
    let code = answer.code();
    ensure!(code.as_deref() != Some("NOT_IMPLEMENTED") || !must_work, "it is declared, and {}", answer.said());
    match (answer.is_ok(), must_work) {
        (true, _) => shape(answer),
        (false, true) => Err(Mark::fail(answer.said())),
        (false, false) => Ok(()),
    }
}

fn is_anything(_: &Answer) -> Result<(), Mark> {
    Ok(())
}

fn is_record(answer: &Answer) -> Result<(), Mark> {
    let named = answer.json().is_some_and(|record| record["name"].is_string());
    ensure!(named, "expected an object with `name`, but {}", answer.said());
    Ok(())
}

fn is_object_or_nothing(answer: &Answer) -> Result<(), Mark> {
    let fits = answer.body().is_empty() || answer.json().is_some_and(|value| value.is_object() || value.is_null());
    ensure!(fits, "expected an object or nothing, but {}", answer.said());
    Ok(())
}

fn is_list(answer: &Answer) -> Result<(), Mark> {
    let named = |list: &Vec<Value>| list.iter().all(|record| record["name"].is_string());
    ensure!(
        answer.json().is_some_and(|value| value.as_array().is_some_and(named)),
        "expected a list of objects with `name`, but {}",
        answer.said()
    );
    Ok(())
}

/// An operation on deployments, with one there where the config tells how.
fn deployed(bench: &Bench, operation: Operation, shape: Shape) -> Result<(), Mark> {
    on_something(bench, operation, shape, |driver, client| bench.deploy(driver, client))
}

/// An operation on endpoints, with one there where the config tells how.
fn provided(bench: &Bench, operation: Operation, shape: Shape) -> Result<(), Mark> {
    on_something(bench, operation, shape, |driver, client| bench.provide(driver, client))
}

fn on_something(
    bench: &Bench,
    operation: Operation,
    shape: Shape,
    make: impl FnOnce(&Driver, u64) -> Result<Option<crate::semantics::Made>, Mark>,
) -> Result<(), Mark> {
    let slot = Slot::Operation(operation);
    declared(bench, slot, |driver, client| {
        let Some(made) = make(&driver, client)? else {
            let answer = bench.ask(&driver, slot, client, &bench.sample(operation))?;
            return check(&answer, bench.sample_works(operation), shape);
        };
        let checked = match made.request(operation) {
            Some(request) => bench.ask(&driver, slot, client, &request).and_then(|answer| check(&answer, true, shape)),
            // It was made by this very operation.
            None => check(&made.answer, true, shape),
        };
        bench.unmake(&driver, client, &made)?;
        checked
    })
}

fn asked(bench: &Bench, operation: Operation) -> Result<(), Mark> {
    let slot = Slot::Operation(operation);
    declared(bench, slot, |driver, client| {
        let answer = bench.ask(&driver, slot, client, &bench.sample(operation))?;
        let shape = if operation == Operation::PredictStream { chunks_are_json } else { body_is_json };
        check(&answer, bench.sample_works(operation), shape)
    })
}

fn body_is_json(answer: &Answer) -> Result<(), Mark> {
    let is_json = may_be_json(answer.reply.head.as_deref(), answer.body());
    ensure!(is_json, "it is said to be JSON and is not: {}", answer.said());
    Ok(())
}

fn chunks_are_json(answer: &Answer) -> Result<(), Mark> {
    for chunk in &answer.call.chunks {
        let body = chunk.body.as_deref().unwrap_or_default();
        let is_json = may_be_json(chunk.head.as_deref(), body);
        ensure!(is_json, "a chunk is said to be JSON and is not: `{}`", String::from_utf8_lossy(body));
    }
    Ok(())
}

/// Whether bytes are what their head says, so far as that is JSON. Python's `NaN` and `Infinity` are let through, and so
/// are no bytes at all, which stand for `null`.
fn may_be_json(head: Option<&[u8]>, body: &[u8]) -> bool {
    let head: Value = serde_json::from_slice(head.unwrap_or_default()).unwrap_or_default();
    let is_other = head["content_type"].as_str().is_some_and(|kind| !kind.contains("json"));
    let has = |word: &[u8]| body.windows(word.len()).any(|each| each == word);
    is_other || body.is_empty() || has(b"NaN") || has(b"Infinity") || serde_json::from_slice::<Value>(body).is_ok()
}

fn target_help(bench: &Bench) -> Result<(), Mark> {
    declared(bench, Slot::TargetHelp, |driver, _client| {
        let answer = bench.ask(&driver, Slot::TargetHelp, 0, &request(&json!({}), ""))?;
        answer.must_be_ok()?;
        let text = std::str::from_utf8(answer.body()).unwrap_or_default().trim();
        ensure!(!text.is_empty(), "expected a text, but {}", answer.said());
        Ok(())
    })
}

fn run_local(bench: &Bench) -> Result<(), Mark> {
    declared(bench, Slot::RunLocal, |driver, _client| {
        let name = bench.name("local");
        let Some(local) = &bench.config().run_local else {
            let head = json!({"name": name, "model_uri": "/conformance/missing", "target_uri": bench.target()?});
            let call = driver.fresh_id();
            bench.start(&driver, Slot::RunLocal, (0, call), &request(&head, "").with_credit(16));
            driver.cancel(call);
            return bench.answer(&driver, Slot::RunLocal, call).map(drop);
        };
        let head = json!({
            "name": name, "model_uri": local.model_uri, "flavor": local.flavor, "config": local.config,
            "target_uri": bench.target()?,
        });
        let call = driver.fresh_id();
        bench.start(&driver, Slot::RunLocal, (0, call), &request(&head, "").with_credit(16));
        driver.wait(call, bench.patience(), |call| !call.chunks.is_empty() || !call.replies.is_empty());
        let said: Option<Value> =
            driver.call(call).chunks.first().and_then(|chunk| serde_json::from_slice(chunk.body.as_deref()?).ok());
        driver.cancel(call);
        let answer = bench.answer(&driver, Slot::RunLocal, call)?;
        let ready = said.is_some_and(|said| said["event"] == "ready" && said["url"].is_string());
        ensure!(ready, "no chunk said that it is ready, and where; at last {}", answer.said());
        Ok(())
    })
}
