//! The structs for the arguments of the operations, with their constructors.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Config, Error, JSON, Payload};

/// Declares the struct for the arguments of an operation.
macro_rules! arguments {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)? } $($inputs:ident)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(default)]
        #[expect(clippy::exhaustive_structs, reason = "callers may name its fields, with `..Default::default()`")]
        pub struct $name {
            $($(#[$attribute])* #[serde(skip_serializing_if = "Argument::is_absent")] pub $field: $type,)*
            $(
                /// The inputs. The head of the request holds only their media type, and the body holds their bytes.
                #[serde(rename = "content_type", with = "content_type", skip_serializing_if = "Argument::is_absent")]
                pub $inputs: Payload,
            )?
        }
    };
}

/// Declares a `with_…` method for each optional argument of a struct.
macro_rules! setters {
    ($name:ident { $($text:ident = $with_text:ident),* $(; $($other:ident: $type:ident = $with_other:ident),*)? }) => {
        impl $name {
            $(
                #[doc = concat!("Sets [`", stringify!($text), "`](Self::", stringify!($text), ").")]
                #[must_use]
                pub fn $with_text(mut self, $text: impl Into<String>) -> Self {
                    self.$text = Some($text.into());
                    self
                }
            )*
            $($(
                #[doc = concat!("Sets [`", stringify!($other), "`](Self::", stringify!($other), ").")]
                #[must_use]
                pub fn $with_other(mut self, $other: $type) -> Self {
                    self.$other = $other;
                    self
                }
            )*)?
        }
    };
}

arguments! {
    /// Arguments of `create_deployment`.
    CreateDeployment {
        /// The name of the new deployment, unique within the target or the endpoint.
        name: String,
        /// The URI of the model, such as `runs:/<run id>/model` or a path.
        model_uri: String,
        /// The flavor of the model to deploy. The target chooses one if this is `None`.
        flavor: Option<String>,
        /// The settings of the operation; the target defines the keys.
        config: Config,
        /// The endpoint in which the deployment is created.
        endpoint: Option<String>,
    }
}

arguments! {
    /// Arguments of `update_deployment`.
    UpdateDeployment {
        /// The name of the deployment to update.
        name: String,
        /// The URI of the new model. The deployment keeps its model if this is `None`.
        model_uri: Option<String>,
        /// The flavor of the new model. It may be set only together with `model_uri`.
        flavor: Option<String>,
        /// The settings of the operation; the target defines the keys.
        config: Config,
        /// The endpoint that the deployment belongs to.
        endpoint: Option<String>,
    }
}

arguments! {
    /// Arguments of `delete_deployment`.
    DeleteDeployment {
        /// The name of the deployment to delete.
        name: String,
        /// The settings of the operation; the target defines the keys.
        config: Config,
        /// The endpoint that the deployment belongs to.
        endpoint: Option<String>,
    }
}

arguments! {
    /// Arguments of `get_deployment`.
    GetDeployment {
        /// The name of the deployment to describe.
        name: String,
        /// The endpoint that the deployment belongs to.
        endpoint: Option<String>,
    }
}

arguments! {
    /// Arguments of `list_deployments`.
    ListDeployments {
        /// The endpoint whose deployments are listed. All deployments of the target are listed if this is `None`.
        endpoint: Option<String>,
    }
}

arguments! {
    /// Arguments of `create_endpoint`.
    CreateEndpoint {
        /// The name of the new endpoint. May be empty if the config has the key `name`, see
        /// [`endpoint_name`](Self::endpoint_name).
        name: String,
        /// The settings of the operation; the target defines the keys.
        config: Config,
    }
}

arguments! {
    /// Arguments of `update_endpoint`.
    UpdateEndpoint {
        /// The name of the endpoint to update.
        endpoint: String,
        /// The settings of the operation; the target defines the keys.
        config: Config,
    }
}

arguments! {
    /// Arguments of `delete_endpoint`.
    DeleteEndpoint {
        /// The name of the endpoint to delete.
        endpoint: String,
    }
}

arguments! {
    /// Arguments of `get_endpoint`.
    GetEndpoint {
        /// The name of the endpoint to describe.
        endpoint: String,
    }
}

arguments! {
    /// Arguments of `list_endpoints`, which has none.
    ListEndpoints {}
}

arguments! {
    /// Arguments of `predict`. A target takes the name of a deployment, of an endpoint, or of both.
    Predict {
        /// The name of the deployment that receives the inputs.
        deployment_name: Option<String>,
        /// The name of the endpoint that receives the inputs.
        endpoint: Option<String>,
        /// The settings of the operation; the target defines the keys.
        config: Config,
    } inputs
}

arguments! {
    /// Arguments of `predict_stream`. A target takes the name of a deployment, of an endpoint, or of both.
    PredictStream {
        /// The name of the deployment that receives the inputs.
        deployment_name: Option<String>,
        /// The name of the endpoint that receives the inputs.
        endpoint: Option<String>,
        /// The settings of the operation; the target defines the keys.
        config: Config,
    } inputs
}

arguments! {
    /// Arguments of `explain`. A target takes the name of a deployment, of an endpoint, or of both.
    Explain {
        /// The name of the deployment that receives the inputs.
        deployment_name: Option<String>,
        /// The name of the endpoint that receives the inputs.
        endpoint: Option<String>,
        /// The settings of the operation; the target defines the keys.
        config: Config,
    } inputs
}

arguments! {
    /// Arguments of `invoke`, which runs an operation that only one target has. The plugin's manifest lists such
    /// operations.
    Invoke {
        /// The name of the operation to run.
        operation: String,
        /// The name of the deployment that the operation concerns.
        name: Option<String>,
        /// The name of the endpoint that the operation concerns.
        endpoint: Option<String>,
        /// The settings of the operation; the target defines the keys.
        config: Config,
    } inputs
}

arguments! {
    /// Arguments of `run_local`, which serves a model on this machine. The operation needs no client.
    RunLocal {
        /// The URI of the target whose service the plugin imitates on this machine.
        target_uri: String,
        /// The name of the local deployment.
        name: String,
        /// The URI of the model, such as `runs:/<run id>/model` or a path.
        model_uri: String,
        /// The flavor of the model to serve. The target chooses one if this is `None`.
        flavor: Option<String>,
        /// The settings of the operation; the target defines the keys.
        config: Config,
    }
}

setters! { CreateDeployment { flavor = with_flavor, endpoint = with_endpoint; config: Config = with_config } }
setters! {
    UpdateDeployment {
        model_uri = with_model_uri, flavor = with_flavor, endpoint = with_endpoint; config: Config = with_config
    }
}
setters! { DeleteDeployment { endpoint = with_endpoint; config: Config = with_config } }
setters! { GetDeployment { endpoint = with_endpoint } }
setters! { CreateEndpoint { ; config: Config = with_config } }
setters! { UpdateEndpoint { ; config: Config = with_config } }
setters! {
    Invoke {
        name = with_name, endpoint = with_endpoint; config: Config = with_config, inputs: Payload = with_inputs
    }
}
setters! { RunLocal { flavor = with_flavor; config: Config = with_config } }

/// Declares the constructors of the structs whose operations send inputs to a deployment or an endpoint.
macro_rules! questions {
    ($($name:ident),*) => {$(
        impl $name {
            /// Returns arguments that send `inputs` to the deployment `name`.
            pub fn deployment(name: impl Into<String>, inputs: Payload) -> Self {
                Self { deployment_name: Some(name.into()), inputs, ..Self::default() }
            }

            /// Returns arguments that send `inputs` to the endpoint `endpoint`.
            pub fn endpoint(endpoint: impl Into<String>, inputs: Payload) -> Self {
                Self { endpoint: Some(endpoint.into()), inputs, ..Self::default() }
            }
        }

        setters! {
            $name {
                deployment_name = with_deployment_name, endpoint = with_endpoint; config: Config = with_config
            }
        }
    )*};
}

questions! { Predict, PredictStream, Explain }

impl CreateDeployment {
    /// Returns arguments that deploy the model at the URI `model_uri` as the deployment `name`.
    pub fn new(name: impl Into<String>, model_uri: impl Into<String>) -> Self {
        Self { name: name.into(), model_uri: model_uri.into(), ..Self::default() }
    }
}

impl UpdateDeployment {
    /// Returns arguments that update the deployment `name`. The `with_…` methods set the changes.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl DeleteDeployment {
    /// Returns arguments that delete the deployment `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl GetDeployment {
    /// Returns arguments that request a description of the deployment `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl ListDeployments {
    /// Returns arguments that list all deployments of the target.
    pub fn all() -> Self {
        Self::default()
    }

    /// Returns arguments that list the deployments of an endpoint.
    pub fn endpoint(endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()) }
    }
}

impl CreateEndpoint {
    /// Returns arguments that create the endpoint `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Returns arguments that create an endpoint. The config has the name of the endpoint in its key `name`.
    pub fn from_config(config: Config) -> Self {
        Self { name: String::new(), config }
    }

    /// Returns the name of the new endpoint: the argument `name`, or the key `name` of the config. Plugins call this
    /// method.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if both are missing, if they differ, or if the key's value is not a string.
    pub fn endpoint_name(&self) -> crate::Result<String> {
        #[derive(Deserialize)]
        struct Named {
            name: Option<Value>,
        }
        match self.config.parse::<Named>()?.name {
            None | Some(Value::Null) if self.name.is_empty() => Err(Error::invalid_parameter(
                "missing name of the endpoint: specify it (`--endpoint`), or add `name` to the config",
            )),
            None | Some(Value::Null) => Ok(self.name.clone()),
            Some(Value::String(name)) if self.name.is_empty() || name == self.name => Ok(name),
            Some(Value::String(name)) => Err(Error::invalid_parameter(format!(
                "conflicting endpoint names: the argument is `{}`, but the config has `{name}`; specify only one",
                self.name
            ))),
            Some(other) => {
                Err(Error::invalid_parameter(format!("invalid `name` in the config: `{other}` is not a string")))
            }
        }
    }
}

impl UpdateEndpoint {
    /// Returns arguments that update an endpoint. `with_config` sets the changes.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }
}

impl DeleteEndpoint {
    /// Returns arguments that delete an endpoint.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into() }
    }
}

impl GetEndpoint {
    /// Returns arguments that request a description of an endpoint.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into() }
    }
}

impl ListEndpoints {
    /// Returns arguments that list all endpoints of the target.
    pub fn all() -> Self {
        Self {}
    }
}

impl Invoke {
    /// Returns arguments that run the operation `operation`. The plugin's manifest must list it.
    pub fn new(operation: impl Into<String>) -> Self {
        Self { operation: operation.into(), ..Self::default() }
    }
}

impl RunLocal {
    /// Returns arguments that serve the model at the URI `model_uri` on this machine, as the deployment `name`. The
    /// caller also sets [`target_uri`](Self::target_uri), unless it calls `run_local` of a target.
    pub fn new(name: impl Into<String>, model_uri: impl Into<String>) -> Self {
        Self { name: name.into(), model_uri: model_uri.into(), ..Self::default() }
    }
}

/// The value of an argument. A reader takes a missing key for the absent value, so a head lacks it.
trait Argument {
    fn is_absent(&self) -> bool;
}

impl Argument for String {
    /// Returns false: an argument with the type `String` is a required one.
    fn is_absent(&self) -> bool {
        false
    }
}

impl Argument for Option<String> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl Argument for Config {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Argument for Payload {
    /// Returns true for JSON, the default media type.
    fn is_absent(&self) -> bool {
        self.content_type == JSON
    }
}

/// Serializes a payload as its media type. Deserializes a media type as an empty payload of that type.
mod content_type {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Payload;

    pub(super) fn serialize<S: Serializer>(inputs: &Payload, serializer: S) -> Result<S::Ok, S::Error> {
        inputs.content_type.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        Ok(Payload::new(String::deserialize(deserializer)?, Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_keys_are_ignored_and_missing_keys_are_empty() {
        let predict: Predict = serde_json::from_str(r#"{"endpoint":"chat","future":[1]}"#).unwrap();
        assert_eq!(predict.endpoint.as_deref(), Some("chat"));
        assert!(predict.config.is_empty());
        assert_eq!(predict.inputs, Payload::empty());
    }

    #[test]
    fn the_head_has_the_media_type_of_the_inputs_and_not_their_bytes() {
        let head = serde_json::to_value(Predict::endpoint("chat", Payload::new("text/csv", "a\n1\n"))).unwrap();
        assert_eq!(head["content_type"], "text/csv");
        assert!(!head.to_string().contains("a\\n1"));
    }

    #[test]
    fn the_name_of_a_new_endpoint_is_the_argument_or_in_the_config() {
        let name = |name: &str, config: Value| {
            CreateEndpoint { name: name.to_owned(), config: Config::new(&config).unwrap() }.endpoint_name()
        };
        assert_eq!(name("a", json!({})).unwrap(), "a");
        assert_eq!(name("a", json!({"name": null})).unwrap(), "a");
        assert_eq!(name("a", json!({"name": "a"})).unwrap(), "a");
        assert_eq!(name("", json!({"name": "a", "config": {}})).unwrap(), "a");
        let conflict = name("a", json!({"name": "b"})).unwrap_err();
        assert_eq!(
            conflict.message(),
            "conflicting endpoint names: the argument is `a`, but the config has `b`; specify only one"
        );
        let missing = name("", json!({})).unwrap_err();
        assert!(missing.message().starts_with("missing name of the endpoint"), "{missing}");
        assert!(name("a", json!({"name": 1})).unwrap_err().message().contains("`1` is not a string"));
    }
}
