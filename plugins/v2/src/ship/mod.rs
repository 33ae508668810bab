//! Sends an MLflow model to Triton in the load request: the model's files, and a model configuration. The server and
//! this machine need no common folder.

mod body;
mod files;
mod mlmodel;
mod onnx;
mod python;
#[cfg(test)]
mod tests;

use std::path::Path;

use mlflow_deploy_plugin_api::{Error, Result};
use serde_json::{Map, Value, json};

use body::LoadBody;
use mlmodel::Mlmodel;

/// The flavors that can be sent, in the order of preference.
const FLAVORS: [&str; 2] = [onnx::FLAVOR, python::FLAVOR];

/// Returns the body of the request that loads the MLflow model in `folder` as the model `name`, and the chosen flavor.
/// The members of `config` replace those of the model configuration.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the model cannot be read, has no flavor that can be sent, or is too large for a request.
pub(crate) fn load_body(
    folder: &Path,
    name: &str,
    flavor: Option<&str>,
    config: Map<String, Value>,
) -> Result<(Vec<u8>, String)> {
    let model = Mlmodel::read(folder)?;
    let has = |flavor: &str| model.flavors.contains_key(flavor);
    let flavor = match flavor {
        Some(flavor) if !FLAVORS.contains(&flavor) || !has(flavor) => {
            return Err(unsupported(&model, &format!("cannot send the flavor `{flavor}`")));
        }
        Some(flavor) => flavor,
        None => FLAVORS
            .into_iter()
            .find(|flavor| has(flavor))
            .ok_or_else(|| unsupported(&model, "cannot send the model"))?,
    };
    let mut all = json!({"name": name, "max_batch_size": 0}).as_object().cloned().unwrap_or_default();
    let mut body = LoadBody::default();
    let own = match flavor {
        onnx::FLAVOR => onnx::add(&mut body, folder, &model)?,
        _ => python::add(&mut body, folder, &model, &config)?,
    };
    all.extend(own);
    all.extend(config);
    Ok((body.finish(&Value::from(all).to_string()), flavor.to_owned()))
}

fn unsupported(model: &Mlmodel, what: &str) -> Error {
    let flavors: Vec<_> = model.flavors.keys().map(|flavor| format!("`{flavor}`")).collect();
    let supported = FLAVORS.map(|flavor| format!("`{flavor}`")).join(" and ");
    Error::invalid_parameter(format!(
        "{what} to Triton: the model has the flavors {}, and {supported} can be sent",
        flavors.join(", ")
    ))
}
