//! Loads the library of ONNX Runtime once in each process, when the first model needs it.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, file, load_and_resolve, sync, trust};
use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::elf_check;
use crate::exit_guard::ExitGuard;
use crate::library::{LibrarySearch, SYSTEM_NAMES};

/// The loaded library of ONNX Runtime; `None` if it is not loaded yet. All clients of the plugin share the library,
/// because its environment is a global. A failure to load the library is not cached, because the library may be
/// installed later.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// The loaded library of ONNX Runtime.
#[derive(Clone)]
pub(crate) struct OnnxRuntime {
    pub(crate) environment: Environment,
    file: PathBuf,
}

impl OnnxRuntime {
    /// Returns the loaded library of ONNX Runtime. The first call in a process loads it.
    ///
    /// # Errors
    /// `INVALID_STATE` if the library is not found or cannot be loaded; `INVALID_PARAMETER_VALUE` if the client option
    /// `onnxruntime` names another library than the loaded one.
    pub(crate) fn get(search: &LibrarySearch) -> Result<Self> {
        let mut loaded = sync::lock(&LOADED);
        let file = search.find();
        if let Some(runtime) = &*loaded {
            return runtime.check_option(search.option.is_some(), file?);
        }
        let runtime = match file? {
            Some(file) => load_trusted(&file).map_err(|error| load_error(&file, &*error, search))?,
            None => load_from_system(search)?,
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    fn check_option(&self, has_option: bool, file: Option<PathBuf>) -> Result<Self> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_missing| path.to_owned());
        match file {
            Some(other) if has_option && real(&other) != real(&self.file) => Err(Error::invalid_parameter(format!(
                "the option `onnxruntime` is `{}`, but this process has already loaded `{}`: leave the option out, or \
                 start another process",
                other.display(),
                self.file.display()
            ))),
            _ => Ok(self.clone()),
        }
    }
}

type LoadFailure = Box<dyn StdError + Send + Sync>;

/// Loads ONNX Runtime's library under the first name that the system's loader finds.
fn load_from_system(search: &LibrarySearch) -> Result<OnnxRuntime> {
    for name in SYSTEM_NAMES {
        match load(Path::new(name)) {
            Ok(runtime) => return Ok(runtime),
            // The loader's message starts with the name of the file that is missing.
            Err(error) if causes(&*error).contains(&format!("{name}: cannot open shared object file")) => {}
            Err(error) => return Err(load_error(Path::new(name), &*error, search)),
        }
    }
    Err(search.not_found())
}

/// Loads the library from a file. Fails if users other than this one and root can change the file, or if it is
/// truncated.
fn load_trusted(file: &Path) -> Result<OnnxRuntime, LoadFailure> {
    trust::check_code(file)?.iter().for_each(call::warn);
    elf_check::check(file::open(file)?)?;
    load(file)
}

fn load(file: &Path) -> Result<OnnxRuntime, LoadFailure> {
    // ONNX Runtime's default logger writes warnings to stderr.
    let logger = |level: LogLevel, _: &str, _: &str, _: &str, message: &str| {
        let level = if level >= LogLevel::Warning { Level::Info } else { Level::Debug };
        call::log(level, format!("ONNX Runtime: {message}"));
    };
    // `init_from` neither resolves all symbols nor returns the message of the system's loader.
    load_and_resolve(file)?;
    let builder = ort::init_from(file).map_err(|error| error.to_string())?;
    let _guard = ExitGuard::for_object();
    let builder = builder.with_name("mlflow-deploy").with_telemetry(false).with_logger(Arc::new(logger));
    let environment = builder.build().map_err(|error| error.to_string())?;
    environment.set_log_level(LogLevel::Warning);
    Ok(OnnxRuntime { environment, file: file.to_owned() })
}

fn load_error(file: &Path, error: &(dyn StdError + 'static), search: &LibrarySearch) -> Error {
    let named = search.named().map(|(_, name)| format!(", which {name} names")).unwrap_or_default();
    Error::new(
        ErrorCode::new("INVALID_STATE"),
        format!(
            "failed to load ONNX Runtime's library `{}`{named}: {}; install a tested version with: {}",
            file.display(),
            causes(error),
            search.install_command()
        ),
    )
}

/// Returns the messages of an error and of all its causes as one text.
fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let reason = error.to_string();
        // Some errors repeat the text of their source.
        if reasons.last().is_none_or(|last| !last.contains(&reason)) {
            reasons.push(reason);
        }
        next = error.source();
    }
    reasons.join(": ")
}
