//! A scripted server of the Open Inference Protocol. It answers as recorded servers: MLServer 1.7, Triton 2.51, and
//! KServe 0.21, which has no model repository.
//!
//! Its models add the four numbers of each row, and answer 1 if the sum is more than 11. The model `slow` never answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Answer, Request, Server};

/// The kind of server that is imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V2Kind {
    /// KServe's Python server.
    KServe,
    /// MLServer with models of the flavor `sklearn`.
    MlServer,
    /// NVIDIA Triton Inference Server, started with `--model-control-mode=explicit`.
    Triton,
}

/// A delay that is longer than any timeout of the tests.
const NEVER: Duration = Duration::from_secs(3600);

/// The name of the input of a model that takes a matrix.
const COLUMNS: [&str; 4] = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"];

/// The state of one model.
#[derive(Clone, Copy, Debug)]
struct Model {
    is_loaded: bool,
    is_in_repository: bool,
}

/// Starts a server with the loaded models `iris` and `slow`, and with the model `second` in its repository.
pub fn start(kind: V2Kind) -> Server {
    let model = |is_loaded| Model { is_loaded, is_in_repository: true };
    let models = [("iris", true), ("slow", true), ("second", false)];
    let models = models.map(|(name, is_loaded)| (name.to_owned(), model(is_loaded)));
    let state = Arc::new(Mutex::new(BTreeMap::from(models)));
    Server::answering(move |request| answer(kind, lock(&state), request))
}

type Models = BTreeMap<String, Model>;

fn lock(models: &Mutex<Models>) -> MutexGuard<'_, Models> {
    models.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(kind: V2Kind, mut models: MutexGuard<'_, Models>, request: &Request) -> Answer {
    let path: Vec<_> = request.path.trim_start_matches('/').split('/').collect();
    let has_repository = kind != V2Kind::KServe;
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["v2"]) => Answer::new(200, server(kind).to_string()),
        ("POST", ["v2", "repository", "index"]) if has_repository => {
            Answer::new(200, Value::from(index(&models)).to_string())
        }
        ("POST", ["v2", "repository", "models", name, "load"]) if has_repository => {
            let is_sent = String::from_utf8_lossy(&request.body).contains("\"file:1/");
            match (models.get_mut(*name), is_sent && kind == V2Kind::Triton) {
                (Some(model), _) => model.is_loaded = true,
                (None, true) => {
                    models.insert((*name).to_owned(), Model { is_loaded: true, is_in_repository: false });
                }
                (None, false) if kind == V2Kind::Triton => {
                    let error = format!("failed to load '{name}', failed to poll from model repository");
                    return Answer::new(500, json!({"error": error}).to_string());
                }
                (None, false) => return unknown(kind, name),
            }
            Answer::status(200)
        }
        ("POST", ["v2", "repository", "models", name, "unload"]) if has_repository => match models.get_mut(*name) {
            Some(model) if model.is_in_repository => {
                model.is_loaded = false;
                Answer::status(200)
            }
            Some(_) => {
                models.remove(*name);
                Answer::status(200)
            }
            None if kind == V2Kind::Triton => Answer::status(200),
            None => unknown(kind, name),
        },
        ("GET", ["v2", "models"]) if kind == V2Kind::KServe => {
            let loaded: Vec<_> = models.iter().filter(|(_, model)| model.is_loaded).map(|(name, _)| name).collect();
            Answer::new(200, json!({"models": loaded}).to_string())
        }
        ("GET", ["v2", "models", "stats"]) if kind == V2Kind::Triton => {
            let loaded = models.iter().filter(|(_, model)| model.is_loaded);
            let loaded: Vec<_> = loaded.map(|(name, _)| json!({"name": name, "version": "1"})).collect();
            Answer::new(200, json!({"model_stats": loaded}).to_string())
        }
        (method, ["v2", "models", name, rest @ ..]) => {
            if !models.get(*name).is_some_and(|model| model.is_loaded) {
                return match (kind, rest) {
                    (V2Kind::Triton, ["ready"]) => {
                        Answer::new(400, json!({"error": "Model version not ready"}).to_string())
                    }
                    _ => unknown(kind, name),
                };
            }
            match (method, rest) {
                ("GET", [] | ["versions", _]) => Answer::new(200, metadata(kind, name).to_string()),
                ("GET", ["ready"] | ["versions", _, "ready"]) if kind == V2Kind::KServe => {
                    Answer::new(200, json!({"name": name, "ready": true}).to_string())
                }
                ("GET", ["ready"] | ["versions", _, "ready"]) => Answer::status(200),
                ("POST", ["infer"] | ["versions", _, "infer"]) if *name == "slow" => Answer::status(200).after(NEVER),
                ("POST", ["infer"] | ["versions", _, "infer"]) => infer(kind, name, request),
                _ => no_route(),
            }
        }
        _ => no_route(),
    }
}

fn server(kind: V2Kind) -> Value {
    match kind {
        V2Kind::KServe => {
            json!({"name": "kserve", "version": "0.21.0", "extensions": ["model_repository_extension"]})
        }
        V2Kind::MlServer => json!({"name": "mlserver", "version": "1.7.1", "extensions": []}),
        V2Kind::Triton => json!({
            "name": "triton", "version": "2.51.0",
            "extensions": ["model_repository", "model_configuration", "binary_tensor_data", "parameters", "statistics"],
        }),
    }
}

fn no_route() -> Answer {
    Answer::new(404, json!({"detail": "Not Found"}).to_string())
}

fn unknown(kind: V2Kind, name: &str) -> Answer {
    let error = match kind {
        V2Kind::KServe => format!("Model with name {name} does not exist."),
        V2Kind::MlServer => format!("Model {name} not found"),
        V2Kind::Triton => format!("Request for unknown model: '{name}' is not found"),
    };
    Answer::new(404, json!({"error": error}).to_string())
}

/// Returns the index of the repository. As in Triton, it does not have models that were sent in a load request.
fn index(models: &Models) -> Vec<Value> {
    let entry = |(name, model): (&String, &Model)| {
        let state = if model.is_loaded { "READY" } else { "UNAVAILABLE" };
        json!({"name": name, "version": "1", "state": state, "reason": ""})
    };
    models.iter().filter(|(_, model)| model.is_in_repository).map(entry).collect()
}

fn metadata(kind: V2Kind, name: &str) -> Value {
    match kind {
        V2Kind::KServe => json!({"name": name, "platform": "", "inputs": [], "outputs": []}),
        V2Kind::MlServer => {
            let np = json!({"content_type": "np"});
            let column = |name: &str| json!({"name": name, "datatype": "FP64", "shape": [-1, 1], "parameters": np});
            json!({
                "name": name, "versions": [], "platform": "", "inputs": COLUMNS.map(column),
                "outputs": [{"name": "output-0", "datatype": "INT64", "shape": [-1], "parameters": np}],
            })
        }
        V2Kind::Triton => json!({
            "name": name, "versions": ["1"], "platform": "python",
            "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}],
            "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}],
        }),
    }
}

/// Adds the numbers of each row, and answers in the form of the imitated server.
fn infer(kind: V2Kind, name: &str, request: &Request) -> Answer {
    let wrong = |error: &str| Answer::new(400, json!({"error": error}).to_string());
    let length = request.header("inference-header-content-length").and_then(|length| length.parse().ok());
    let Some((head, mut binary)) = request.body.split_at_checked(length.unwrap_or(request.body.len())) else {
        return wrong("the header is too long");
    };
    let head: Value = match serde_json::from_slice(head) {
        Ok(head) => head,
        Err(error) => return wrong(&error.to_string()),
    };
    let mut sums: Vec<f64> = Vec::new();
    for input in head["inputs"].as_array().into_iter().flatten() {
        let numbers: Vec<f64> = match input["parameters"]["binary_data_size"].as_u64() {
            None => input["data"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect(),
            Some(size) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                let Some((raw, rest)) = binary.split_at_checked(size) else { return wrong("the body is too short") };
                binary = rest;
                raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
            }
        };
        let rows = input["shape"][0].as_u64().and_then(|rows| usize::try_from(rows).ok()).unwrap_or_default();
        sums.resize(rows, 0.0);
        let width = numbers.len().checked_div(rows).unwrap_or_default().max(1);
        for (sum, row) in sums.iter_mut().zip(numbers.chunks(width)) {
            *sum += row.iter().sum::<f64>();
        }
    }
    if sums.is_empty() {
        return wrong("expected inputs");
    }
    let classes: Vec<i64> = sums.iter().map(|sum| i64::from(*sum > 11.0)).collect();
    let rows = classes.len();
    let np = json!({"content_type": "np"});
    let mut body = json!({"model_name": name, "model_version": "1"});
    body["outputs"] = match kind {
        V2Kind::KServe => {
            json!([{"name": "output-0", "shape": [rows], "datatype": "INT64", "parameters": null, "data": classes}])
        }
        V2Kind::MlServer => {
            body["parameters"] = np.clone();
            json!([{"name": "output-1", "shape": [rows, 1], "datatype": "INT64", "parameters": np, "data": classes}])
        }
        V2Kind::Triton if head["parameters"]["binary_data_output"] == true => {
            let raw: Vec<u8> = classes.iter().flat_map(|class| class.to_le_bytes()).collect();
            let size = json!({"binary_data_size": raw.len()});
            body["outputs"] = json!([{"name": "y", "datatype": "INT64", "shape": [rows], "parameters": size}]);
            let head = body.to_string().into_bytes();
            let length = head.len().to_string();
            return Answer::new(200, [head, raw].concat())
                .header("Content-Type", "application/octet-stream")
                .header("Inference-Header-Content-Length", &length);
        }
        V2Kind::Triton => json!([{"name": "y", "datatype": "INT64", "shape": [rows], "data": classes}]),
    };
    Answer::new(200, body.to_string())
}
