//! What a prediction asks: the model, the route, and the body, of which every byte but two members is the caller's.

use mlflow_deploy_http::{JsonObject, encode_segment, require_inputs};
use mlflow_deploy_plugin_api::{Config, Error, Payload, Result};
use serde::Deserialize;

/// What a model can be asked to do.
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

/// How a prediction is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Streamed,
    Whole,
}

/// One prediction, ready to be asked for.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) model: String,
    /// The path below the server's base, with each of its segments encoded.
    pub(crate) route: String,
    pub(crate) body: Vec<u8>,
}

/// The config of one prediction.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    task: Option<Task>,
    route: Option<String>,
}

impl Question {
    /// Reads the inputs. `name` is the model that the caller names, where it does.
    pub(crate) fn new(name: Option<&str>, inputs: &Payload, config: &Config, delivery: Delivery) -> Result<Self> {
        let settings: Settings = config.parse()?;
        let inputs = JsonObject::parse(require_inputs(inputs)?.bytes())?;
        let model = model(name, &inputs)?;
        let route = match settings {
            Settings { task: Some(_), route: Some(_) } => {
                return Err(Error::invalid_parameter(
                    "`task` and `route` both say where to ask: leave one of them out",
                ));
            }
            Settings { route: Some(route), .. } => encode(&route)?,
            Settings { task, .. } => task.map_or_else(|| Task::of(&inputs, delivery), Ok)?.route().to_owned(),
        };
        if delivery == Delivery::Streamed && route == Task::Embeddings.route() {
            return Err(Error::invalid_parameter("embeddings are not streamed: use `predict`"));
        }
        let named = serde_json::to_string(&model).expect("a text has a JSON form");
        let mut members = Vec::new();
        if inputs.get("model").is_none() {
            members.push(("model", named.as_str()));
        }
        match delivery {
            Delivery::Streamed => members.push(("stream", "true")),
            // The inputs may have been written for a stream; what is wanted now is the whole answer.
            Delivery::Whole if inputs.get("stream").is_some_and(|stream| stream != "false") => {
                members.push(("stream", "false"));
            }
            Delivery::Whole => {}
        }
        Ok(Self { model, route, body: inputs.with(&members) })
    }
}

impl Task {
    /// What inputs of this shape ask for.
    fn of(inputs: &JsonObject<'_>, delivery: Delivery) -> Result<Self> {
        const SHAPES: [&str; 3] = ["messages", "prompt", "input"];
        let found: Vec<_> = SHAPES.into_iter().filter(|name| inputs.get(name).is_some()).collect();
        match found.as_slice() {
            ["messages"] => Ok(Self::Chat),
            ["prompt"] => Ok(Self::Completions),
            ["input"] if delivery == Delivery::Streamed || asks_for_a_response(inputs) => Ok(Self::Responses),
            ["input"] => Ok(Self::Embeddings),
            [] => Err(Error::invalid_parameter(
                "the inputs have none of `messages` (chat), `prompt` (completions) and `input` (embeddings or \
                 responses): add one, or name the `task` or the `route` in the config",
            )),
            several => Err(Error::invalid_parameter(format!(
                "the inputs have `{}`: leave one, or name the `task` or the `route` in the config",
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

/// Whether `input` stands beside something that only responses know, or is a list of items. Texts and tokens alone are
/// to be embedded.
fn asks_for_a_response(inputs: &JsonObject<'_>) -> bool {
    const ONLY_RESPONSES: [&str; 18] = [
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
    is_list_of_items || inputs.names().any(|name| ONLY_RESPONSES.contains(&name))
}

/// The model that is asked. The caller and the inputs may both name it, as long as they agree.
fn model(name: Option<&str>, inputs: &JsonObject<'_>) -> Result<String> {
    let own: Option<String> = match inputs.get("model") {
        Some(json) => Some(
            serde_json::from_str(json)
                .map_err(|_other| Error::invalid_parameter("`model` in the inputs is not a text: expected a name"))?,
        ),
        None => None,
    };
    match (name, own) {
        (Some(""), _) => Err(Error::invalid_parameter("the name of the endpoint is empty: give that of a model")),
        (Some(name), Some(own)) if own != name => Err(Error::invalid_parameter(format!(
            "the inputs name the model `{own}`, and the endpoint is `{name}`: leave `model` out of the inputs, or name \
             the same"
        ))),
        (Some(name), _) => Ok(name.to_owned()),
        (None, Some(own)) => Ok(own),
        (None, None) => {
            Err(Error::invalid_parameter("no model is named: give it as `endpoint`, or as `model` in the inputs"))
        }
    }
}

fn encode(route: &str) -> Result<String> {
    let wrong = |error: Error| {
        Error::invalid_parameter(format!(
            "`route` is `{route}`: expected a path below the base, such as `moderations`; {}",
            error.message()
        ))
    };
    let segments = route.trim_matches('/').split('/').map(encode_segment);
    Ok(segments.collect::<Result<Vec<_>>>().map_err(wrong)?.join("/"))
}
