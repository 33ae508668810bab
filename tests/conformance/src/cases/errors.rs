//! Cases that check errors: their format, the absence of secrets in them, and the client after an error.

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Operation};
use serde_json::json;

use super::operations::each_has_one_reply;
use crate::case::{Case, FILTERED, Process, Stage};
use crate::harness::{Answer, Harness, request};
use crate::marker::{Marker, ensure};
use crate::secrets::Secrets;

pub(super) const CASES: &[Case] = &[
    Case::new("errors-status", "errors.status", "A reply's status is 0 or 1.", status),
    Case::new("errors-json", "errors.json", "An error's body is JSON as in the contract.", shape),
    Case::new("errors-code", "errors.code", "An error has an upper-case code, preferably one of MLflow's.", code),
    Case::new("errors-message", "errors.message", "An error has a message.", message),
    Case::new("errors-one-reply", "errors.one-reply", "A call that fails gets exactly one reply.", one_reply),
    Case::new("errors-client-lives", "errors.afterwards", "After an error, the client works as before.", lives),
    Case::new(
        "errors-failed-open",
        "errors.open",
        "After a failed `open`, `close` does nothing and other clients open.",
        failed,
    )
    .in_process_only(FILTERED)
    .needs(Stage::Instance),
    Case::new("errors-secrets", "errors.secrets", "No reply, event or output contains a secret.", secrets)
        .needs(Stage::Instance)
        .process(Process::Secrets),
    Case::new("errors-panic", "errors.panic", "A panic is an error of its call, and disables only its client.", panic),
];

/// Calls each operation of the plugin, and `open`, with invalid arguments. Returns the replies that are errors, or
/// `Marker::Skip` if there are none.
fn failures(harness: &Harness, driver: &Driver, client: u64) -> Result<Vec<Answer>, Marker> {
    let mut answers = Vec::new();
    for operation in driver.operations() {
        let slot = Slot::Operation(operation);
        // The credit lets a stream end if it ignores its arguments.
        answers.push(harness.call(driver, slot, client, &Request::new("[1]", "").with_credit(1 << 20))?);
        if matches!(operation, Operation::GetDeployment | Operation::GetEndpoint) {
            let missing = harness.name("missing");
            answers.push(harness.call(
                driver,
                slot,
                client,
                &request(&json!({"name": missing, "endpoint": missing}), ""),
            )?);
        }
    }
    answers.push(harness.call(driver, Slot::Open, driver.fresh_id(), &Request::new("[1]", ""))?);
    answers.retain(|answer| !answer.is_ok());
    if answers.is_empty() { Err(Marker::skip("no call failed")) } else { Ok(answers) }
}

fn each_failure(harness: &Harness, look: impl Fn(&Answer) -> Result<(), Marker>) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    failures(harness, &driver, client)?.iter().try_for_each(look)
}

fn status(harness: &Harness) -> Result<(), Marker> {
    each_failure(harness, |answer| {
        ensure!(answer.reply.status == 1, "{}", answer.describe());
        Ok(())
    })
}

fn shape(harness: &Harness) -> Result<(), Marker> {
    each_failure(harness, |answer| match serde_json::from_slice::<Error>(answer.body()) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Marker::fail(format!("{}; the body is not the JSON of an error: {error}", answer.describe())))
        }
    })
}

fn code(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let mut foreign = Vec::new();
    for answer in failures(harness, &driver, client)? {
        let Some(code) = answer.code() else { continue };
        let in_capitals = code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.chars().all(|each| each.is_ascii_uppercase() || each.is_ascii_digit() || each == '_');
        ensure!(in_capitals, "invalid code `{code}`: {}", answer.describe());
        if !ErrorCode::KNOWN.iter().any(|known| known.as_str() == code) {
            foreign.push(code);
        }
    }
    if foreign.is_empty() { Ok(()) } else { Err(Marker::warn(format!("codes that are not MLflow's: {foreign:?}"))) }
}

fn message(harness: &Harness) -> Result<(), Marker> {
    each_failure(harness, |answer| {
        let Some(error) = answer.json() else { return Ok(()) };
        let has_message = error["message"].as_str().is_some_and(|message| !message.trim().is_empty());
        ensure!(has_message, "the error has no message: {}", answer.describe());
        Ok(())
    })
}

fn one_reply(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    failures(harness, &driver, client)?;
    harness.drain(&driver, client)?;
    each_has_one_reply(&driver)
}

fn lives(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let (slot, request) = harness.working_call(&driver, client)?;
    failures(harness, &driver, client)?;
    let after = harness.call(&driver, slot, client, &request)?;
    ensure!(after.is_ok(), "the call succeeded before the errors, but fails after them: {}", after.describe());
    Ok(())
}

fn failed(harness: &Harness) -> Result<(), Marker> {
    let driver = harness.instance()?;
    let open = harness.open_request(&harness.target()?);
    harness.call(&driver, Slot::Open, driver.fresh_id(), &open)?.expect_proof()?;
    let client = driver.fresh_id();
    let answer = harness.call(&driver, Slot::Open, client, &Request::new("[1]", ""))?;
    if answer.is_ok() {
        return Err(Marker::skip("`open` with invalid arguments did not fail"));
    }
    harness.log("closes the client whose `open` failed");
    driver.close(client);
    harness.call(&driver, Slot::Open, driver.fresh_id(), &open)?.expect_ok()
}

fn secrets(harness: &Harness) -> Result<(), Marker> {
    let Secrets { options, values: secrets, .. } = harness.secrets()?;
    if secrets.is_empty() {
        return Err(Marker::skip("the manifest has no variable that is `secret` and no option that is `writeOnly`"));
    }
    let driver = harness.instance()?;
    let target = harness.target()?;
    let client = driver.fresh_id();
    harness.call(&driver, Slot::Open, client, &harness.open_request_with(&target, &options))?;
    // An error may repeat the name of an unknown option, but not its value.
    let unknown = json!({"target_uri": target, "options": {"conformance_unknown": secrets}});
    harness.call(&driver, Slot::Open, driver.fresh_id(), &request(&unknown, ""))?;
    failures(harness, &driver, client)
        .map(drop)
        .or_else(|marker| if let Marker::Skip(_) = marker { Ok(()) } else { Err(marker) })?;
    for operation in harness.safe_operations(&driver) {
        harness.call(&driver, Slot::Operation(operation), client, &harness.sample(operation))?;
    }
    let mut output: Vec<Option<Vec<u8>>> = driver.events().into_iter().map(|event| event.json).collect();
    for (_, call) in driver.calls() {
        output.extend(call.replies.into_iter().filter(|reply| reply.status != 0).map(|reply| reply.body));
    }
    for bytes in output.iter().flatten() {
        reveals_none(&secrets, &String::from_utf8_lossy(bytes))?;
    }
    reveals_none(&secrets, &super::process::printed_text()?)
}

fn reveals_none(secrets: &[String], output: &str) -> Result<(), Marker> {
    let leaked = secrets.iter().find(|secret| output.contains(secret.as_str()));
    // The message must not contain the secret itself.
    ensure!(
        leaked.is_none(),
        "a secret is in the output: `{}`",
        secrets.iter().fold(output.to_owned(), |text, secret| text.replace(secret, "<secret>"))
    );
    Ok(())
}

fn panic(harness: &Harness) -> Result<(), Marker> {
    let Some(sample) = &harness.config().panic else {
        return Err(Marker::skip("the config has no `panic`"));
    };
    let (driver, client) = harness.client()?;
    let slot = Slot::Operation(Operation::Predict);
    let answer = harness.call(&driver, slot, client, &sample.request())?;
    ensure!(
        answer.code().as_deref() == Some("PLUGIN_PANICKED"),
        "expected `PLUGIN_PANICKED`, but {}",
        answer.describe()
    );
    let (easy, request) = harness.require_simple_call(&driver)?;
    let after = harness.call(&driver, easy, client, &request)?;
    ensure!(
        after.code().as_deref() == Some("PLUGIN_PANICKED"),
        "the client still works after a panic: {}",
        after.describe()
    );
    let other = harness.open(&driver)?;
    let fine = harness.call(&driver, easy, other, &request)?;
    ensure!(
        fine.code().as_deref() != Some("PLUGIN_PANICKED"),
        "the panic disabled another client too: {}",
        fine.describe()
    );
    Ok(())
}
