//! A model in a Python scoring server. Starts the server, waits until it is ready, and sends requests to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Payload, Result, file};
use tokio::time::timeout;

use super::client::ScoringClient;
use super::interpreter::Python;
use super::supervisor::{RunningServer, StartConfig, Supervisor, connection_lost};

/// The maximum number of times that a request is sent. A request is sent again if the server ended before it received
/// the request.
const MAX_ATTEMPTS: usize = 3;

/// The maximum time to wait for the end of the server process after a connection is lost. If the process has not ended
/// by then, only the connection failed.
const MAX_EXIT_WAIT: Duration = Duration::from_secs(5);

/// A model in one Python scoring server. The server process ends when this value is dropped.
pub(super) struct PythonServer {
    python: PathBuf,
    supervisor: Supervisor,
    client: Arc<ScoringClient>,
}

impl PythonServer {
    /// Starts a server for the model in the folder `model`, in the background. Must be called on the plugin's runtime.
    pub(super) fn start(python: &Python, model: &Path, start_timeout: Duration) -> Self {
        let advice = format!(
            "; install the missing modules with: {} -m pip install {}",
            python.path().display(),
            requirements(model).unwrap_or_else(|| "PACKAGE".to_owned())
        );
        let config = StartConfig { python: python.path().to_owned(), model: model.to_owned(), start_timeout, advice };
        let client = Arc::new(ScoringClient::new());
        let python = python.path().to_owned();
        Self { python, supervisor: Supervisor::start(config, Arc::clone(&client)), client }
    }

    /// Returns the path of the Python interpreter that runs the server.
    pub(super) fn python(&self) -> &Path {
        &self.python
    }

    /// Returns true if the server process is running and has loaded the model.
    pub(super) fn is_running(&self) -> bool {
        self.supervisor.is_running()
    }

    /// Waits until the server has loaded the model.
    ///
    /// # Errors
    /// `INVALID_STATE` if the model cannot be loaded. The error contains the last lines of the server's output.
    pub(super) async fn ready(&self) -> Result<()> {
        let server = self.supervisor.running().await?;
        let (address, seconds) = (server.process.address(), server.start_time.as_secs_f64());
        call::log(Level::Debug, format!("the model's Python server started at {address} within {seconds:.1} s"));
        Ok(())
    }

    /// Sends a prediction request to the server, and returns the body of the response.
    ///
    /// # Errors
    /// Fails with the error code and the HTTP status that the server reports; `TEMPORARILY_UNAVAILABLE` if the server
    /// process ends during the request.
    pub(super) async fn predict(&self, inputs: &Payload) -> Result<Payload> {
        let mut last = None;
        for _ in 0..MAX_ATTEMPTS {
            let server = self.supervisor.running().await?;
            match self.client.predict(server.process.address(), inputs).await {
                Err(error) if error.http().is_none() && *error.code() == ErrorCode::TEMPORARILY_UNAVAILABLE => {
                    let is_unreceived = error.is_retryable();
                    let error = exit_or_error(&server, error).await;
                    if !is_unreceived {
                        return Err(error);
                    }
                    last = Some(error);
                }
                answer => {
                    server.has_answered.store(true, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(last.expect("at least one attempt is made"))
    }
}

/// Returns the packages in the model's `requirements.txt`, quoted for a shell command. Returns `None` if there are no
/// packages, or if a line contains anything but a package name and versions.
fn requirements(model: &Path) -> Option<String> {
    /// The maximum size of `requirements.txt`, in bytes. It also limits the length of the suggested command.
    const MAX_LEN: u64 = 4096;
    let text = file::read_text(&model.join("requirements.txt"), MAX_LEN).ok()?;
    // The model is not trusted: an option of pip must not become part of the command.
    let is_plain = |package: &str| {
        package.starts_with(|first: char| first.is_ascii_alphanumeric())
            && package.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.,=<>!~[]".contains(letter))
    };
    let packages = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let quoted = packages.map(|package| is_plain(package).then(|| format!("'{package}'")));
    quoted.collect::<Option<Vec<_>>>().map(|packages| packages.join(" ")).filter(|packages| !packages.is_empty())
}

/// Returns the error for a lost connection to the server. Waits a few seconds for the process to end. If the process
/// ends, the error reports its exit status. Otherwise returns `error`.
async fn exit_or_error(server: &RunningServer, error: Error) -> Error {
    match timeout(MAX_EXIT_WAIT, server.process.wait()).await {
        Ok(exit) => connection_lost(server, exit),
        Err(_alive) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_versions_of_packages_become_part_of_a_command() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(requirements(folder.path()), None);
        for (file, expected) in [
            ("", None),
            (
                "mlflow==3.17.2\n\n# why\nuvicorn[standard]<1,!=0.9\n",
                Some("'mlflow==3.17.2' 'uvicorn[standard]<1,!=0.9'"),
            ),
            ("mlflow\n-r other.txt\n", None),
            ("'; rm -rf ~; '\n", None),
            ("mlflow\n--index-url=evil.example\n", None),
            ("-rother.txt\n", None),
            ("-e.\n", None),
            (&"mlflow==3.17.2\n".repeat(300), None),
        ] {
            std::fs::write(folder.path().join("requirements.txt"), file).unwrap();
            assert_eq!(requirements(folder.path()).as_deref(), expected, "{file}");
        }
    }
}
