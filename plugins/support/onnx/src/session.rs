//! Sessions of one model, so that predictions of one deployment run hstack each other.
//!
//! `ort` lends a session to one run at a time: some providers of ONNX Runtime are not safe to run twice at once. So there
//! are several sessions, made when all others are busy and up to the number of the settings; each has its own weights.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlflow_deploy_plugin_api::{Error, Result};
use ort::session::Session;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::exit_guard::RunGuard;
use crate::runtime::Runtime;
use crate::settings::Settings;

/// The sessions that nobody uses just now, and what makes more.
pub(crate) struct Pool {
    recipe: SessionConfig,
    idle: Arc<Idle>,
    permits: Arc<Semaphore>,
}

/// Sessions at rest, released with whoever holds them last: the model, or a prediction that outlives it.
struct Idle(Mutex<Vec<Session>>);

/// How a session is made.
#[derive(Clone)]
pub(crate) struct SessionConfig {
    pub(crate) runtime: Runtime,
    /// The `.onnx` file.
    pub(crate) file: PathBuf,
    pub(crate) settings: Settings,
    /// Whether the deployment's config asks for the providers.
    pub(crate) providers_are_chosen: bool,
}

/// The right to run one prediction; the session goes back when it is dropped.
pub(crate) struct Lease {
    session: Option<Session>,
    recipe: SessionConfig,
    idle: Arc<Idle>,
    _permit: OwnedSemaphorePermit,
}

impl SessionConfig {
    /// Makes a session. It reads the model's files, and may take its time.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` with what ONNX Runtime says of the model.
    pub(crate) fn session(&self) -> Result<Session> {
        let _inside = RunGuard::to_change();
        let failed = |error: &ort::Error| not_loaded(&self.file, error);
        let builder = Session::builder(&self.runtime.environment).map_err(|error| failed(&error))?;
        let mut builder = self.settings.apply(builder, self.providers_are_chosen)?;
        builder.commit_from_file(&self.file).map_err(|error| failed(&error))
    }
}

impl Pool {
    /// A pool with its first session, which has shown that the model can be loaded.
    pub(crate) fn new(recipe: SessionConfig, first: Session) -> Self {
        let permits = Arc::new(Semaphore::new(recipe.settings.concurrency()));
        Self { recipe, idle: Arc::new(Idle(Mutex::new(vec![first]))), permits }
    }

    /// Waits for a turn.
    pub(crate) async fn lease(&self) -> Lease {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let session = self.idle.sessions().pop();
        Lease { session, recipe: self.recipe.clone(), idle: Arc::clone(&self.idle), _permit: permit }
    }
}

impl Lease {
    /// The session, made now where none was idle.
    pub(crate) fn session(&mut self) -> Result<&mut Session> {
        if self.session.is_none() {
            self.session = Some(self.recipe.session()?);
        }
        Ok(self.session.as_mut().expect("it was made"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.idle.sessions().push(session);
        }
    }
}

impl Idle {
    fn sessions(&self) -> MutexGuard<'_, Vec<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _inside = RunGuard::to_change();
        self.sessions().clear();
    }
}

fn not_loaded(file: &Path, error: &ort::Error) -> Error {
    let name = file.file_name().unwrap_or(file.as_os_str()).display();
    Error::invalid_parameter(format!("ONNX Runtime cannot load `{name}`: {}", error.to_string().trim_end()))
}
