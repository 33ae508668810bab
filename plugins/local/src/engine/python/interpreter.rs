//! Searches for a Python interpreter that has MLflow's scoring server installed.

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use mlflow_deploy_plugin_api::trust::{self, Distrust};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking, call, file, sync};
use serde::Deserialize;
use tokio::time::timeout;

use super::slow_wait::warn_if_slow;

/// The Python program that prints the MLflow version of an interpreter, or the reason why the interpreter cannot run
/// models.
const PROBE: &str = include_str!("probe.py");

/// The requirement in the suggested install command. Its version is the one that this plugin is tested with.
const PACKAGE: &str = "mlflow==3.17.2";

/// The maximum run time of the probe program. The program takes a tenth of a second on an idle machine.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

/// The time after which the caller receives a warning that the probe program is slow.
const WARN_AFTER: Duration = Duration::from_secs(10);

/// The maximum size of the probe program's output, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;

/// The paths at which interpreters are searched, and a cache of the interpreters that can run models.
#[derive(Debug, Default)]
pub(crate) struct PythonSearch {
    /// The value of the client option `python`.
    option: Option<PathBuf>,
    /// The value of the environment variable `MLFLOW_DEPLOY_LOCAL_PYTHON`.
    variable: Option<PathBuf>,
    /// The folder of the active virtual environment: the value of `VIRTUAL_ENV`, or of conda's `CONDA_PREFIX`.
    virtualenv: Option<PathBuf>,
    /// The value of the environment variable `PATH`.
    path: Option<OsString>,
    probed: Mutex<HashMap<PathBuf, Python>>,
}

/// A Python interpreter that has MLflow's scoring server installed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Python {
    path: PathBuf,
    mlflow: Option<String>,
}

impl Python {
    /// Returns the path of the interpreter. The path may contain symbolic links, because Python finds its virtual
    /// environment by the path of the link.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the installed version of MLflow with a leading space, such as ` 3.17.2`. Returns an empty string if the
    /// version is unknown.
    pub(crate) fn mlflow(&self) -> String {
        self.mlflow.as_ref().map_or_else(String::new, |version| format!(" {version}"))
    }
}

impl PythonSearch {
    /// Collects the search paths from the client option `python` and from environment variables. `variable` returns the
    /// value of an environment variable.
    pub(crate) fn of_process(option: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // Relative paths are made absolute, because Python runs in another folder than this process.
        let path = |name: &str| std::path::absolute(variable(name)?).ok();
        Self {
            option,
            variable: variable("MLFLOW_DEPLOY_LOCAL_PYTHON").map(PathBuf::from),
            virtualenv: path("VIRTUAL_ENV").or_else(|| path("CONDA_PREFIX")),
            path: variable("PATH"),
            probed: Mutex::default(),
        }
    }

    /// Returns the first interpreter that can run models. `config` is the interpreter in the deployment's config.
    /// `before` is the interpreter that the deployment has used so far.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a configured interpreter cannot run models, `INVALID_STATE` if none is configured
    /// and no interpreter that can run models is found.
    pub(crate) async fn find(&self, flavor: &str, config: Option<&Path>, before: Option<&Path>) -> Result<Python> {
        let configured = [
            (config, "the config key `python`"),
            (self.option.as_deref(), "the client option `python`"),
            (self.variable.as_deref(), "`MLFLOW_DEPLOY_LOCAL_PYTHON`"),
        ];
        if let Some((program, source)) = configured.into_iter().find_map(|(program, source)| Some((program?, source))) {
            let invalid = |reason: &str, advice: &str| {
                Error::invalid_parameter(format!(
                    "{source} is `{}`: {reason}; expected a Python with MLflow 3: set another one or remove it{advice}",
                    program.display()
                ))
            };
            let python = self.resolve(program.as_os_str()).ok_or_else(|| invalid("the program was not found", ""))?;
            let advice = || format!(", or {}", install_command(program));
            return self.probe(&python).await.map_err(|reason| invalid(&reason, &advice()));
        }
        let virtualenv = self.virtualenv.as_ref().map(|folder| folder.join("bin/python"));
        let candidates = [
            ("the Python that the deployment was created with", before.map(Path::to_owned)),
            ("the active virtual environment's", virtualenv),
            ("`python3` of `PATH`", self.resolve(OsStr::new("python3"))),
            ("`python` of `PATH`", self.resolve(OsStr::new("python"))),
        ];
        let mut searched = Vec::new();
        for (source, python) in &candidates {
            let reason = match python {
                Some(python) => match self.probe(python).await {
                    Ok(python) => return Ok(python),
                    Err(reason) => format!("`{}`: {reason}", python.display()),
                },
                None => "none".to_owned(),
            };
            searched.push(format!("{source} ({reason})"));
        }
        let best = candidates.into_iter().find_map(|(_, python)| python.filter(|python| python.is_file()));
        Err(Error::new(
            ErrorCode::new("INVALID_STATE"),
            format!(
                "no Python with MLflow's scoring server was found to run the flavor `{flavor}`: searched the config key \
                 `python` (not given), the client option `python` (not given), `MLFLOW_DEPLOY_LOCAL_PYTHON` (not set), \
                 {}; save the model with the flavor `onnx`, or {}",
                searched.join(", "),
                install_command(best.as_deref().unwrap_or(Path::new("python3")))
            ),
        ))
    }

    /// Returns the absolute path of a program, or `None` if the file does not exist. Searches `PATH` if `program` is a
    /// name without a folder.
    fn resolve(&self, program: &OsStr) -> Option<PathBuf> {
        let file = |path: PathBuf| path.is_file().then_some(path);
        if Path::new(program).components().count() > 1 {
            return std::path::absolute(program).ok().and_then(file);
        }
        // Empty and relative entries are skipped, because they would run a program in the current folder.
        let folders = env::split_paths(self.path.as_ref()?).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(program)).find_map(file)
    }

    /// Runs the probe program with the interpreter at `path`. Returns the interpreter if it can run models, or else the
    /// reason why it cannot. Caches successful results.
    async fn probe(&self, path: &Path) -> Result<Python, String> {
        if let Some(python) = sync::lock(&self.probed).get(path) {
            return Ok(python.clone());
        }
        match trust::check_code(path) {
            Ok(warnings) => warnings.iter().for_each(call::warn),
            Err(distrust @ Distrust::Untrusted { .. }) => return Err(distrust.to_string()),
            // If the file cannot be read, it cannot be started either, and that error has more detail.
            Err(_unreadable) => {}
        }
        let mut process = spawn_probe(path).map_err(|error| format!("failed to start: {error}"))?;
        let output = process.0.stdout.take().expect("standard output is a pipe");
        let output = blocking(move || {
            let output = file::read_up_to(output, MAX_OUTPUT).map_err(|error| Error::internal(error.to_string()))?;
            Ok(String::from_utf8_lossy(&output).into_owned())
        });
        let warning = || format!("still waiting for the Python `{}` to report its MLflow version", path.display());
        let output = match timeout(PROBE_TIMEOUT, warn_if_slow(output, WARN_AFTER, warning)).await {
            Ok(output) => output.map_err(|error| format!("failed to read its output: {error}"))?,
            Err(_elapsed) => return Err(format!("no output within {} s", PROBE_TIMEOUT.as_secs())),
        };
        #[derive(Deserialize)]
        struct ProbeResult {
            problem: Option<String>,
            mlflow: Option<String>,
        }
        let result = output.lines().last().and_then(|line| serde_json::from_str::<ProbeResult>(line).ok());
        let Some(ProbeResult { problem, mlflow }) = result else { return Err("not a Python 3".to_owned()) };
        if let Some(problem) = problem {
            return Err(problem);
        }
        let python = Python { path: path.to_owned(), mlflow };
        sync::lock(&self.probed).insert(path.to_owned(), python.clone());
        Ok(python)
    }
}

/// Returns advice for the user that contains the command to install MLflow.
fn install_command(python: &Path) -> String {
    format!("install MLflow with: {} -m pip install {PACKAGE}", python.display())
}

fn spawn_probe(python: &Path) -> io::Result<KillOnDrop> {
    let mut command = Command::new(python);
    command.args(["-c", PROBE]).current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().map(KillOnDrop)
}

/// A child process that is killed and reaped when this value is dropped.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _already_ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn echo(answer: &str) -> String {
        format!("#!/bin/sh\necho '{answer}'\n")
    }

    /// Tests the search order and the error message. One test checks both, because the system does not execute a
    /// program that another thread has open for writing.
    #[tokio::test]
    async fn interpreters_are_probed_in_order_and_failures_are_listed() {
        check_order().await;
        check_failures().await;
    }

    async fn check_order() {
        let folder = tempfile::tempdir().unwrap();
        let usable = echo(r#"{"problem": null, "mlflow": "3.17.2"}"#);
        let program = |name: &str| Some(write(folder.path(), name, &usable));
        let venv = folder.path().join("venv");
        std::fs::create_dir_all(venv.join("bin")).unwrap();
        write(&venv, "bin/python", &usable);
        let (config, before) = (program("config"), program("before"));
        write(folder.path(), "python3", &usable);
        let mut search = PythonSearch {
            option: program("option"),
            variable: program("variable"),
            virtualenv: Some(venv.clone()),
            path: Some(folder.path().into()),
            ..PythonSearch::default()
        };
        let found = async |search: &PythonSearch, config: &Option<PathBuf>, before: &Option<PathBuf>| {
            let python = search.find("sklearn", config.as_deref(), before.as_deref()).await.unwrap();
            assert_eq!(python.mlflow(), " 3.17.2");
            python.path().strip_prefix(folder.path()).unwrap().to_owned()
        };
        assert_eq!(found(&search, &config, &before).await, Path::new("config"));
        assert_eq!(found(&search, &None, &before).await, Path::new("option"));
        search.option = None;
        assert_eq!(found(&search, &None, &before).await, Path::new("variable"));
        search.variable = None;
        assert_eq!(found(&search, &None, &before).await, Path::new("before"));
        assert_eq!(found(&search, &None, &None).await, Path::new("venv/bin/python"));
        search.virtualenv = None;
        assert_eq!(found(&search, &None, &None).await, Path::new("python3"));
        assert_eq!(found(&search, &Some("python3".into()), &None).await, Path::new("python3"));
    }

    #[test]
    fn a_relative_virtual_environment_is_relative_to_the_current_folder() {
        let search = PythonSearch::of_process(None, |name| (name == "VIRTUAL_ENV").then(|| "model".into()));
        let here = env::current_dir().unwrap();
        assert_eq!(search.virtualenv, Some(here.join("model")));
    }

    async fn check_failures() {
        let folder = tempfile::tempdir().unwrap();
        let bare = write(folder.path(), "python3", &echo(r#"{"problem": "mlflow is not installed", "mlflow": null}"#));
        write(folder.path(), "python", "#!/bin/sh\nexit 1\n");
        let search = PythonSearch { path: Some(folder.path().into()), ..PythonSearch::default() };
        let error = search.find("sklearn", None, Some(Path::new("/gone/python"))).await.unwrap_err();
        let (bare, other) = (bare.display(), folder.path().join("python"));
        let message = error.message();
        for part in [
            "no Python with MLflow's scoring server was found to run the flavor `sklearn`: searched",
            "the config key `python` (not given), the client option `python` (not given), `MLFLOW_DEPLOY_LOCAL_PYTHON`",
            "(`/gone/python`: failed to start: ",
            "the active virtual environment's (none), ",
            &format!("`python3` of `PATH` (`{bare}`: mlflow is not installed)"),
            &format!("`python` of `PATH` (`{}`: not a Python 3)", other.display()),
            &format!("install MLflow with: {bare} -m pip install {PACKAGE}"),
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let error = search.find("sklearn", Some(Path::new("/nowhere/python")), None).await.unwrap_err();
        let loose = write(folder.path(), "loose", &echo(r#"{"problem": null, "mlflow": "3.17.2"}"#));
        let world_writable = std::os::unix::fs::PermissionsExt::from_mode(0o757);
        std::fs::set_permissions(&loose, world_writable).unwrap();
        let untrusted = search.find("sklearn", Some(&loose), None).await.unwrap_err();
        let fix = format!("has mode 757: `chmod o-w {}`", loose.display());
        assert!(untrusted.message().contains(&fix), "{untrusted}");
        assert!(
            error.message().starts_with("the config key `python` is `/nowhere/python`: the program was not found; "),
            "{error}"
        );
    }
}
