//! Endpoints as records: every field as the server sent it, and `name` and an absolute `endpoint_url` in any case.

use mlflow_deploy_http::{redact_url, set_member};
use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

/// One page of a list, of either server.
#[derive(Deserialize)]
pub(crate) struct Page {
    endpoints: Option<Vec<Box<RawValue>>>,
    pub(crate) next_page_token: Option<String>,
}

impl Page {
    pub(crate) fn parse(answer: &Payload) -> Result<Self> {
        parse(answer)
    }

    pub(crate) fn records(&self, base: &Url) -> Result<Vec<Vec<u8>>> {
        self.endpoints.iter().flatten().map(|record| absolute(record, base)).collect()
    }
}

/// The embedded gateway's models, as records.
pub(crate) fn models(answer: &Payload) -> Result<Vec<Vec<u8>>> {
    #[derive(Deserialize)]
    struct Models {
        data: Vec<Box<RawValue>>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let models: Models = parse(answer)?;
    let record = |model: &RawValue| {
        let Model { id } = serde_json::from_str(model.get()).map_err(|error| unexpected(&error))?;
        set_member(model.get().as_bytes(), "name", &text(&id))
    };
    models.data.iter().map(|model| record(model)).collect()
}

/// The one endpoint of an answer, which the embedded gateway wraps.
pub(crate) fn single(answer: &Payload, base: &Url) -> Result<Payload> {
    #[derive(Deserialize)]
    struct Wrapped {
        endpoint: Option<Box<RawValue>>,
    }
    let record = match parse::<Wrapped>(answer)?.endpoint {
        Some(record) => record,
        None => parse(answer)?,
    };
    Ok(Payload::new(JSON, absolute(&record, base)?))
}

/// A record whose `endpoint_url`, where it has one, is below the target's URL unless it is absolute already.
fn absolute(record: &RawValue, base: &Url) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    struct Record {
        endpoint_url: Option<String>,
    }
    let bytes = record.get().as_bytes();
    let Record { endpoint_url } = serde_json::from_str(record.get()).map_err(|error| unexpected(&error))?;
    match endpoint_url {
        Some(url) if Url::parse(&url).is_err() => {
            let base = redact_url(base);
            let url = format!("{}/{}", base.trim_end_matches('/'), url.trim_start_matches('/'));
            set_member(bytes, "endpoint_url", &text(&url))
        }
        _ => Ok(bytes.to_vec()),
    }
}

fn parse<T: DeserializeOwned>(answer: &Payload) -> Result<T> {
    if answer.bytes().is_empty() {
        return Err(Error::internal(
            "the server answered with success and an empty body, where an endpoint was expected",
        ));
    }
    serde_json::from_slice(answer.bytes()).map_err(|error| unexpected(&error))
}

fn unexpected(error: &serde_json::Error) -> Error {
    Error::internal(format!("the server answered with something else than endpoints: {error}; check the target's URL"))
}

fn text(text: &str) -> String {
    serde_json::to_string(text).expect("a text has a JSON form")
}
