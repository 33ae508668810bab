//! A deployment target that counts and streams words. Replace the operations with calls of your server.
#![forbid(unsafe_code)]

use std::time::Duration;

use mlflow_deploy_plugin_api::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy_plugin_api::{
    Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri, export_plugin,
};
use serde::Deserialize;
use serde_json::json;

/// The name of the only endpoint.
const ENDPOINT: &str = "words";

/// The options of a client, as the manifest describes them.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    upper: bool,
}

/// The config of a prediction, as the manifest describes it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PredictConfig {
    delay_ms: u64,
}

/// A client of the target.
struct Client {
    upper: bool,
}

impl DeploymentClient for Client {
    async fn connect(_target: TargetUri, options: ClientOptions) -> Result<Self> {
        let Options { upper } = options.parse()?;
        Ok(Self { upper })
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        Payload::from_json(&json!([{"name": ENDPOINT}]))
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        check_endpoint(Some(&request.endpoint))?;
        Payload::from_json(&json!({"name": ENDPOINT}))
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        check_endpoint(request.endpoint.as_deref())?;
        let PredictConfig { delay_ms } = request.config.parse()?;
        // A cancelled call ends here: its future is dropped.
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        let words = self.words(&request.inputs)?.len();
        // `mlflow-deploy -vv` prints this.
        tracing::debug!(words, "counted the words");
        Payload::from_json(&json!({"words": words}))
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        check_endpoint(request.endpoint.as_deref())?;
        let PredictConfig { delay_ms } = request.config.parse()?;
        for word in self.words(&request.inputs)? {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            chunks.send(Payload::new("text/plain", word)).await?;
        }
        Ok(())
    }
}

/// Fails unless the endpoint exists.
fn check_endpoint(endpoint: Option<&str>) -> Result<()> {
    if endpoint == Some(ENDPOINT) {
        return Ok(());
    }
    let message = format!("unknown endpoint `{}`: expected `{ENDPOINT}`", endpoint.unwrap_or_default());
    Err(Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message))
}

impl Client {
    fn words(&self, inputs: &Payload) -> Result<Vec<String>> {
        let text = str::from_utf8(inputs.bytes())
            .map_err(|error| Error::invalid_parameter("the inputs are not UTF-8").with_cause(&error))?;
        let words = text.split_whitespace();
        Ok(words.map(|word| if self.upper { word.to_uppercase() } else { word.to_owned() }).collect())
    }
}

export_plugin! {
    client: Client,
    name: "{{name}}",
    schemes: ["{{scheme}}"],
    operations: [list_endpoints, get_endpoint, predict, predict_stream],
    manifest: r#"{
        "description": "counts and streams words",
        "accepts": ["text/plain", "application/json"],
        "options": {"type": "object", "properties": {"upper": {"type": "boolean", "description": "use upper case"}}},
        "config": {
            "predict": {"type": "object", "properties": {"delay_ms": {"type": "integer", "minimum": 0}}},
            "predict_stream": {"type": "object", "properties": {"delay_ms": {"type": "integer", "minimum": 0}}}
        }
    }"#,
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::testing;

    use super::*;

    #[tokio::test]
    async fn words_are_counted_and_streamed() {
        let client = Client { upper: true };
        let inputs = Payload::new("text/plain", "one two\nthree");
        let (answer, _) = testing::natively(&client, Predict::endpoint(ENDPOINT, inputs.clone())).await;
        assert_eq!(answer.unwrap(), Payload::from_json(&json!({"words": 3})).unwrap());
        let (_, chunks) = testing::natively(&client, PredictStream::endpoint(ENDPOINT, inputs)).await;
        let words: Vec<_> = chunks.iter().map(Payload::bytes).collect();
        assert_eq!(words, [&b"ONE"[..], b"TWO", b"THREE"]);
    }

    #[tokio::test]
    async fn records_of_a_call_reach_the_host() {
        let (plugin, events) = testing::start(&PLUGIN).unwrap();
        let client = plugin.open(&"{{scheme}}".parse().unwrap(), &ClientOptions::default(), None).await.unwrap();
        let inputs = Payload::new("text/plain", "one two");
        client.call(Predict::endpoint(ENDPOINT, inputs), None).await.unwrap();
        let (_call, _level, event) = &events.all()[0];
        assert_eq!(event.message, "counted the words words=2");
    }
}
