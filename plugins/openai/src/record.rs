//! Models as records: every field as the server sent it, and as `name` what the model is asked by.

use mlflow_deploy_http::Object;
use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

/// One page of a list. OpenAI's own list has one.
#[derive(Deserialize)]
pub(crate) struct Page {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: Option<bool>,
}

impl Page {
    pub(crate) fn parse(answer: &Payload) -> Result<Self> {
        serde_json::from_slice(answer.bytes()).map_err(|error| unexpected(&error.to_string()))
    }

    /// Adds the records of this page; gives the id after which the next one begins, where there is one.
    pub(crate) fn add_to(&self, records: &mut Vec<Vec<u8>>) -> Result<Option<String>> {
        let mut last = None;
        for model in &self.data {
            let model = Object::parse(model.get().as_bytes()).map_err(|error| unexpected(error.message()))?;
            let id = model.get("id").ok_or_else(|| unexpected("a model has no `id`"))?;
            records.push(record(&model, id));
            last = Some(id);
        }
        match last {
            Some(id) if self.has_more == Some(true) => {
                serde_json::from_str(id).map(Some).map_err(|error| unexpected(&error.to_string()))
            }
            _ => Ok(None),
        }
    }
}

/// The record of the model with this name.
pub(crate) fn find(records: &[Vec<u8>], name: &str) -> Option<Payload> {
    let name = serde_json::to_string(name).expect("a text has a JSON form");
    let has_name = |record: &&Vec<u8>| Object::parse(record).is_ok_and(|model| model.get("name") == Some(&name));
    records.iter().find(has_name).map(|record| Payload::new(JSON, record.clone()))
}

/// The one model of an answer, which was asked for by this name.
pub(crate) fn single(answer: &Payload, asked: &str) -> Result<Payload> {
    let model = Object::parse(answer.bytes()).map_err(|error| unexpected(error.message()))?;
    let asked = serde_json::to_string(asked).expect("a text has a JSON form");
    Ok(Payload::new(JSON, record(&model, model.get("id").unwrap_or(&asked))))
}

/// Some servers have a `name` for people beside the `id`. It stays, as `display_name`.
fn record(model: &Object<'_>, id: &str) -> Vec<u8> {
    match (model.get("name"), model.get("display_name")) {
        (Some(own), None) if own != id => model.with(&[("name", id), ("display_name", own)]),
        _ => model.with(&[("name", id)]),
    }
}

fn unexpected(why: &str) -> Error {
    Error::internal(format!("the server answered with something else than models: {why}; check the target's URL"))
}
