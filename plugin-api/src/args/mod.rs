//! The arguments of the operations: one struct for each operation.
//!
//! The `head` of a request is the struct in JSON, and the `body` is the inputs. A reader ignores unknown keys, and a
//! missing key counts as empty, so that later versions can add arguments.
//!
//! Every struct has a constructor that takes the required arguments, and a `with_…` method for each optional one:
//!
//! ```
//! use mlflow_deploy_plugin_api::args::{CreateDeployment, GetEndpoint, Predict};
//! use mlflow_deploy_plugin_api::{Config, JSON, Payload};
//!
//! let endpoint = GetEndpoint::new("chat");
//! assert_eq!(endpoint.endpoint, "chat");
//!
//! let inputs = Payload::new(JSON, r#"{"inputs": [[1, 2]]}"#);
//! let to_endpoint = Predict::endpoint("chat", inputs.clone());
//! assert_eq!(to_endpoint.endpoint.as_deref(), Some("chat"));
//! let to_deployment = Predict::deployment("iris", inputs).with_config(Config::new(&serde_json::json!({"limit": 1}))?);
//! assert_eq!(to_deployment.deployment_name.as_deref(), Some("iris"));
//!
//! let create = CreateDeployment::new("iris", "runs:/0a1b/model").with_flavor("onnx");
//! assert_eq!(create.flavor.as_deref(), Some("onnx"));
//! # Ok::<(), mlflow_deploy_plugin_api::Error>(())
//! ```

mod arguments;
mod structs;

pub use arguments::Arguments;
pub use structs::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, PredictStream, RunLocal, UpdateDeployment, UpdateEndpoint,
};
