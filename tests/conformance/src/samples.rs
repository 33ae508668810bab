//! Sample calls of operations. They come from the config. If the config has none, they are generated, and change
//! nothing on the target.

use mlflow_deploy_plugin_api::testing::raw::Request;
use mlflow_deploy_plugin_api::{JSON, Operation};
use serde_json::{Map, Value, json};

use crate::config::SampleCall;
use crate::harness::{Harness, request};

/// The number of chunks that a sample call allows a stream to send. It is larger than the number of chunks in any
/// stream.
const MANY_CHUNKS: u32 = 1_000_000;

impl Harness {
    /// Returns the request of the sample call in the config. If there is none, returns the request of a generated call
    /// that changes nothing on the target.
    pub(crate) fn sample(&self, operation: Operation) -> Request {
        let (head, body) = self.arguments(operation);
        let credit = if operation == Operation::PredictStream { MANY_CHUNKS } else { 0 };
        request(&head.into(), body).with_credit(credit)
    }

    /// Returns the head and the body of an operation's sample call.
    pub(crate) fn arguments(&self, operation: Operation) -> (Map<String, Value>, Vec<u8>) {
        let config = self.config();
        let missing = self.name("missing");
        let head = match operation {
            Operation::Predict | Operation::PredictStream => {
                return config.predict.clone().unwrap_or_else(generated).parts();
            }
            Operation::Explain => return config.explain.clone().unwrap_or_else(generated).parts(),
            Operation::Invoke => return config.invoke.clone().unwrap_or_else(|| self.generated_invoke()).parts(),
            // An empty name creates nothing.
            Operation::CreateDeployment => json!({"name": "", "model_uri": ""}),
            Operation::CreateEndpoint => json!({"name": "", "config": {}}),
            Operation::UpdateDeployment => json!({"name": missing, "config": {}}),
            Operation::UpdateEndpoint => json!({"endpoint": missing, "config": {}}),
            Operation::DeleteDeployment | Operation::GetDeployment => json!({"name": missing}),
            Operation::GetEndpoint => json!({"endpoint": self.existing_endpoint().unwrap_or(missing)}),
            Operation::DeleteEndpoint => json!({"endpoint": missing}),
            _ => json!({}),
        };
        (head.as_object().cloned().unwrap_or_default(), Vec::new())
    }

    /// Returns true if the sample call comes from the config, and therefore has to succeed.
    pub(crate) fn sample_works(&self, operation: Operation) -> bool {
        let config = self.config();
        match operation {
            Operation::Predict | Operation::PredictStream => config.predict.is_some(),
            Operation::Explain => config.explain.is_some(),
            Operation::Invoke => config.invoke.is_some(),
            Operation::GetEndpoint => self.existing_endpoint().is_some(),
            Operation::ListEndpoints => config.endpoint.is_some(),
            Operation::ListDeployments => config.deployment.is_some(),
            _ => false,
        }
    }

    pub(crate) fn existing_endpoint(&self) -> Option<String> {
        self.config().endpoint.as_ref().and_then(|endpoint| endpoint.existing.clone())
    }

    fn generated_invoke(&self) -> SampleCall {
        let first = self.manifest().ok().and_then(|manifest| manifest.invoke.into_iter().next());
        SampleCall {
            operation: Some(first.map_or_else(|| "conformance".to_owned(), |first| first.name)),
            ..generated()
        }
    }
}

fn generated() -> SampleCall {
    SampleCall { endpoint: Some("conformance".to_owned()), inputs: "[1]".to_owned(), ..SampleCall::default() }
}

impl SampleCall {
    /// Converts the sample call to a request.
    pub(crate) fn request(&self) -> Request {
        let (head, body) = self.clone().parts();
        request(&head.into(), body)
    }

    fn parts(self) -> (Map<String, Value>, Vec<u8>) {
        let mut head = Map::new();
        let texts = [
            ("operation", self.operation),
            ("deployment_name", self.deployment_name),
            ("name", self.name),
            ("endpoint", self.endpoint),
            ("content_type", Some(self.content_type.unwrap_or_else(|| JSON.to_owned()))),
        ];
        head.extend(texts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))));
        if !self.config.is_empty() {
            head.insert("config".to_owned(), self.config.into());
        }
        (head, self.inputs.into_bytes())
    }
}
