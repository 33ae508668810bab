//! Real servers for tests and for the demo: the MLflow AI Gateway, the gateway inside the MLflow tracking server,
//! and behind either of them aimock, which speaks OpenAI's protocol and answers from `tests/peers/aimock.json`.
//!
//! Every server listens on 127.0.0.1 at a port the kernel chose and lives as long as its value here, or as long as
//! this process when that ends first, in whatever way it ends (`tests/peers/leash.sh`). So a server may also be
//! shared by many tests in a static. The log of a server is deleted with it unless its test failed.
//!
//! Real clients, in Python, run as scripts of `tests/peers` against whatever server a test gives them.
//!
//! Nothing here goes out to the network but the first start on a machine, which installs the servers
//! (`tests/peers/install.sh`); run that script beforehand where a minute more matters.
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

/// The only key that aimock takes, as `Authorization: Bearer` or `api-key`; any other is answered with 401.
pub const UPSTREAM_KEY: &str = "test-key";

/// Who may use a [`TrackingServer`] that was started with [`TrackingServer::start_protected`].
pub const USER: &str = "admin";

/// The password of [`USER`].
pub const PASSWORD: &str = "a-password-for-tests";

const WRONG_UPSTREAM_KEY: &str = "wrong-key";

/// Isolated from the caller's PYTHON variables, of which PYTHONDONTWRITEBYTECODE would double every start.
const UVICORN: [&str; 8] = ["-I", "-u", "-W", "ignore", "-m", "uvicorn", "--host=127.0.0.1", "--port=0"];

/// A start takes seconds; this is for a machine that compiles three other things meanwhile.
const PATIENCE: Duration = Duration::from_secs(180);

/// aimock, a server that speaks OpenAI's protocol. The base of its API is [`url`](Self::url) and `/v1`; Azure's
/// paths (`/openai/deployments/NAME/…`) are there too, and what it received stands under `/__aimock/journal`.
#[derive(Debug)]
pub struct Aimock {
    server: Server,
}

impl Aimock {
    /// Starts aimock, in about a quarter of a second.
    pub fn start() -> Self {
        let server = Server::start("aimock", |_| {
            let mut node = leashed("node");
            node.arg(installed("node_modules/@copilotkit/aimock/dist/cli.js"))
                .args(["--port", "0", "--strict", "--validate-on-load", "--fixtures"])
                .arg(source("aimock.json"))
                .env("AIMOCK_API_KEYS", UPSTREAM_KEY);
            node
        });
        Self { server }
    }

    /// Scheme, host and port.
    pub fn url(&self) -> &str {
        &self.server.url
    }
}

/// The MLflow AI Gateway that is configured by a file, in front of an [`Aimock`] of its own. It serves the
/// endpoints of `tests/peers/gateway.yaml`: `chat`, `embeddings`, `chat-limited` and `chat-locked`.
#[derive(Debug)]
pub struct Gateway {
    server: Server,
    upstream: Aimock,
}

impl Gateway {
    /// Starts the gateway, in about two seconds.
    pub fn start() -> Self {
        let upstream = Aimock::start();
        let server = Server::start("gateway", |folder| {
            let template = fs::read_to_string(source("gateway.yaml")).expect("the gateway's configuration is readable");
            let config = folder.join("gateway.yaml");
            fs::write(&config, template.replace("UPSTREAM_URL", upstream.url())).expect("the folder is writable");
            // Not `mlflow gateway start`: that takes six times as long, to start another process that does this.
            let mut python = python(folder);
            python
                .args(UVICORN)
                .args(["--factory", "mlflow.gateway.app:create_app_from_env"])
                .env("MLFLOW_GATEWAY_CONFIG", config);
            python
        });
        Self { server, upstream }
    }

    /// Scheme, host and port: the target URI of the gateway.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// The server behind the gateway.
    pub fn upstream(&self) -> &Aimock {
        &self.upstream
    }
}

/// The MLflow tracking server, whose own gateway stands in front of an [`Aimock`] of its own and serves the
/// endpoints that `tests/peers/endpoints.py` creates: `chat`, `embeddings` and `chat-locked`.
#[derive(Debug)]
pub struct TrackingServer {
    server: Server,
    upstream: Aimock,
}

impl TrackingServer {
    /// Starts a server that is open to everybody, in about five seconds.
    pub fn start() -> Self {
        Self::start_app("tracking", &["mlflow.server.fastapi_app:app"])
    }

    /// Starts a server that wants [`USER`] and [`PASSWORD`] as Basic authentication.
    pub fn start_protected() -> Self {
        Self::start_app("tracking-protected", &["--factory", "mlflow.server.auth:create_app"])
    }

    fn start_app(name: &str, app: &[&str]) -> Self {
        let upstream = Aimock::start();
        let server = Server::start(name, |folder| {
            for database in ["tracking.db", "basic_auth.db"] {
                fs::copy(installed("databases").join(database), folder.join(database))
                    .expect("the databases are installed and can be copied");
            }
            // What `mlflow server` sets for the uvicorn that it starts, with artifacts that it hands out itself, which
            // is its default; leave to reach an upstream at 127.0.0.1, and no catalogue of prices: the server would
            // look for one on the network before it answers its first call.
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
        let creation = script("endpoints.py")
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
            server.last_words(),
        );
        Self { server, upstream }
    }

    /// Scheme, host and port: the target URI of the gateway.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// The server behind the gateway.
    pub fn upstream(&self) -> &Aimock {
        &self.upstream
    }
}

/// MLflow's scoring server, as `mlflow models serve` starts it.
#[derive(Debug)]
pub struct ScoringServer {
    server: Server,
}

impl ScoringServer {
    /// Serves a model, in about five seconds.
    pub fn start(model: &Path) -> Self {
        let server = Server::start("scoring", |folder| {
            let mut python = python(folder);
            python.args(UVICORN).arg("mlflow.pyfunc.scoring_server.app:app").env("__pyfunc_model_path__", model);
            python
        });
        Self { server }
    }

    /// Scheme, host and port.
    pub fn url(&self) -> &str {
        &self.server.url
    }
}

/// Runs a script of `tests/peers` with the real Python clients, and without this process's environment; gives what it
/// wrote.
///
/// # Panics
/// Where it fails, with what it said.
pub fn run_script(name: &str, arguments: &[&str]) -> Vec<u8> {
    install();
    let home = tempfile::tempdir().expect("a new folder can be made");
    let ran = script(name)
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .output()
        .expect("python is installed");
    assert!(ran.status.success(), "{name} failed:\n{}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}

/// The folder of the Python that has the real clients, and pip.
///
/// # Panics
/// Where it cannot be installed.
pub fn python_folder() -> PathBuf {
    install();
    installed("venv/bin")
}

/// A running server: the process that holds its leash, and the folder it keeps its log and its files in.
#[derive(Debug)]
struct Server {
    url: String,
    leash: Child,
    folder: TempDir,
}

impl Server {
    /// Runs the command that `prepare` makes, in a new folder that it may put files into, until it says its address.
    fn start(name: &str, prepare: impl FnOnce(&Path) -> Command) -> Self {
        install();
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(installed("logs"))
            .expect("the folder of the logs is writable");
        let log = File::create(folder.path().join("log")).expect("a new folder is writable");
        let leash = prepare(folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn()
            .expect("there is a shell");
        let mut server = Self { url: String::new(), leash, folder };
        let deadline = Instant::now() + PATIENCE;
        while server.url.is_empty() {
            let ended = server.leash.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "{name} ended instead of starting:\n{}", server.last_words());
            assert!(Instant::now() < deadline, "{name} did not start in {PATIENCE:?}:\n{}", server.last_words());
            thread::sleep(Duration::from_millis(10));
            server.url = address(&server.log()).unwrap_or_default();
        }
        server
    }

    fn log(&self) -> String {
        fs::read(self.folder.path().join("log")).map_or(String::new(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        format!("{last}\n(all of it: {})", self.folder.path().join("log").display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.folder.disable_cleanup(thread::panicking());
        // Closing the pipe is what kills; waiting is for the port to be free and the folder to be left alone.
        drop(self.leash.stdin.take());
        self.leash.wait().expect("a child can be waited for");
    }
}

/// Both kinds of servers say "… on http://127.0.0.1:PORT" once they listen; the line may not be written in full yet.
fn address(log: &str) -> Option<String> {
    let url = &log[log.find(" on http://127.0.0.1:")? + " on ".len()..];
    let end = url.find(char::is_whitespace)?;
    Some(url[..end].to_owned())
}

/// A command that is killed, with all it started, when its standard input ends.
fn leashed(program: impl AsRef<Path>) -> Command {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new("sh");
    command.arg(source("leash.sh")).arg(program.as_ref()).process_group(0);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().contains("MLFLOW")) {
        command.env_remove(name);
    }
    command
}

/// The servers' Python, with what every MLflow server is told. Its home is the server's folder: MLflow reads
/// credentials from the home folder and keeps files there.
fn python(folder: &Path) -> Command {
    let mut python = leashed(installed("venv/bin/python"));
    python
        .env("HOME", folder)
        .env("NO_PROXY", "127.0.0.1")
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("UPSTREAM_KEY", UPSTREAM_KEY)
        .env("WRONG_UPSTREAM_KEY", WRONG_UPSTREAM_KEY);
    python
}

/// A script of `tests/peers`, to be run by the servers' Python.
fn script(name: &str) -> Command {
    let mut python = Command::new(installed("venv/bin/python"));
    python.args(["-I", "-W", "ignore"]).arg(source(name));
    python
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let script = source("install.sh");
        let output = Command::new("sh").arg(&script).output().expect("there is a shell");
        assert!(output.status.success(), "{} failed:\n{}", script.display(), String::from_utf8_lossy(&output.stderr));
    });
}

/// A file of `tests/peers`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers").join(name)
}

fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers").join(name)
}

#[cfg(test)]
mod tests;
