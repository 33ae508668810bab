//! An endpoint with its variants: their weights and numbers of instances are read and changed.

use mlflow_deploy_plugin_api::{Config, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::deploy::describe;
use crate::record::record;
use crate::session::Session;

/// The maximum number of endpoints on a page of a list.
const PAGE: u32 = 100;

/// The maximum number of pages of a list.
const MAX_PAGES: usize = 1000;

/// The config of an update.
#[derive(Debug, Deserialize)]
struct UpdateConfig {
    variants: Vec<Variant>,
}

/// The changes of a variant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    name: String,
    weight: Option<f64>,
    instance_count: Option<u32>,
}

/// Returns the records of all endpoints.
pub(crate) async fn list(session: &Session) -> Result<Vec<Value>> {
    let (mut records, mut body) = (Vec::new(), json!({"MaxResults": PAGE}));
    for _ in 0..MAX_PAGES {
        let mut page = session.read("ListEndpoints", &body).await?;
        let Value::Array(endpoints) = page["Endpoints"].take() else {
            return Err(Error::internal("the answer to `ListEndpoints` has no list of endpoints"));
        };
        records.extend(endpoints.into_iter().map(record));
        let next = page["NextToken"].take();
        if next.is_null() {
            return Ok(records);
        }
        if body["NextToken"] == next {
            return Err(Error::internal("`ListEndpoints` returned one token twice: its list does not end"));
        }
        body["NextToken"] = next;
    }
    Err(Error::internal(format!("the list of endpoints has more than {MAX_PAGES} pages")))
}

/// Returns the record of an endpoint.
pub(crate) async fn get(session: &Session, name: &str) -> Result<Value> {
    Ok(record(describe(session, name).await?))
}

/// Returns the record of an endpoint, with the config of its variants as `endpoint_config`.
pub(crate) async fn get_with_config(session: &Session, name: &str) -> Result<Value> {
    let mut endpoint = get(session, name).await?;
    let config = json!({"EndpointConfigName": endpoint["EndpointConfigName"]});
    endpoint["endpoint_config"] = session.read("DescribeEndpointConfig", &config).await?;
    Ok(endpoint)
}

/// Changes the weights and numbers of instances of variants.
pub(crate) async fn update(session: &Session, name: &str, config: &Config) -> Result<()> {
    config.check_keys(&["variants"])?;
    let config: UpdateConfig = config.parse()?;
    if config.variants.is_empty() {
        return Err(Error::invalid_parameter("`variants` is empty: expected at least one variant to change"));
    }
    let mut changes = Vec::new();
    for variant in &config.variants {
        let mut change = Map::from_iter([("VariantName".to_owned(), variant.name.as_str().into())]);
        match (variant.weight, variant.instance_count) {
            (None, None) => {
                let message = format!(
                    "the variant `{}` has no change: expected `weight`, `instance_count`, or both",
                    variant.name
                );
                return Err(Error::invalid_parameter(message));
            }
            (Some(weight), _) if !(weight.is_finite() && weight >= 0.0) => {
                let message =
                    format!("invalid `weight` `{weight}` of the variant `{}`: expected 0 or more", variant.name);
                return Err(Error::invalid_parameter(message));
            }
            _ => {}
        }
        if let Some(weight) = variant.weight {
            change.insert("DesiredWeight".to_owned(), weight.into());
        }
        if let Some(count) = variant.instance_count {
            change.insert("DesiredInstanceCount".to_owned(), count.into());
        }
        changes.push(Value::from(change));
    }
    describe(session, name).await?;
    let body = json!({"EndpointName": name, "DesiredWeightsAndCapacities": changes});
    session.change("UpdateEndpointWeightsAndCapacities", &body).await.map(drop)
}
