//! A pool of sessions of one model, so that several predictions can run at once.
//!
//! `ort` gives a session to one run at a time, because some providers of ONNX Runtime are not thread-safe. The pool
//! creates a session if all others are busy, up to the number in the options or the default. Each session has its own
//! copy of the weights.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;

use mlflow_deploy_plugin_api::{Error, Result, sync};
use ort::session::Session;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::exit_guard::ExitGuard;
use crate::runtime::OnnxRuntime;
use crate::session_options::SessionOptions;

/// The maximum of the default number of sessions, which is the number of processors. Each session has a copy of the
/// weights.
const MAX_DEFAULT_SESSIONS: usize = 4;

/// The sessions of a model.
pub(crate) struct SessionPool {
    factory: SessionFactory,
    idle: Arc<IdleSessions>,
    permits: Arc<Semaphore>,
}

/// The unused sessions. They are released with the pool, or with the last lease that outlives it.
struct IdleSessions(Mutex<Vec<Session>>);

/// Creates sessions of one model.
#[derive(Clone)]
pub(crate) struct SessionFactory {
    pub(crate) runtime: OnnxRuntime,
    /// The `.onnx` file.
    pub(crate) file: PathBuf,
    pub(crate) options: SessionOptions,
    /// True if a missing provider is an error.
    pub(crate) requires_providers: bool,
}

/// A session for one prediction. When this value is dropped, the session returns to the pool.
pub(crate) struct SessionLease {
    session: Option<Session>,
    factory: SessionFactory,
    idle: Arc<IdleSessions>,
    _permit: OwnedSemaphorePermit,
}

impl SessionFactory {
    /// Creates a session. Reads the model's files, which can take a long time.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` with the reason of ONNX Runtime if it rejects the model.
    pub(crate) fn create(&self) -> Result<Session> {
        let _guard = ExitGuard::for_object();
        let failed = |error: &ort::Error| load_error(&self.file, error);
        let builder = Session::builder(&self.runtime.environment).map_err(|error| failed(&error))?;
        let mut builder = self.options.apply(builder, self.requires_providers)?;
        builder.commit_from_file(&self.file).map_err(|error| failed(&error))
    }
}

impl SessionPool {
    /// Creates a pool with its first session.
    pub(crate) fn new(factory: SessionFactory, first: Session) -> Self {
        let permits = Arc::new(Semaphore::new(max_sessions(&factory.options)));
        Self { factory, idle: Arc::new(IdleSessions(Mutex::new(vec![first]))), permits }
    }

    /// Waits until a session is idle or can be created.
    pub(crate) async fn lease(&self) -> SessionLease {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let session = sync::lock(&self.idle.0).pop();
        SessionLease { session, factory: self.factory.clone(), idle: Arc::clone(&self.idle), _permit: permit }
    }
}

impl SessionLease {
    /// Returns the session. Creates it if none was idle.
    pub(crate) fn session(&mut self) -> Result<&mut Session> {
        if self.session.is_none() {
            self.session = Some(self.factory.create()?);
        }
        Ok(self.session.as_mut().expect("the session was created"))
    }
}

impl Drop for SessionLease {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            sync::lock(&self.idle.0).push(session);
        }
    }
}

impl Drop for IdleSessions {
    fn drop(&mut self) {
        let _guard = ExitGuard::for_object();
        sync::lock(&self.0).clear();
    }
}

/// Returns the maximum number of sessions of a pool, which is the number of concurrent predictions.
fn max_sessions(options: &SessionOptions) -> usize {
    let default = || available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_DEFAULT_SESSIONS);
    options.sessions.map_or_else(default, NonZeroUsize::get)
}

fn load_error(file: &Path, error: &ort::Error) -> Error {
    let name = file.file_name().unwrap_or(file.as_os_str()).display();
    Error::invalid_parameter(format!("ONNX Runtime failed to load `{name}`: {}", error.to_string().trim_end()))
}
