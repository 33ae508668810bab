//! A pool of ONNX Runtime sessions of one model, so that several predictions can run at the same time.
//!
//! A session serves one prediction at a time, because some providers of ONNX Runtime are not thread-safe. If all
//! sessions are busy, the pool creates another one, up to a maximum number of sessions. Each session has its own copy
//! of the model's weights.

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

/// The maximum number of sessions of a model whose options do not set one. The number is limited because each session
/// has a copy of the model's weights.
const MAX_DEFAULT_SESSIONS: usize = 4;

/// The sessions of a model. Each session runs one prediction at a time.
pub(crate) struct SessionPool {
    factory: SessionFactory,
    idle: Arc<IdleSessions>,
    permits: Arc<Semaphore>,
}

/// The sessions that run no prediction. They are released when the pool and all its leases are dropped.
struct IdleSessions(Mutex<Vec<Session>>);

/// Creates the sessions of one model.
#[derive(Clone)]
pub(crate) struct SessionFactory {
    pub(crate) runtime: OnnxRuntime,
    /// The path of the model's `.onnx` file.
    pub(crate) file: PathBuf,
    pub(crate) options: SessionOptions,
    /// True if an execution provider that ONNX Runtime does not have is an error.
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
    /// Creates a session. Reads the files of the model, which can take a long time.
    ///
    /// # Errors
    /// Fails with `INVALID_PARAMETER_VALUE` and the reason from ONNX Runtime if ONNX Runtime rejects the model.
    pub(crate) fn create(&self) -> Result<Session> {
        let _guard = ExitGuard::for_object();
        let failed = |error: &ort::Error| load_error(&self.file, error);
        let builder = Session::builder(&self.runtime.environment).map_err(|error| failed(&error))?;
        let mut builder = self.options.apply(builder, self.requires_providers)?;
        builder.commit_from_file(&self.file).map_err(|error| failed(&error))
    }
}

impl SessionPool {
    /// Creates a pool that contains the session `first`. `factory` creates the other sessions.
    pub(crate) fn new(factory: SessionFactory, first: Session) -> Self {
        let permits = Arc::new(Semaphore::new(max_sessions(&factory.options)));
        Self { factory, idle: Arc::new(IdleSessions(Mutex::new(vec![first]))), permits }
    }

    /// Waits until a session is idle, or until the pool can create one. Returns a lease of that session.
    pub(crate) async fn lease(&self) -> SessionLease {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let session = sync::lock(&self.idle.0).pop();
        SessionLease { session, factory: self.factory.clone(), idle: Arc::clone(&self.idle), _permit: permit }
    }
}

impl SessionLease {
    /// Returns true if the session exists.
    pub(crate) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Returns the leased session. Creates it first if the pool had no idle session.
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

/// Returns the maximum number of sessions of a pool, and so of predictions that run at the same time.
fn max_sessions(options: &SessionOptions) -> usize {
    let default = || available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_DEFAULT_SESSIONS);
    options.sessions.map_or_else(default, NonZeroUsize::get)
}

fn load_error(file: &Path, error: &ort::Error) -> Error {
    let name = file.file_name().unwrap_or(file.as_os_str()).display();
    Error::invalid_parameter(format!("ONNX Runtime failed to load `{name}`: {}", error.to_string().trim_end()))
}
