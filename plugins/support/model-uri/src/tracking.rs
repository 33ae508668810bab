//! Who is asked where a model is, and how: client options, and MLflow's environment variables below them.

use std::path::{Path, PathBuf};

use mlflow_deploy_http::{Client, Environment, MlflowAuth, MlflowAuthOptions, Policy};
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use serde::Deserialize;
use url::Url;

use crate::ModelUri;
use crate::files::FileStore;
use crate::rest::Server;
use crate::store::Store;
use crate::uri::{Place, shown};

/// What is given to one client. All of it wins over the environment.
///
/// A plugin takes these into its own options with `#[serde(flatten)]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "built with `..TrackingOptions::default()`, so that fields can be added")]
pub struct TrackingOptions {
    /// The URL of the tracking server, which may hold a user and a password; or a folder with MLflow's files. Else
    /// `MLFLOW_TRACKING_URI`, else `./mlruns` where MLflow has begun to write its files there.
    pub tracking_uri: Option<Secret>,
    /// The same for the model registry, where that is another one. Else `MLFLOW_REGISTRY_URI`, else `tracking_uri`.
    pub registry_uri: Option<Secret>,
    /// A user name, for Basic authentication. Else `MLFLOW_TRACKING_USERNAME`.
    pub username: Option<String>,
    /// The user's password. Else `MLFLOW_TRACKING_PASSWORD`.
    pub password: Option<Secret>,
    /// A token, for Bearer authentication. Else `MLFLOW_TRACKING_TOKEN`.
    pub token: Option<Secret>,
    /// A file or folder with certificate authorities (PEM). Else `MLFLOW_TRACKING_SERVER_CERT_PATH`.
    pub ca_cert: Option<PathBuf>,
    /// A file with the client's certificate and its key (PEM). Else `MLFLOW_TRACKING_CLIENT_CERT_PATH`.
    pub client_cert: Option<PathBuf>,
    /// Whether any server is believed to be who it says it is. Else `MLFLOW_TRACKING_INSECURE_TLS`.
    pub insecure: Option<bool>,
    /// How long fetching a model may take altogether, in seconds. There is no limit unless one is given.
    pub timeout: Option<f64>,
    /// How often a request is sent again, at most. Else `MLFLOW_HTTP_REQUEST_MAX_RETRIES`.
    pub max_retries: Option<i64>,
}

/// The way to a tracking server and a model registry. Nothing is asked of either before a model is fetched.
#[derive(Debug)]
pub struct Tracking {
    tracking_uri: Option<Secret>,
    registry_uri: Option<Secret>,
    pub(crate) auth: MlflowAuth,
    pub(crate) http: Client,
    pub(crate) policy: Policy,
}

impl Tracking {
    /// Reads the options, and in the environment what they leave open.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where a value is none or contradicts another. Whether the URIs are of use is seen once
    /// they are used: who fetches a path needs no server.
    pub fn new(options: TrackingOptions, environment: &Environment<'_>) -> Result<Self> {
        const SILENCE: &str = "MLFLOW_HTTP_REQUEST_TIMEOUT";
        let auth = MlflowAuthOptions {
            username: options.username,
            password: options.password,
            token: options.token,
            ca_cert: options.ca_cert,
            client_cert: options.client_cert,
            insecure: options.insecure,
        };
        let auth = MlflowAuth::new(&auth, environment)?;
        let policy = Policy {
            silence: environment.seconds(SILENCE, 120)?,
            advice: format!("raise `timeout` or `{SILENCE}` to wait longer").into(),
            // Nothing but questions is asked.
            repeat_post: true,
            ..environment.policy(options.max_retries)?
        };
        let given = |option: Option<Secret>| option.filter(|uri| !uri.expose().is_empty());
        Ok(Self {
            tracking_uri: given(options.tracking_uri).or_else(|| environment.secret("MLFLOW_TRACKING_URI")),
            registry_uri: given(options.registry_uri).or_else(|| environment.secret("MLFLOW_REGISTRY_URI")),
            http: Client::new(auth.connection().clone()),
            auth,
            policy: policy.within(options.timeout)?,
        })
    }

    /// The tracking store.
    pub(crate) fn store(&self) -> Result<Store> {
        match &self.tracking_uri {
            Some(uri) => self.open(uri, "tracking_uri"),
            // MLflow's default, as long as there is no database.
            None => match FileStore("mlruns".into()) {
                files if files.has_experiments() => Ok(Store::Files(files)),
                _ => Err(unset()),
            },
        }
    }

    /// The model registry.
    pub(crate) fn registry(&self) -> Result<Store> {
        match &self.registry_uri {
            Some(uri) => self.open(uri, "registry_uri"),
            None => self.store(),
        }
    }

    /// Whether it takes a server's word where models are, for runs or for the registry.
    pub(crate) fn asks_a_server(&self) -> bool {
        [self.store(), self.registry()].iter().any(|store| matches!(store, Ok(Store::Server(_))))
    }

    /// The tracking server, which has to be one: artifacts are asked for.
    pub(crate) fn server(&self) -> Result<Server> {
        match self.store()? {
            Store::Server(server) => Ok(server),
            Store::Files(files) => Err(unusable(&files.0.display().to_string(), "tracking_uri")),
        }
    }

    fn open(&self, uri: &Secret, option: &str) -> Result<Store> {
        let uri = uri.expose();
        let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" => {
                // The URI is not repeated: it may hold a password.
                let url = Url::parse(uri)
                    .map_err(|error| Error::invalid_parameter(format!("{} is not a URL: {error}", named(option))))?;
                Ok(Store::Server(Server::new(&url, self.auth.headers(&url)?)))
            }
            _ if uri.starts_with("databricks") => Err(unusable(uri, option)),
            _ => match ModelUri::parse(uri) {
                Ok(ModelUri { place: Place::Folder(path), .. }) => Ok(Store::Files(FileStore(path))),
                _ => Err(unusable(uri, option)),
            },
        }
    }
}

/// The option and the variable that a URI can come from.
fn named(option: &str) -> String {
    format!("`{option}` (or `MLFLOW_{}`)", option.to_ascii_uppercase())
}

fn unset() -> Error {
    let hint = match Path::new("mlflow.db").exists() {
        true => "; start `mlflow server` to have one for `./mlflow.db`",
        false => "",
    };
    Error::invalid_parameter(format!(
        "no tracking server is known: give {} the URL of one, such as `http://localhost:5000`{hint}",
        named("tracking_uri")
    ))
}

fn unusable(uri: &str, option: &str) -> Error {
    let shown = shown(uri);
    let why = if uri.starts_with("databricks") {
        "models are not fetched from Databricks".to_owned()
    } else {
        format!(
            "that is no server, though one can stand before it: start `mlflow server --backend-store-uri {shown}`, and \
             give its URL"
        )
    };
    Error::invalid_parameter(format!("{} is `{shown}`: {why}", named(option)))
}
