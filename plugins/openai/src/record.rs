//! The records of models. A record has the fields that the server sent, with the model's `id` as `name`.

use mlflow_deploy_http::{JsonObject, Response};
use mlflow_deploy_plugin_api::{JSON, Payload, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// One page of a list of models. OpenAI sends a single page. Servers that are written in Go send an empty list as
/// `null`, or omit it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Page<'a> {
    object: Option<String>,
    #[serde(borrow)]
    data: Option<Vec<&'a RawValue>>,
    has_more: Option<bool>,
}

/// The expected content of a response, as named in error messages.
const EXPECTED: &str = "models";

/// Appends the models on a page to `records`. Returns the id of the page's last model if another page follows.
pub(crate) fn add_page(response: &Response, records: &mut Vec<Vec<u8>>) -> Result<Option<String>> {
    let page = match response.payload.bytes().trim_ascii_start().first() {
        // Some servers send the list alone.
        Some(b'[') => Page { data: Some(response.parse(EXPECTED)?), ..Page::default() },
        _ => response.parse::<Page<'_>>(EXPECTED)?,
    };
    if page.data.is_none() && page.object.as_deref() != Some("list") && !has_data(response) {
        return Err(response.unexpected(EXPECTED, "it has no `data`"));
    }
    let mut last = None;
    for model in page.data.into_iter().flatten() {
        let model = JsonObject::parse(model.get().as_bytes())
            .map_err(|_invalid| response.unexpected(EXPECTED, "a model is not a JSON object"))?;
        let id = model.get("id").ok_or_else(|| response.unexpected(EXPECTED, "a model has no `id`"))?;
        records.push(record(&model, id));
        last = Some(id.to_owned());
    }
    match last {
        Some(id) if page.has_more == Some(true) => {
            let id = serde_json::from_str(&id);
            id.map(Some).map_err(|_invalid| response.unexpected(EXPECTED, "the `id` of a model is not a string"))
        }
        _ => Ok(None),
    }
}

fn has_data(response: &Response) -> bool {
    JsonObject::parse(response.payload.bytes()).is_ok_and(|page| page.names().any(|name| name == "data"))
}

/// Returns the record in `records` whose `name` is `name`.
pub(crate) fn find(records: &[Vec<u8>], name: &str) -> Option<Payload> {
    let name = serde_json::to_string(name).expect("a string has a JSON form");
    let has_name = |record: &&Vec<u8>| JsonObject::parse(record).is_ok_and(|model| model.get("name") == Some(&name));
    records.iter().find(has_name).map(|record| Payload::new(JSON, record.clone()))
}

/// Returns the record in a response that describes one model. `requested` is the name of the requested model, which is
/// used if the response has no `id`. If the server sent a list of models, returns the record of the requested model in
/// that list.
pub(crate) fn single(response: &Response, requested: &str) -> Result<Payload> {
    // The body is parsed here first, because the error of this parser quotes no values.
    response.parse::<IgnoredAny>(EXPECTED)?;
    let is_record = |model: &JsonObject<'_>| {
        model.get("id").is_some() || model.get("data").is_none_or(|data| !data.starts_with('['))
    };
    let model = match JsonObject::parse(response.payload.bytes()) {
        Ok(model) if is_record(&model) => model,
        _ => {
            let mut records = Vec::new();
            add_page(response, &mut records)?;
            return find(&records, requested).ok_or_else(|| response.unexpected(EXPECTED, "it has no such model"));
        }
    };
    let requested = serde_json::to_string(requested).expect("a string has a JSON form");
    Ok(Payload::new(JSON, record(&model, model.get("id").unwrap_or(&requested))))
}

/// Converts the server's description of a model to a record. The field `name` becomes the model's `id`. A different
/// `name` from the server becomes `display_name`.
fn record(model: &JsonObject<'_>, id: &str) -> Vec<u8> {
    match (model.get("name"), model.get("display_name")) {
        (Some(name), None) if name != id => model.with(&[("name", id), ("display_name", name)]),
        _ => model.with(&[("name", id)]),
    }
}
