//! A model in MLflow's scoring server, as the rest of the plugin sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Payload, Result, file};
use tokio::time::timeout;

use super::client::ScoringClient;
use super::interpreter::Python;
use super::supervise::{Serving, SpawnConfig, Supervisor, lost};

/// How often a request is sent that no server has seen, because it ended just then.
const ATTEMPTS: usize = 3;

/// After a connection has broken, the end of the process is seen in a moment; where it lives, the connection was at fault.
const MOMENT: Duration = Duration::from_secs(5);

/// A model that can predict, once its server has started.
pub(crate) struct Server {
    python: PathBuf,
    supervisor: Supervisor,
    asker: Arc<ScoringClient>,
}

impl Server {
    /// Begins to start the server of a model. To be called on the plugin's runtime.
    pub(crate) fn start(python: &Python, model: &Path, start_timeout: Duration) -> Self {
        let advice = format!(
            "; install what is missing with: {} -m pip install {}",
            python.path().display(),
            requirements(model).unwrap_or_else(|| "PACKAGE".to_owned())
        );
        let recipe = SpawnConfig { python: python.path().to_owned(), model: model.to_owned(), start_timeout, advice };
        let asker = Arc::new(ScoringClient::new());
        let python = python.path().to_owned();
        Self { python, supervisor: Supervisor::start(recipe, Arc::clone(&asker)), asker }
    }

    /// The interpreter.
    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    /// `INVALID_STATE` with the end of the server's log, where it cannot be.
    pub(crate) async fn ready(&self) -> Result<()> {
        let serving = self.supervisor.serving().await?;
        let (address, seconds) = (serving.child.address(), serving.start.as_secs_f64());
        call::log(Level::Debug, format!("the model's Python server is at {address}, and started in {seconds:.1} s"));
        Ok(())
    }

    /// Answers a request of the scoring protocol.
    ///
    /// # Errors
    /// What MLflow's scoring server answers, with its code and status; `TEMPORARILY_UNAVAILABLE` where it ends meanwhile.
    pub(crate) async fn predict(&self, inputs: &Payload) -> Result<Payload> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let serving = self.supervisor.serving().await?;
            match self.asker.predict(serving.child.address(), inputs).await {
                Err(error) if error.http().is_none() && *error.code() == ErrorCode::TEMPORARILY_UNAVAILABLE => {
                    let is_unseen = error.is_retryable();
                    let error = broken(&serving, error).await;
                    if !is_unseen {
                        return Err(error);
                    }
                    last = Some(error);
                }
                answer => {
                    serving.has_answered.store(true, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(last.expect("there was an attempt"))
    }
}

/// The packages of the model's `requirements.txt`, for a command; `None` where it has none, or none that is plain.
fn requirements(model: &Path) -> Option<String> {
    /// Bytes; more than fits into a command that a person pastes.
    const MAX_LEN: u64 = 4096;
    let text = file::read_text(&model.join("requirements.txt"), MAX_LEN).ok()?;
    // The file is the model's. What is more than a name and a version, such as an option of pip, is not put into a command.
    let is_plain = |package: &str| {
        package.starts_with(|first: char| first.is_ascii_alphanumeric())
            && package.chars().all(|each| each.is_ascii_alphanumeric() || "-_.,=<>!~[]".contains(each))
    };
    let packages = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let quoted = packages.map(|package| is_plain(package).then(|| format!("'{package}'")));
    quoted.collect::<Option<Vec<_>>>().map(|packages| packages.join(" ")).filter(|packages| !packages.is_empty())
}

/// What to say of a connection that broke.
async fn broken(serving: &Serving, error: Error) -> Error {
    match timeout(MOMENT, serving.child.ended()).await {
        Ok(ended) => lost(serving, ended),
        Err(_alive) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_requirements_become_a_command() {
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
