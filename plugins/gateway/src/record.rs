//! Endpoints as records: every field as the server sent it, and `name` and an absolute `endpoint_url` in any case.

use mlflow_deploy_http::{Response, redact_url, set_member};
use mlflow_deploy_plugin_api::{JSON, Payload, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

/// One page of a list, of either server.
#[derive(Deserialize)]
struct Page {
    endpoints: Option<Vec<Box<RawValue>>>,
    next_page_token: Option<String>,
}

/// The records of a page, and the token of the next one, if there is one.
pub(crate) fn page(answer: &Response, base: &Url) -> Result<(Vec<Vec<u8>>, Option<String>)> {
    let page: Page = parse(answer)?;
    let records =
        page.endpoints.iter().flatten().map(|record| absolute(answer, record, base)).collect::<Result<_>>()?;
    Ok((records, page.next_page_token))
}

/// The embedded gateway's models, as records.
pub(crate) fn models(answer: &Response) -> Result<Vec<Vec<u8>>> {
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
        let Model { id } = answer.parse_part(model, EXPECTED)?;
        set_member(model.get().as_bytes(), "name", &text(&id))
    };
    models.data.iter().map(|model| record(model)).collect()
}

/// The one endpoint of an answer, which the embedded gateway wraps.
pub(crate) fn single(answer: &Response, base: &Url) -> Result<Payload> {
    #[derive(Deserialize)]
    struct Wrapped {
        endpoint: Option<Box<RawValue>>,
    }
    let record = match parse::<Wrapped>(answer)?.endpoint {
        Some(record) => record,
        None => parse(answer)?,
    };
    Ok(Payload::new(JSON, absolute(answer, &record, base)?))
}

/// A record whose `endpoint_url`, where it has one, is below the target's URL unless it is absolute already.
fn absolute(answer: &Response, record: &RawValue, base: &Url) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    struct Record {
        endpoint_url: Option<String>,
    }
    let bytes = record.get().as_bytes();
    let Record { endpoint_url } = answer.parse_part(record, EXPECTED)?;
    match endpoint_url {
        Some(url) if Url::parse(&url).is_err() => {
            let base = redact_url(base);
            let url = format!("{}/{}", base.trim_end_matches('/'), url.trim_start_matches('/'));
            set_member(bytes, "endpoint_url", &text(&url))
        }
        _ => Ok(bytes.to_vec()),
    }
}

/// What an answer should have in it.
const EXPECTED: &str = "endpoints";

fn parse<'a, T: Deserialize<'a>>(answer: &'a Response) -> Result<T> {
    if answer.payload.bytes().is_empty() {
        return Err(answer.unexpected(EXPECTED, "its answer is a success without a body"));
    }
    answer.parse(EXPECTED)
}

fn text(text: &str) -> String {
    serde_json::to_string(text).expect("a text has a JSON form")
}
