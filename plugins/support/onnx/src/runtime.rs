//! ONNX Runtime itself: loaded once for the process, when the first model needs it.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, trust};
use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::elf_check;
use crate::exit_guard::RunGuard;
use crate::library::{Places, SYSTEM};
use mlflow_deploy_plugin_api::file;

/// A process can have one ONNX Runtime: its environment is a global of the library. Every client of this plugin shares
/// it; a failure to load is not kept, for the library may be installed a moment later.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// The library, loaded.
#[derive(Clone)]
pub(crate) struct Runtime {
    pub(crate) environment: Environment,
    file: PathBuf,
}

impl Runtime {
    /// The process's runtime, loaded from the first of the places that has it.
    ///
    /// # Errors
    /// `INVALID_STATE` where no place has the library, or it cannot be loaded; `INVALID_PARAMETER_VALUE` where the client
    /// asks for another library than the one that is loaded.
    pub(crate) fn get(places: &Places) -> Result<Self> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let found = places.find();
        if let Some(runtime) = &*loaded {
            return runtime.if_asked_for(places.option.is_some(), found?);
        }
        let runtime = match found? {
            Some(file) => load_trusted(&file).map_err(|error| unusable(&file, &*error, places))?,
            None => SYSTEM.iter().find_map(|name| load(Path::new(name)).ok()).ok_or_else(|| places.not_found())?,
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    fn if_asked_for(&self, is_asked_for: bool, found: Option<PathBuf>) -> Result<Self> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_missing| path.to_owned());
        match found {
            Some(other) if is_asked_for && real(&other) != real(&self.file) => Err(Error::invalid_parameter(format!(
                "the option `onnxruntime` is `{}`, but this process has loaded `{}`, and it can have only one: leave \
                 the option out, or start another process",
                other.display(),
                self.file.display()
            ))),
            _ => Ok(self.clone()),
        }
    }
}

/// What goes wrong between the library and us.
type Failure = Box<dyn StdError + Send + Sync>;

/// Loads a file that only the user and root can change, and that is whole.
fn load_trusted(file: &Path) -> Result<Runtime, Failure> {
    trust::check_code(file)?.iter().for_each(call::warn);
    elf_check::check(file::open(file)?)?;
    load(file)
}

fn load(file: &Path) -> Result<Runtime, Failure> {
    // Without a logger of ours, warnings would go to stderr.
    let tell = |level: LogLevel, _: &str, _: &str, _: &str, message: &str| {
        let level = if level >= LogLevel::Warning { Level::Info } else { Level::Debug };
        call::log(level, format!("ONNX Runtime: {message}"));
    };
    let builder = ort::init_from(file)?;
    let _inside = RunGuard::to_change();
    let builder = builder.with_name("mlflow-deploy").with_telemetry(false).with_logger(Arc::new(tell));
    let environment = builder.build().map_err(|error| error.to_string())?;
    environment.set_log_level(LogLevel::Warning);
    Ok(Runtime { environment, file: file.to_owned() })
}

fn unusable(file: &Path, error: &(dyn StdError + 'static), places: &Places) -> Error {
    let mut why: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let reason = error.to_string();
        // Some say again what their source says.
        if why.last().is_none_or(|said| !said.contains(&reason)) {
            why.push(reason);
        }
        next = error.source();
    }
    Error::new(
        ErrorCode::new("INVALID_STATE"),
        format!(
            "ONNX Runtime's library `{}` cannot be used: {}; one that can is installed with: {}",
            file.display(),
            why.join(": "),
            places.install()
        ),
    )
}
