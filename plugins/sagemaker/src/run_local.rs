//! Serves a model in a container on this machine, with the command line of MLflow's client.

use std::process::Stdio;

use mlflow_deploy_http::{Environment, process_variable};
use mlflow_deploy_model_uri::{Tracking, TrackingOptions};
use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Chunks, Error, ErrorCode, Payload, Result, blocking, program};
use serde::Deserialize;
use tokio::process::Command;

use crate::model::Model;

const IMAGE: &str = "mlflow-pyfunc";

/// The variables that MLflow's client passes on to the container.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "no_proxy"];

#[derive(Debug, Deserialize)]
#[serde(default)]
struct LocalConfig {
    image: String,
    port: u16,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self { image: IMAGE.to_owned(), port: 5000 }
    }
}

/// Serves a model in a container until the call is cancelled or the container ends.
///
/// # Errors
/// `NOT_IMPLEMENTED` without docker, and `INTERNAL_ERROR` if the container ends with an error.
pub(crate) async fn run_local(request: RunLocal, chunks: &mut Chunks) -> Result<()> {
    request.config.check_keys(&["image", "port"])?;
    let config: LocalConfig = request.config.parse()?;
    if config.image.is_empty() || config.image.starts_with('-') {
        return Err(Error::invalid_parameter(
            "invalid `image`: expected the name of an image, such as `mlflow-pyfunc`",
        ));
    }
    let docker = program::find_in_path("docker", &process_variable("PATH").unwrap_or_default(), 1);
    let Some(docker) = docker else {
        return Err(Error::new(
            ErrorCode::NOT_IMPLEMENTED,
            "the program `docker` is not in `PATH`, and this target serves models in containers: install docker, or serve the \
             model without a container with the target `local` (`run-local -t local`)",
        ));
    };
    // The credentials for a tracking server are read from a file.
    let tracking = blocking(|| Tracking::new(TrackingOptions::default(), &Environment::new(&process_variable))).await?;
    let model = Model::fetch(&request.model_uri, request.flavor.as_deref(), &tracking).await?;
    let folder = std::path::absolute(&model.folder)
        .map_err(|error| Error::internal(format!("failed to find `{}`: {error}", model.folder.display())))?;
    let proxies = PROXIES.into_iter().filter(|name| process_variable(name).is_some());
    let arguments = arguments(&folder.display().to_string(), model.flavor, &config, proxies);
    call::log(Level::Info, format!("running docker {}", arguments.join(" ")));
    let mut command = Command::new(docker);
    // The output of the container goes to stderr: stdout belongs to the caller.
    command.args(&arguments).stdin(Stdio::null()).stdout(std::io::stderr()).kill_on_drop(true);
    let failed = |error: std::io::Error| Error::internal(format!("failed to run docker: {error}"));
    let mut child = command.spawn().map_err(failed)?;
    let url =
        format!("{{\"name\": \"{}\", \"url\": \"http://127.0.0.1:{}\"}}", request.name.escape_default(), config.port);
    chunks.send(Payload::new(mlflow_deploy_plugin_api::JSON, url.into_bytes())).await?;
    tokio::select! {
        ended = child.wait() => match ended.map_err(failed)? {
            status if status.success() => Ok(()),
            status => Err(Error::internal(format!(
                "the container ended ({status}): build its image with `mlflow models build-docker --name {}`",
                config.image
            ))),
        },
        () = call::cancelled() => {
            // The process of docker's command line ends the container, as after Ctrl-C in MLflow.
            if let Some(id) = child.id() {
                let _sent = std::process::Command::new("kill").args(["-INT", &id.to_string()]).status();
            }
            let _ended = child.wait().await;
            Ok(())
        }
    }
}

/// Returns the arguments of docker, as MLflow's client writes them.
fn arguments(
    folder: &str,
    flavor: &str,
    config: &LocalConfig,
    proxies: impl Iterator<Item = &'static str>,
) -> Vec<String> {
    let mut arguments = vec!["run".to_owned(), "-v".to_owned(), format!("{folder}:/opt/ml/model/")];
    // Unlike with MLflow's client, other machines cannot reach the model.
    arguments.extend(["-p".to_owned(), format!("127.0.0.1:{}:8080", config.port)]);
    let mut set = |name: &str, value: &str| arguments.extend(["-e".to_owned(), format!("{name}={value}")]);
    set("MLFLOW_DEPLOYMENT_FLAVOR_NAME", flavor);
    set("SERVING_ENVIRONMENT", "SageMaker");
    for name in proxies {
        // Docker takes the value from its own environment, so that no password is in the list of processes.
        arguments.extend(["-e".to_owned(), name.to_owned()]);
    }
    arguments.extend(["--rm".to_owned(), config.image.clone(), "serve".to_owned()]);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_gets_the_arguments_of_mlflow() {
        let arguments = arguments("/m", "python_function", &LocalConfig::default(), ["https_proxy"].into_iter());
        assert_eq!(
            arguments.join(" "),
            "run -v /m:/opt/ml/model/ -p 127.0.0.1:5000:8080 -e MLFLOW_DEPLOYMENT_FLAVOR_NAME=python_function -e \
             SERVING_ENVIRONMENT=SageMaker -e https_proxy --rm mlflow-pyfunc serve"
        );
    }
}
