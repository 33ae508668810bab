//! Errors: what they say, what they never say, and what comes after them.

use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Operation};
use serde_json::json;

use super::operations::once;
use crate::bench::{Answer, Bench, request};
use crate::case::{Case, FILTERED, Process, Stage};
use crate::mark::{Mark, ensure};

pub(super) const CASES: &[Case] = &[
    Case::new("errors-status", "errors.status", "A reply's status is 0 or 1.", status),
    Case::new("errors-json", "errors.json", "An error's body is the contract's JSON.", shape),
    Case::new("errors-code", "errors.code", "An error has a code in capitals; better one of MLflow's.", code),
    Case::new("errors-message", "errors.message", "An error has a message.", message),
    Case::new("errors-one-reply", "errors.one-reply", "A call that fails gets one reply, and no more.", one_reply),
    Case::new("errors-client-lives", "errors.afterwards", "After an error the client answers as before.", lives),
    Case::new(
        "errors-failed-open",
        "errors.open",
        "After an `open` that failed, closing does nothing, and others open.",
        failed,
    )
    .inside(FILTERED)
    .needs(Stage::Instance),
    Case::new("errors-secrets", "errors.secrets", "No secret is in what it replies, says or prints.", secrets)
        .needs(Stage::Instance)
        .process(Process::Secrets),
    Case::new("errors-panic", "errors.panic", "A panic is its caller's error, and ends that client alone.", panic),
];

/// Makes calls that fail, as many kinds as there are.
fn failures(bench: &Bench, driver: &Driver, client: u64) -> Result<Vec<Answer>, Mark> {
    let mut answers = Vec::new();
    for operation in driver.operations() {
        let slot = Slot::Operation(operation);
        answers.push(bench.ask(driver, slot, client, &Request::new("[1]", ""))?);
        if matches!(operation, Operation::GetDeployment | Operation::GetEndpoint) {
            let missing = bench.name("missing");
            answers.push(bench.ask(
                driver,
                slot,
                client,
                &request(&json!({"name": missing, "endpoint": missing}), ""),
            )?);
        }
    }
    answers.push(bench.ask(driver, Slot::Open, driver.fresh_id(), &Request::new("[1]", ""))?);
    answers.retain(|answer| !answer.is_ok());
    if answers.is_empty() { Err(Mark::skip("nothing that could be asked failed")) } else { Ok(answers) }
}

fn each_failure(bench: &Bench, look: impl Fn(&Answer) -> Result<(), Mark>) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    failures(bench, &driver, client)?.iter().try_for_each(look)
}

fn status(bench: &Bench) -> Result<(), Mark> {
    each_failure(bench, |answer| {
        ensure!(answer.reply.status == 1, "{}", answer.said());
        Ok(())
    })
}

fn shape(bench: &Bench) -> Result<(), Mark> {
    each_failure(bench, |answer| match serde_json::from_slice::<Error>(answer.body()) {
        Ok(_) => Ok(()),
        Err(error) => Err(Mark::fail(format!("{}; that is not an error's JSON: {error}", answer.said()))),
    })
}

fn code(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let mut strange = Vec::new();
    for answer in failures(bench, &driver, client)? {
        let Some(code) = answer.code() else { continue };
        let in_capitals = code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.chars().all(|each| each.is_ascii_uppercase() || each.is_ascii_digit() || each == '_');
        ensure!(in_capitals, "`{code}` is no code: {}", answer.said());
        if !ErrorCode::KNOWN.iter().any(|known| known.as_str() == code) {
            strange.push(code);
        }
    }
    if strange.is_empty() { Ok(()) } else { Err(Mark::warn(format!("these are none of MLflow's codes: {strange:?}"))) }
}

fn message(bench: &Bench) -> Result<(), Mark> {
    each_failure(bench, |answer| {
        let Some(error) = answer.json() else { return Ok(()) };
        let said = error["message"].as_str().is_some_and(|message| !message.trim().is_empty());
        ensure!(said, "there is no message: {}", answer.said());
        Ok(())
    })
}

fn one_reply(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    failures(bench, &driver, client)?;
    bench.settle(&driver, client)?;
    once(&driver)
}

fn lives(bench: &Bench) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let (slot, request) = bench.need_easy(&driver)?;
    let before = bench.ask(&driver, slot, client, &request)?;
    failures(bench, &driver, client)?;
    let after = bench.ask(&driver, slot, client, &request)?;
    ensure!(before.is_ok() == after.is_ok(), "before an error {}, and after it {}", before.said(), after.said());
    Ok(())
}

fn failed(bench: &Bench) -> Result<(), Mark> {
    let driver = bench.instance()?;
    let client = driver.fresh_id();
    let answer = bench.ask(&driver, Slot::Open, client, &Request::new("[1]", ""))?;
    if answer.is_ok() {
        return Err(Mark::skip("no `open` failed"));
    }
    bench.say("closes the client that was not opened");
    driver.close(client);
    let target = bench.target()?;
    bench.ask(&driver, Slot::Open, driver.fresh_id(), &bench.open_request(&target)).map(drop)
}

fn secrets(bench: &Bench) -> Result<(), Mark> {
    let secrets = bench.secrets()?.values;
    if secrets.is_empty() {
        return Err(Mark::skip("the manifest names no secrets"));
    }
    let driver = bench.instance()?;
    let target = bench.target()?;
    let client = driver.fresh_id();
    bench.ask(&driver, Slot::Open, client, &bench.open_request(&target))?;
    // An option that no target has may be called by its name, and never by its value.
    let unknown = json!({"target_uri": target, "options": {"conformance_unknown": secrets}});
    bench.ask(&driver, Slot::Open, driver.fresh_id(), &request(&unknown, ""))?;
    failures(bench, &driver, client)
        .map(drop)
        .or_else(|mark| if let Mark::Skip(_) = mark { Ok(()) } else { Err(mark) })?;
    for operation in bench.harmless(&driver) {
        bench.ask(&driver, Slot::Operation(operation), client, &bench.sample(operation))?;
    }
    let mut said: Vec<Option<Vec<u8>>> = driver.events().into_iter().map(|event| event.json).collect();
    for (_, call) in driver.calls() {
        said.extend(call.replies.into_iter().filter(|reply| reply.status != 0).map(|reply| reply.body));
    }
    for bytes in said.iter().flatten() {
        silent(&secrets, &String::from_utf8_lossy(bytes))?;
    }
    silent(&secrets, &super::process::printed_text()?)
}

fn silent(secrets: &[String], said: &str) -> Result<(), Mark> {
    let leaked = secrets.iter().find(|secret| said.contains(secret.as_str()));
    // The secret itself is not repeated here, but for those that were made up.
    ensure!(
        leaked.is_none(),
        "it says a secret: `{}`",
        secrets.iter().fold(said.to_owned(), |text, secret| text.replace(secret, "<secret>"))
    );
    Ok(())
}

fn panic(bench: &Bench) -> Result<(), Mark> {
    let Some(question) = &bench.config().panic else {
        return Err(Mark::skip("there is no `panic` in the config"));
    };
    let (driver, client) = bench.client()?;
    let slot = Slot::Operation(Operation::Predict);
    let answer = bench.ask(&driver, slot, client, &question.request())?;
    ensure!(answer.code().as_deref() == Some("PLUGIN_PANICKED"), "expected `PLUGIN_PANICKED`, but {}", answer.said());
    let (easy, request) = bench.need_easy(&driver)?;
    let after = bench.ask(&driver, easy, client, &request)?;
    ensure!(after.code().as_deref() == Some("PLUGIN_PANICKED"), "the client goes on after a panic: {}", after.said());
    let other = bench.open(&driver)?;
    let fine = bench.ask(&driver, easy, other, &request)?;
    ensure!(fine.code().as_deref() != Some("PLUGIN_PANICKED"), "another client is ended as well: {}", fine.said());
    Ok(())
}
