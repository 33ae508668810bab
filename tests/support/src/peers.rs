//! Real servers for tests and for the demo: the MLflow AI Gateway, the gateway of the MLflow tracking server, and
//! MLflow's scoring server. Each gateway forwards its requests to aimock, which speaks OpenAI's protocol and serves the
//! replies of `tests/peers/aimock.json`.
//!
//! Every server listens on 127.0.0.1 at a port that the kernel chooses. A server stops when its value is dropped, or
//! when this process exits for any reason (`tests/peers/leash.sh` stops it). Therefore many tests can share a server in
//! a static. The log of a server is deleted when the server stops, unless the test failed.
//!
//! The scripts in `tests/peers` run real Python clients against any server.
//!
//! The first start on a machine installs the servers from the network (`tests/peers/install.sh`), which takes about a
//! minute. Later starts use no network.
//!
//! ```
//! use mlflow_deploy_test_support::peers::Aimock;
//!
//! let upstream = Aimock::start();
//! assert!(upstream.url().starts_with("http://127.0.0.1:"));
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The only key that aimock accepts, in the header `Authorization: Bearer` or `api-key`. aimock replies to any other
/// key with 401.
pub const UPSTREAM_KEY: &str = "test-key";

/// The name of the user that a [`TrackingServer`] of [`TrackingServer::start_protected`] accepts.
pub const USER: &str = "admin";

/// The password of the user [`USER`].
pub const PASSWORD: &str = "a-password-for-tests";

const WRONG_UPSTREAM_KEY: &str = "wrong-key";

/// The arguments with which Python starts the server program uvicorn. With `-I`, Python ignores the caller's `PYTHON…`
/// variables, because `PYTHONDONTWRITEBYTECODE` would double the start time.
const UVICORN: [&str; 8] = ["-I", "-u", "-W", "ignore", "-m", "uvicorn", "--host=127.0.0.1", "--port=0"];

/// The time limit for the start of a server. On an idle machine, a server starts within seconds.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// The server aimock, which speaks OpenAI's protocol. The base URL of its API is [`url`](Self::url) followed by `/v1`.
/// It also serves Azure's paths (`/openai/deployments/NAME/…`), and lists the received requests at `/__aimock/journal`.
#[derive(Debug)]
pub struct Aimock {
    server: PeerProcess,
}

impl Aimock {
    /// Starts aimock, which takes about a quarter of a second.
    pub fn start() -> Self {
        let server = PeerProcess::start("aimock", |_| {
            let mut node = leashed("node");
            node.arg(installed("node_modules/@copilotkit/aimock/dist/cli.js"))
                .args(["--port", "0", "--strict", "--validate-on-load", "--fixtures"])
                .arg(source("aimock.json"))
                .env("AIMOCK_API_KEYS", UPSTREAM_KEY);
            node
        });
        Self { server }
    }

    /// Returns the URL of aimock: its scheme, host and port.
    pub fn url(&self) -> &str {
        &self.server.url
    }
}

/// The MLflow AI Gateway, which forwards requests to its own [`Aimock`]. It serves the endpoints of its configuration
/// `tests/peers/gateway.yaml`: `chat`, `embeddings`, `chat-limited` and `chat-locked`.
#[derive(Debug)]
pub struct Gateway {
    server: PeerProcess,
    upstream: Aimock,
}

impl Gateway {
    /// Starts the gateway, which takes about two seconds.
    pub fn start() -> Self {
        let upstream = Aimock::start();
        let server = PeerProcess::start("gateway", |folder| {
            let template = fs::read_to_string(source("gateway.yaml")).expect("the gateway's configuration is readable");
            let config = folder.join("gateway.yaml");
            fs::write(&config, template.replace("UPSTREAM_URL", upstream.url())).expect("the folder is writable");
            // `mlflow gateway start` takes six times as long, and runs uvicorn in the same way in a second process.
            let mut python = python(folder);
            python
                .args(UVICORN)
                .args(["--factory", "mlflow.gateway.app:create_app_from_env"])
                .env("MLFLOW_GATEWAY_CONFIG", config);
            python
        });
        Self { server, upstream }
    }

    /// Returns the URL of the gateway: its scheme, host and port. It is the target URI of the gateway.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Returns the server to which the gateway forwards requests.
    pub fn upstream(&self) -> &Aimock {
        &self.upstream
    }
}

/// The MLflow tracking server. Its gateway forwards requests to its own [`Aimock`]. It serves the endpoints that
/// `tests/peers/endpoints.py` creates: `chat`, `embeddings` and `chat-locked`.
#[derive(Debug)]
pub struct TrackingServer {
    server: PeerProcess,
    upstream: Aimock,
}

impl TrackingServer {
    /// Starts a tracking server without authentication, which takes about five seconds.
    pub fn start() -> Self {
        Self::start_app("tracking", &["mlflow.server.fastapi_app:app"])
    }

    /// Starts a tracking server that requires [`USER`] and [`PASSWORD`] with Basic authentication.
    pub fn start_protected() -> Self {
        Self::start_app("tracking-protected", &["--factory", "mlflow.server.auth:create_app"])
    }

    fn start_app(name: &str, app: &[&str]) -> Self {
        let upstream = Aimock::start();
        let server = PeerProcess::start(name, |folder| {
            for database in ["tracking.db", "basic_auth.db"] {
                fs::copy(installed("databases").join(database), folder.join(database))
                    .expect("the databases are installed and can be copied");
            }
            // `mlflow server` sets these variables for its uvicorn. The server sends the artifacts itself, as by
            // default. An upstream at 127.0.0.1 is allowed. The price catalogue is off, because the server would fetch
            // it from the network before its first reply.
            let database = format!("sqlite:///{}", folder.join("tracking.db").display());
            let mut python = python(folder);
            python
                .args(UVICORN)
                .args(app)
                .env("_MLFLOW_SGI_NAME", "uvicorn")
                .env("_MLFLOW_SERVER_FILE_STORE", &database)
                .env("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
                .env("_MLFLOW_SERVER_ARTIFACT_DESTINATION", folder.join("artifacts"))
                .env("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
                .env("MLFLOW_TRACKING_URI", database)
                .env("MLFLOW_MODEL_CATALOG_URI", "")
                .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "for tests")
                .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
                .env("MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES", "http,https")
                .env("MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS", "true");
            python
        });
        let creation = script("venv", "endpoints.py")
            .args([&server.url, upstream.url()])
            .env("UPSTREAM_KEY", UPSTREAM_KEY)
            .env("WRONG_UPSTREAM_KEY", WRONG_UPSTREAM_KEY)
            .env("USER_PASSWORD", format!("{USER}:{PASSWORD}"))
            .output()
            .expect("python is installed");
        assert!(
            creation.status.success(),
            "failed to create the endpoints of the tracking server:\n{}\n{}",
            String::from_utf8_lossy(&creation.stderr),
            server.log_tail(),
        );
        Self { server, upstream }
    }

    /// Returns the URL of the tracking server: its scheme, host and port. It is also the target URI of the server's
    /// gateway.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Returns the server to which the gateway of the tracking server forwards requests.
    pub fn upstream(&self) -> &Aimock {
        &self.upstream
    }
}

/// MLflow's scoring server, which the command `mlflow models serve` also starts.
#[derive(Debug)]
pub struct ScoringServer {
    server: PeerProcess,
}

impl ScoringServer {
    /// Starts a scoring server for the model in the folder `model`, which takes about five seconds.
    pub fn start(model: &Path) -> Self {
        let server = PeerProcess::start("scoring", |folder| {
            let mut python = python(folder);
            python.args(UVICORN).arg("mlflow.pyfunc.scoring_server.app:app").env("__pyfunc_model_path__", model);
            python
        });
        Self { server }
    }

    /// Returns the URL of the scoring server: its scheme, host and port.
    pub fn url(&self) -> &str {
        &self.server.url
    }
}

/// Runs a script of `tests/peers` with a Python that has the real clients. The script does not inherit the environment
/// of this process. Returns the standard output of the script.
///
/// # Panics
/// Panics with the script's standard error if the script fails.
pub fn run_script(name: &str, arguments: &[&str]) -> Vec<u8> {
    run_script_with("venv", name, arguments)
}

/// Does the same as [`run_script`], but with the Python of the virtual environment `venv`.
fn run_script_with(venv: &str, name: &str, arguments: &[&str]) -> Vec<u8> {
    install();
    let home = tempfile::tempdir().expect("a temporary folder can be created");
    let ran = script(venv, name)
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .output()
        .expect("python is installed");
    assert!(ran.status.success(), "{name} failed:\n{}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}

/// Returns the folder of a Python interpreter that has the real clients and pip.
///
/// # Panics
/// Panics if the installation of the clients fails.
pub fn python_folder() -> PathBuf {
    install();
    installed("venv/bin")
}

/// A running server: its URL, the shell that supervises it, and the folder with its log and files.
#[derive(Debug)]
struct PeerProcess {
    url: String,
    leash: Child,
    folder: TempDir,
}

impl PeerProcess {
    /// Creates a folder for a server, and runs the command that `prepare` returns for this folder. Waits until the
    /// server prints its address.
    fn start(name: &str, prepare: impl FnOnce(&Path) -> Command) -> Self {
        install();
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(installed("logs"))
            .expect("the log folder is writable");
        let log = File::create(folder.path().join("log")).expect("a new folder is writable");
        let leash = prepare(folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn()
            .expect("`sh` is installed");
        let mut server = Self { url: String::new(), leash, folder };
        let deadline = Instant::now() + START_TIMEOUT;
        while server.url.is_empty() {
            let ended = server.leash.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "{name} exited during its start:\n{}", server.log_tail());
            assert!(Instant::now() < deadline, "{name} did not start in {START_TIMEOUT:?}:\n{}", server.log_tail());
            thread::sleep(Duration::from_millis(10));
            server.url = address(&server.log()).unwrap_or_default();
        }
        server
    }

    fn log(&self) -> String {
        fs::read(self.folder.path().join("log")).map_or(String::new(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        format!("{last}\n(full log: {})", self.folder.path().join("log").display())
    }
}

impl Drop for PeerProcess {
    fn drop(&mut self) {
        self.folder.disable_cleanup(thread::panicking());
        // Closing the pipe kills the server. After the wait, the port is free and no process uses the folder.
        drop(self.leash.stdin.take());
        self.leash.wait().expect("a child can be waited for");
    }
}

/// Returns the URL that a server has printed to its log. Returns `None` if the log does not contain the whole URL yet.
/// All servers print "… on http://127.0.0.1:PORT".
fn address(log: &str) -> Option<String> {
    let url = &log[log.find(" on http://127.0.0.1:")? + " on ".len()..];
    let end = url.find(char::is_whitespace)?;
    Some(url[..end].to_owned())
}

/// Returns a command that runs `program` through the script `leash.sh`. When the standard input of the command is
/// closed, the script kills the program and all its children.
fn leashed(program: impl AsRef<Path>) -> Command {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new("sh");
    command.arg(source("leash.sh")).arg(program.as_ref()).process_group(0);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().contains("MLFLOW")) {
        command.env_remove(name);
    }
    command
}

/// Returns a command that runs the servers' Python, with the settings of every MLflow server. `HOME` is the folder of
/// the server, because MLflow reads credentials and stores files there.
fn python(folder: &Path) -> Command {
    python_of("venv", folder)
}

/// Does the same as [`python`], but with the Python of the virtual environment `venv`.
fn python_of(venv: &str, folder: &Path) -> Command {
    let mut python = leashed(installed(venv).join("bin/python"));
    python
        .env("HOME", folder)
        .env("NO_PROXY", "127.0.0.1")
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("UPSTREAM_KEY", UPSTREAM_KEY)
        .env("WRONG_UPSTREAM_KEY", WRONG_UPSTREAM_KEY);
    python
}

/// Returns a command that runs a script of `tests/peers` with the Python of the virtual environment `venv`.
fn script(venv: &str, name: &str) -> Command {
    let mut python = Command::new(installed(venv).join("bin/python"));
    python.args(["-I", "-W", "ignore"]).arg(source(name));
    python
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let script = source("install.sh");
        let output = Command::new("sh").arg(&script).output().expect("`sh` is installed");
        assert!(output.status.success(), "{} failed:\n{}", script.display(), String::from_utf8_lossy(&output.stderr));
    });
}

/// Returns the path of the file `name` in `tests/peers`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers").join(name)
}

fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers").join(name)
}

pub mod presigning;
#[cfg(test)]
mod tests;
