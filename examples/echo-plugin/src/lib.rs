//! A complete plugin for the target `echo`, which returns its inputs as predictions. The plugin consists of a client
//! and the macro that exports it.
//!
//! ```sh
//! cargo build -p mlflow-deploy-example-echo
//! mlflow-deploy predict --plugin target/debug/libecho_plugin.so -t echo --endpoint echo -I inputs.json
//! ```
#![forbid(unsafe_code)]

use mlflow_deploy_plugin_api::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy_plugin_api::{
    Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, JSON, Operation, Payload, Result, TargetUri,
    export_plugin,
};

struct Echo;

impl DeploymentClient for Echo {
    const INLINE: &'static [Operation] = &[Operation::Predict];

    async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> {
        Ok(Self)
    }

    fn target_help() -> String {
        "# echo\n\nReturns its inputs. Its only endpoint is `echo`.\n".to_owned()
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        Ok(Payload::new(JSON, r#"[{"name":"echo"}]"#))
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        match request.endpoint.as_str() {
            "echo" => Ok(Payload::new(JSON, r#"{"name":"echo"}"#)),
            other => Err(Error::new(
                ErrorCode::RESOURCE_DOES_NOT_EXIST,
                format!("unknown endpoint `{other}`: expected `echo`"),
            )),
        }
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        Ok(request.inputs)
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        let inputs = request.inputs;
        for line in inputs.bytes().split_inclusive(|byte| *byte == b'\n') {
            chunks.send(Payload::new(inputs.content_type(), line)).await?;
        }
        Ok(())
    }
}

export_plugin! {
    client: Echo,
    name: "echo",
    schemes: ["echo"],
    operations: [list_endpoints, get_endpoint, predict, predict_stream, target_help],
    manifest: r#"{"description": "returns its inputs", "accepts": ["application/json", "text/csv", "text/plain"]}"#,
}
