//! Models as records: every field as the server sent it, and as `name` what the model is asked by.

use mlflow_deploy_http::{JsonObject, Response};
use mlflow_deploy_plugin_api::{JSON, Payload, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// One page of a list. OpenAI's own list has one.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(default)]
    has_more: Option<bool>,
}

/// What an answer should have in it.
const EXPECTED: &str = "models";

/// Adds the records of a page; returns the id after which the next one begins, if there is one.
pub(crate) fn add_page(answer: &Response, records: &mut Vec<Vec<u8>>) -> Result<Option<String>> {
    let page: Page<'_> = answer.parse(EXPECTED)?;
    let mut last = None;
    for model in page.data {
        let model = JsonObject::parse(model.get().as_bytes())
            .map_err(|_no_object| answer.unexpected(EXPECTED, "a model is not a JSON object"))?;
        let id = model.get("id").ok_or_else(|| answer.unexpected(EXPECTED, "a model has no `id`"))?;
        records.push(record(&model, id));
        last = Some(id.to_owned());
    }
    match last {
        Some(id) if page.has_more == Some(true) => {
            let id = serde_json::from_str(&id);
            id.map(Some).map_err(|_no_text| answer.unexpected(EXPECTED, "the `id` of a model is not a text"))
        }
        _ => Ok(None),
    }
}

/// The record of the model with this name.
pub(crate) fn find(records: &[Vec<u8>], name: &str) -> Option<Payload> {
    let name = serde_json::to_string(name).expect("a text has a JSON form");
    let has_name = |record: &&Vec<u8>| JsonObject::parse(record).is_ok_and(|model| model.get("name") == Some(&name));
    records.iter().find(has_name).map(|record| Payload::new(JSON, record.clone()))
}

/// The one model of an answer, which was asked for by this name.
pub(crate) fn single(answer: &Response, asked: &str) -> Result<Payload> {
    // Read as any JSON first, so that what is wrong is said without a value.
    answer.parse::<IgnoredAny>(EXPECTED)?;
    let model = JsonObject::parse(answer.payload.bytes())
        .map_err(|_no_object| answer.unexpected(EXPECTED, "it is not a JSON object"))?;
    let asked = serde_json::to_string(asked).expect("a text has a JSON form");
    Ok(Payload::new(JSON, record(&model, model.get("id").unwrap_or(&asked))))
}

/// Some servers have a `name` for people beside the `id`. It stays, as `display_name`.
fn record(model: &JsonObject<'_>, id: &str) -> Vec<u8> {
    match (model.get("name"), model.get("display_name")) {
        (Some(own), None) if own != id => model.with(&[("name", id), ("display_name", own)]),
        _ => model.with(&[("name", id)]),
    }
}
