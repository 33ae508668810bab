//! The records of a gateway's endpoints. A record has the fields that the server sent, with an absolute `endpoint_url`.

use mlflow_deploy_http::{Response, redact_url, set_member};
use mlflow_deploy_plugin_api::{JSON, Payload, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

/// One page of a list of endpoints, from either kind of gateway. A server may omit an empty list or send `null`
/// instead.
#[derive(Deserialize)]
struct Page {
    endpoints: Option<Vec<Box<RawValue>>>,
    next_page_token: Option<String>,
}

/// Returns the endpoints' records on a page, and the token of the next page. The response may also be a JSON array of
/// records, without a token.
pub(crate) fn page(response: &Response, base: &Url) -> Result<(Vec<Vec<u8>>, Option<String>)> {
    let page = match response.payload.bytes().trim_ascii_start().first() {
        Some(b'[') => Page { endpoints: Some(parse(response)?), next_page_token: None },
        _ => parse(response)?,
    };
    let records =
        page.endpoints.iter().flatten().map(|record| absolute(response, record, base)).collect::<Result<_>>()?;
    Ok((records, page.next_page_token))
}

/// Returns the records of the models that an embedded gateway lists, each with its `id` as `name`.
pub(crate) fn models(response: &Response) -> Result<Vec<Vec<u8>>> {
    #[derive(Deserialize)]
    struct Models {
        data: Option<Vec<Box<RawValue>>>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let models: Models = parse(response)?;
    let record = |model: &RawValue| {
        let Model { id } = response.parse_part(model, EXPECTED)?;
        set_member(model.get().as_bytes(), "name", &quoted(&id))
    };
    models.data.iter().flatten().map(|model| record(model)).collect()
}

/// Returns the record in a response that describes one endpoint. An embedded gateway sends the record as the field
/// `endpoint` of an object.
pub(crate) fn single(response: &Response, base: &Url) -> Result<Payload> {
    #[derive(Deserialize)]
    struct Wrapped {
        endpoint: Option<Box<RawValue>>,
    }
    let record = match parse::<Wrapped>(response)?.endpoint {
        Some(record) => record,
        None => parse(response)?,
    };
    Ok(Payload::new(JSON, absolute(response, &record, base)?))
}

/// Returns `record` with an absolute `endpoint_url`. Appends a relative `endpoint_url` to `base`, the gateway's URL.
fn absolute(response: &Response, record: &RawValue, base: &Url) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    struct Record {
        endpoint_url: Option<String>,
    }
    let bytes = record.get().as_bytes();
    let Record { endpoint_url } = response.parse_part(record, EXPECTED)?;
    match endpoint_url {
        Some(url) if Url::parse(&url).is_err() => {
            let base = redact_url(base);
            let url = format!("{}/{}", base.trim_end_matches('/'), url.trim_start_matches('/'));
            set_member(bytes, "endpoint_url", &quoted(&url))
        }
        _ => Ok(bytes.to_vec()),
    }
}

/// The expected content of a response, as named in error messages.
const EXPECTED: &str = "endpoints";

fn parse<'a, T: Deserialize<'a>>(response: &'a Response) -> Result<T> {
    if response.payload.bytes().is_empty() {
        return Err(response.unexpected(EXPECTED, "the response has no body"));
    }
    response.parse(EXPECTED)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string has a JSON form")
}
