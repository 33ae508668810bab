//! Builds the request for a prediction from the inputs. Sets `model` and `stream` in the body. Removes `stream_options`
//! from the body if no stream is requested.

use mlflow_deploy_http::{JsonObject, encode_segment, require_inputs};
use mlflow_deploy_plugin_api::{Config, Error, Payload, Result};
use serde::Deserialize;

/// The task of a model, which determines the route of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Task {
    #[serde(alias = "llm/v1/chat")]
    Chat,
    #[serde(alias = "llm/v1/completions")]
    Completions,
    #[serde(alias = "llm/v1/embeddings")]
    Embeddings,
    #[serde(alias = "agent/v1/responses")]
    Responses,
}

/// The form of the response: a stream of events, or one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Streamed,
    Whole,
}

/// The model, the route and the body of a request for a prediction.
#[derive(Debug)]
pub(crate) struct PredictRequest {
    pub(crate) model: String,
    /// The path of the route, relative to the server's base URL. Its segments are percent-encoded.
    pub(crate) route: String,
    pub(crate) body: Vec<u8>,
}

/// The config of an operation that requests a prediction.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PredictConfig {
    task: Option<Task>,
    route: Option<String>,
}

impl PredictRequest {
    /// Creates the request for a prediction. `name` is the model that the caller names outside of the inputs.
    pub(crate) fn new(name: Option<&str>, inputs: &Payload, config: &Config, delivery: Delivery) -> Result<Self> {
        let config: PredictConfig = config.parse()?;
        let inputs = JsonObject::parse(require_inputs(inputs)?.bytes())?;
        let model = model(name, &inputs)?;
        let route = match config {
            PredictConfig { task: Some(_), route: Some(_) } => {
                return Err(Error::invalid_parameter(
                    "conflicting `task` and `route` in the config: remove one of them",
                ));
            }
            PredictConfig { route: Some(route), .. } => encode(&route)?,
            PredictConfig { task, .. } => task.map_or_else(|| Task::detect(&inputs, delivery), Ok)?.route().to_owned(),
        };
        if delivery == Delivery::Streamed && route == Task::Embeddings.route() {
            return Err(Error::invalid_parameter("embeddings cannot be streamed: use `predict`"));
        }
        let quoted = serde_json::to_string(&model).expect("a string has a JSON form");
        let mut members = Vec::new();
        if inputs.get("model").is_none() {
            members.push(("model", quoted.as_str()));
        }
        match delivery {
            Delivery::Streamed => members.push(("stream", "true")),
            // The inputs may request a stream although the operation does not.
            Delivery::Whole if inputs.get("stream").is_some_and(|stream| stream != "false") => {
                members.push(("stream", "false"));
            }
            Delivery::Whole => {}
        }
        let body = inputs.with(&members);
        // OpenAI accepts `stream_options` only in the request of a stream.
        let body = match delivery {
            Delivery::Whole => JsonObject::parse(&body)?.without("stream_options"),
            Delivery::Streamed => body,
        };
        Ok(Self { model, route, body })
    }
}

impl Task {
    /// Detects the task from the keys of the inputs, such as `messages` for chat.
    fn detect(inputs: &JsonObject<'_>, delivery: Delivery) -> Result<Self> {
        const KEYS: [&str; 3] = ["messages", "prompt", "input"];
        let found: Vec<_> = KEYS.into_iter().filter(|name| inputs.get(name).is_some()).collect();
        match found.as_slice() {
            ["messages"] => Ok(Self::Chat),
            ["prompt"] => Ok(Self::Completions),
            ["input"] if delivery == Delivery::Streamed || is_for_responses(inputs) => Ok(Self::Responses),
            ["input"] => Ok(Self::Embeddings),
            [] => Err(Error::invalid_parameter(
                "the task of the inputs is unknown: expected `messages` (chat), `prompt` (completions) or `input` \
                 (embeddings or responses); or set `task` or `route` in the config",
            )),
            several => Err(Error::invalid_parameter(format!(
                "the task of the inputs is ambiguous: they contain `{}`; remove all but one, or set `task` or `route` \
                 in the config",
                several.join("` and `")
            ))),
        }
    }

    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
        }
    }
}

/// Returns true if `input` is for OpenAI's responses API. This is the case if `input` is a list of objects, or if the
/// inputs have a parameter of that API. Otherwise texts and tokens are for embeddings.
fn is_for_responses(inputs: &JsonObject<'_>) -> bool {
    const PARAMETERS: [&str; 18] = [
        "background",
        "conversation",
        "include",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "truncation",
    ];
    let is_list_of_items = inputs
        .get("input")
        .and_then(|input| input.strip_prefix('['))
        .is_some_and(|first| first.trim_start().starts_with('{'));
    is_list_of_items || inputs.names().any(|name| PARAMETERS.contains(&name))
}

/// Returns the name of the model from the argument `name` or from the inputs. Fails if neither names a model, or if
/// both name different models.
fn model(name: Option<&str>, inputs: &JsonObject<'_>) -> Result<String> {
    let in_inputs: Option<String> = match inputs.get("model") {
        Some(json) => Some(
            serde_json::from_str(json)
                .map_err(|_other| Error::invalid_parameter("`model` in the inputs is not a string: expected a name"))?,
        ),
        None => None,
    };
    match (name, in_inputs) {
        (Some(""), _) => {
            Err(Error::invalid_parameter("the name of the endpoint is empty: expected the name of a model"))
        }
        (Some(name), Some(other)) if other != name => Err(Error::invalid_parameter(format!(
            "conflicting models: `{other}` in the inputs, `{name}` as the endpoint; remove `model` from the inputs"
        ))),
        (Some(name), _) => Ok(name.to_owned()),
        (None, Some(name)) => Ok(name),
        (None, None) => {
            Err(Error::invalid_parameter("no model is specified: set `endpoint`, or `model` in the inputs"))
        }
    }
}

fn encode(route: &str) -> Result<String> {
    let invalid = |error: Error| {
        Error::invalid_parameter(format!(
            "invalid `route` `{route}`: expected a path below the base URL, such as `moderations`; {}",
            error.message()
        ))
    };
    let segments = route.trim_matches('/').split('/').map(encode_segment);
    Ok(segments.collect::<Result<Vec<_>>>().map_err(invalid)?.join("/"))
}
