//! Which Python runs models: where one is looked for, in which order, and what is said where there is none.

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mlflow_deploy_plugin_api::trust::{self, Distrust};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking, call, file};
use serde::Deserialize;
use tokio::time::timeout;

use super::slow_wait::warn_if_slow;

/// Says what a Python has; see the file.
const PROBE: &str = include_str!("probe.py");

/// What is said to install; the version that this plugin is tested with.
const PACKAGE: &str = "mlflow==3.17.2";

/// A Python says what it has in a tenth of a second; this is for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// After this time the caller is told what is waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes; more than it says.
const MAX_ANSWER: u64 = 64 << 10;

/// The places in which this process looks for a Python, and those it has found to be usable.
#[derive(Debug, Default)]
pub(crate) struct Pythons {
    /// The client option `python`.
    option: Option<PathBuf>,
    /// `MLFLOW_DEPLOY_LOCAL_PYTHON`.
    variable: Option<PathBuf>,
    /// `VIRTUAL_ENV`, or conda's `CONDA_PREFIX`.
    virtualenv: Option<PathBuf>,
    /// `PATH`.
    path: Option<OsString>,
    usable: Mutex<HashMap<PathBuf, Python>>,
}

/// A Python that has MLflow's scoring server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Python {
    path: PathBuf,
    mlflow: Option<String>,
}

impl Python {
    /// The interpreter; its links are not followed, for a virtual environment is known by them.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The version of its MLflow, such as ` 3.17.2`; nothing where it does not say.
    pub(crate) fn mlflow(&self) -> String {
        self.mlflow.as_ref().map_or_else(String::new, |version| format!(" {version}"))
    }
}

impl Pythons {
    /// Those of this process.
    pub(crate) fn of_process(option: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // Python is started in other folders than this process's.
        let path = |name: &str| std::path::absolute(variable(name)?).ok();
        Self {
            option,
            variable: variable("MLFLOW_DEPLOY_LOCAL_PYTHON").map(PathBuf::from),
            virtualenv: path("VIRTUAL_ENV").or_else(|| path("CONDA_PREFIX")),
            path: variable("PATH"),
            usable: Mutex::default(),
        }
    }

    /// The first Python that can run models, of this flavor. `config` is the deployment's own, and `before` the one that it
    /// was made with.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where one was asked for that cannot, `INVALID_STATE` where there is none.
    pub(crate) async fn find(&self, flavor: &str, config: Option<&Path>, before: Option<&Path>) -> Result<Python> {
        let asked = [
            (config, "the config key `python`"),
            (self.option.as_deref(), "the client option `python`"),
            (self.variable.as_deref(), "`MLFLOW_DEPLOY_LOCAL_PYTHON`"),
        ];
        if let Some((given, name)) = asked.into_iter().find_map(|(given, name)| Some((given?, name))) {
            let refused = |why: &str, advice: &str| {
                Error::invalid_parameter(format!(
                    "{name} is `{}`: {why}; expected a Python with MLflow 3, or leave it out{advice}",
                    given.display()
                ))
            };
            let python = self.on_path(given.as_os_str()).ok_or_else(|| refused("there is no such program", ""))?;
            return self.probe(&python).await.map_err(|why| refused(&why, &format!("; {}", install(given))));
        }
        let virtualenv = self.virtualenv.as_ref().map(|folder| folder.join("bin/python"));
        let places = [
            ("the Python that it was deployed with", before.map(Path::to_owned)),
            ("the active virtual environment's", virtualenv),
            ("`python3` of `PATH`", self.on_path(OsStr::new("python3"))),
            ("`python` of `PATH`", self.on_path(OsStr::new("python"))),
        ];
        let mut looked = Vec::new();
        for (name, python) in &places {
            let why = match python {
                Some(python) => match self.probe(python).await {
                    Ok(python) => return Ok(python),
                    Err(why) => format!("`{}`, {why}", python.display()),
                },
                None => "none".to_owned(),
            };
            looked.push(format!("{name} ({why})"));
        }
        let best = places.into_iter().find_map(|(_, python)| python.filter(|python| python.is_file()));
        Err(Error::new(
            ErrorCode::new("INVALID_STATE"),
            format!(
                "the flavor `{flavor}` is run by Python, and none has MLflow's scoring server: looked at the config key `python` (not given), the client option \
                 `python` (not given), `MLFLOW_DEPLOY_LOCAL_PYTHON` (not set), {}; save the model with \
                 the flavor `onnx`, or {}",
                looked.join(", "),
                install(best.as_deref().unwrap_or(Path::new("python3")))
            ),
        ))
    }

    /// A program: a path as it is, made absolute, and a name as the shell would find it.
    fn on_path(&self, program: &OsStr) -> Option<PathBuf> {
        let file = |path: PathBuf| path.is_file().then_some(path);
        if Path::new(program).components().count() > 1 {
            return std::path::absolute(program).ok().and_then(file);
        }
        // The current folder is no place for programs.
        let folders = env::split_paths(self.path.as_ref()?).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(program)).find_map(file)
    }

    /// Asks a Python what it has, once; or says why it is of no use.
    async fn probe(&self, path: &Path) -> Result<Python, String> {
        if let Some(python) = self.usable.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(python.clone());
        }
        match trust::check_code(path) {
            Ok(warnings) => warnings.iter().for_each(call::warn),
            Err(distrust @ Distrust::Untrusted { .. }) => return Err(format!("which is {distrust}")),
            // The start says it better.
            Err(_unreadable) => {}
        }
        let mut process = Probe::start(path).map_err(|error| format!("which does not run: {error}"))?;
        let output = process.0.stdout.take().expect("it was asked for");
        let said = blocking(move || {
            let said = file::read_up_to(output, MAX_ANSWER).map_err(|error| Error::internal(error.to_string()))?;
            Ok(String::from_utf8_lossy(&said).into_owned())
        });
        let waiting = || format!("waiting for the Python `{}`, which has not said yet what it has", path.display());
        let said = match timeout(PATIENCE, warn_if_slow(said, SILENCE, waiting)).await {
            Ok(said) => said.map_err(|error| format!("which cannot be understood: {error}"))?,
            Err(_late) => return Err(format!("which said nothing for {} s", PATIENCE.as_secs())),
        };
        #[derive(Deserialize)]
        struct Answer {
            problem: Option<String>,
            mlflow: Option<String>,
        }
        let answer = said.lines().last().and_then(|line| serde_json::from_str::<Answer>(line).ok());
        let Some(Answer { problem, mlflow }) = answer else { return Err("which is no Python 3".to_owned()) };
        if let Some(problem) = problem {
            return Err(problem);
        }
        let python = Python { path: path.to_owned(), mlflow };
        self.usable.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), python.clone());
        Ok(python)
    }
}

/// How to get what is missing.
fn install(python: &Path) -> String {
    format!("install it with: {} -m pip install {PACKAGE}", python.display())
}

/// A process that does not outlive whoever asks.
struct Probe(Child);

impl Probe {
    fn start(python: &Path) -> io::Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", PROBE]).current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map(Self)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
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

    /// One test: where two threads write programs and run them, each may find the other's still open for writing.
    #[tokio::test]
    async fn the_places_are_looked_at_in_order_and_what_is_no_use_is_named() {
        the_first_wins().await;
        reasons().await;
    }

    async fn the_first_wins() {
        let folder = tempfile::tempdir().unwrap();
        let usable = echo(r#"{"problem": null, "mlflow": "3.17.2"}"#);
        let one = |name: &str| Some(write(folder.path(), name, &usable));
        let venv = folder.path().join("venv");
        std::fs::create_dir_all(venv.join("bin")).unwrap();
        write(&venv, "bin/python", &usable);
        let (config, before) = (one("config"), one("before"));
        write(folder.path(), "python3", &usable);
        let mut pythons = Pythons {
            option: one("option"),
            variable: one("variable"),
            virtualenv: Some(venv.clone()),
            path: Some(folder.path().into()),
            ..Pythons::default()
        };
        let found = async |pythons: &Pythons, config: &Option<PathBuf>, before: &Option<PathBuf>| {
            let python = pythons.find("sklearn", config.as_deref(), before.as_deref()).await.unwrap();
            assert_eq!(python.mlflow(), " 3.17.2");
            python.path().strip_prefix(folder.path()).unwrap().to_owned()
        };
        assert_eq!(found(&pythons, &config, &before).await, Path::new("config"));
        assert_eq!(found(&pythons, &None, &before).await, Path::new("option"));
        pythons.option = None;
        assert_eq!(found(&pythons, &None, &before).await, Path::new("variable"));
        pythons.variable = None;
        assert_eq!(found(&pythons, &None, &before).await, Path::new("before"));
        assert_eq!(found(&pythons, &None, &None).await, Path::new("venv/bin/python"));
        pythons.virtualenv = None;
        assert_eq!(found(&pythons, &None, &None).await, Path::new("python3"));
        assert_eq!(found(&pythons, &Some("python3".into()), &None).await, Path::new("python3"));
    }

    #[test]
    fn an_environment_that_is_relative_belongs_to_this_process_s_folder() {
        let pythons = Pythons::of_process(None, |name| (name == "VIRTUAL_ENV").then(|| "model".into()));
        let here = env::current_dir().unwrap();
        assert_eq!(pythons.virtualenv, Some(here.join("model")));
    }

    async fn reasons() {
        let folder = tempfile::tempdir().unwrap();
        let bare = write(folder.path(), "python3", &echo(r#"{"problem": "it has no mlflow", "mlflow": null}"#));
        write(folder.path(), "python", "#!/bin/sh\nexit 1\n");
        let pythons = Pythons { path: Some(folder.path().into()), ..Pythons::default() };
        let error = pythons.find("sklearn", None, Some(Path::new("/gone/python"))).await.unwrap_err();
        let (bare, other) = (bare.display(), folder.path().join("python"));
        let message = error.message();
        for part in [
            "the flavor `sklearn` is run by Python, and none has",
            "the config key `python` (not given), the client option `python` (not given), `MLFLOW_DEPLOY_LOCAL_PYTHON`",
            "(`/gone/python`, which does not run: ",
            "the active virtual environment's (none), ",
            &format!("`python3` of `PATH` (`{bare}`, it has no mlflow)"),
            &format!("`python` of `PATH` (`{}`, which is no Python 3)", other.display()),
            &format!("install it with: {bare} -m pip install {PACKAGE}"),
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let error = pythons.find("sklearn", Some(Path::new("/nowhere/python")), None).await.unwrap_err();
        let loose = write(folder.path(), "loose", &echo(r#"{"problem": null, "mlflow": "3.17.2"}"#));
        let everybody_s = std::os::unix::fs::PermissionsExt::from_mode(0o757);
        std::fs::set_permissions(&loose, everybody_s).unwrap();
        let refused = pythons.find("sklearn", Some(&loose), None).await.unwrap_err();
        let fix = format!("has mode 757: `chmod o-w {}`", loose.display());
        assert!(refused.message().contains(&fix), "{refused}");
        assert!(
            error.message().starts_with("the config key `python` is `/nowhere/python`: there is no such program; "),
            "{error}"
        );
    }
}
