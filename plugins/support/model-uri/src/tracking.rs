//! The tracking server and the model registry of a client, as its options and MLflow's environment variables set them.

use std::path::{Path, PathBuf};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mlflow_deploy_http::{Client, Credentials, Environment, MlflowAuth, MlflowAuthOptions, Policy, parse_url};
use mlflow_deploy_object_store::Stores;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use serde::Deserialize;
use url::Url;

use crate::ModelUri;
use crate::files::FileStore;
use crate::limits::ModelLimits;
use crate::rest::Server;
use crate::store::Store;
use crate::unity_catalog::UnityCatalog;
use crate::uri::{UriKind, redact_uri};

/// The options of a client for tracking servers, which override the environment variables.
///
/// A plugin includes them in its own options with `#[serde(flatten)]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "built with `..TrackingOptions::default()`, so that fields can be added")]
pub struct TrackingOptions {
    /// The URL of the tracking server, or a folder in which MLflow stores runs and models as files. The URL may contain
    /// a user and a password. The default is `MLFLOW_TRACKING_URI`, or else `./mlruns` if it contains MLflow's files.
    pub tracking_uri: Option<Secret>,
    /// The URL or the folder of the model registry. The default is `MLFLOW_REGISTRY_URI`, or else `tracking_uri`.
    pub registry_uri: Option<Secret>,
    /// A user name, for Basic authentication. The default is `MLFLOW_TRACKING_USERNAME`.
    pub username: Option<String>,
    /// The user's password. The default is `MLFLOW_TRACKING_PASSWORD`.
    pub password: Option<Secret>,
    /// A token, for Bearer authentication. The default is `MLFLOW_TRACKING_TOKEN`.
    pub token: Option<Secret>,
    /// A file or folder with certificate authorities (PEM). The default is `MLFLOW_TRACKING_SERVER_CERT_PATH`.
    pub ca_cert: Option<PathBuf>,
    /// A file with the client's certificate and its key (PEM). The default is `MLFLOW_TRACKING_CLIENT_CERT_PATH`.
    pub client_cert: Option<PathBuf>,
    /// True if server certificates are accepted without a check. The default is `MLFLOW_TRACKING_INSECURE_TLS`.
    pub insecure: Option<bool>,
    /// The maximum time to fetch a model, in seconds. The time is not limited by default.
    pub timeout: Option<f64>,
    /// The maximum number of retries of a request. The default is `MLFLOW_HTTP_REQUEST_MAX_RETRIES`.
    pub max_retries: Option<i64>,
    /// The maximum number of files in a model. The default is 100,000.
    pub max_model_files: Option<u64>,
    /// The maximum size of a model in bytes. The size is not limited by default, except by the free space.
    pub max_model_bytes: Option<u64>,
}

/// A client of a tracking server and a model registry. It sends no request before a model is fetched.
#[derive(Debug)]
pub struct Tracking {
    tracking_uri: Option<Secret>,
    registry_uri: Option<Secret>,
    pub(crate) auth: MlflowAuth,
    pub(crate) http: Client,
    pub(crate) storage: Client,
    pub(crate) policy: Policy,
    pub(crate) stores: Stores,
    databricks_host: Option<String>,
    databricks_token: Option<Secret>,
    pub(crate) limits: ModelLimits,
}

impl Tracking {
    /// Creates a client from its options. The environment variables are the defaults of the options.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a value is invalid or contradicts another. The URIs are checked on first use,
    /// because a local model requires no server.
    pub fn new(options: TrackingOptions, environment: &Environment<'_>) -> Result<Self> {
        const SILENCE: &str = "MLFLOW_HTTP_REQUEST_TIMEOUT";
        const IGNORE_TLS: &str = "MLFLOW_S3_IGNORE_TLS";
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
            // A POST may be repeated, because every POST only reads.
            repeat_post: true,
            ..environment.policy(options.max_retries)?
        };
        // As in MLflow's client, the storage gets neither the client certificate nor the trust in the tracking server.
        let names = [IGNORE_TLS, "REQUESTS_CA_BUNDLE"];
        let storage = environment.connection(environment.flag(IGNORE_TLS, false)?, None, names)?;
        let non_empty = |option: Option<Secret>| option.filter(|uri| !uri.expose().is_empty());
        Ok(Self {
            tracking_uri: non_empty(options.tracking_uri).or_else(|| environment.secret("MLFLOW_TRACKING_URI")),
            registry_uri: non_empty(options.registry_uri).or_else(|| environment.secret("MLFLOW_REGISTRY_URI")),
            http: Client::new(auth.connection().clone()),
            storage: Client::new(storage),
            auth,
            policy: policy.within(options.timeout)?,
            stores: Stores::new(environment),
            databricks_host: environment.text("DATABRICKS_HOST"),
            databricks_token: environment.secret("DATABRICKS_TOKEN"),
            limits: ModelLimits::new(options.max_model_files, options.max_model_bytes),
        })
    }

    /// Returns the tracking store, which is a server or a folder.
    pub(crate) fn store(&self) -> Result<Store> {
        match &self.tracking_uri {
            Some(uri) => self.open(uri, "tracking_uri"),
            // MLflow's default without a database.
            None => match FileStore("mlruns".into()) {
                files if files.has_experiments() => Ok(Store::Files(files)),
                _ => Err(no_server()),
            },
        }
    }

    /// Returns the model registry, which is a server or a folder.
    pub(crate) fn registry(&self) -> Result<Store> {
        match &self.registry_uri {
            Some(uri) => self.open(uri, "registry_uri"),
            None if self.tracking_uri.as_ref().is_some_and(|uri| uri.expose() == "databricks") => {
                Ok(Store::Catalog(UnityCatalog(self.databricks()?)))
            }
            None => self.store(),
        }
    }

    /// Returns true if the tracking store or the model registry is a server.
    pub(crate) fn uses_server(&self) -> bool {
        [self.store(), self.registry()].iter().any(|store| matches!(store, Ok(Store::Server(_))))
    }

    /// Returns the tracking server, from which artifacts are downloaded. Fails if the tracking store is a folder.
    pub(crate) fn server(&self) -> Result<Server> {
        match self.store()? {
            Store::Server(server) | Store::Catalog(UnityCatalog(server)) => Ok(server),
            Store::Files(files) => Err(unusable(&files.0.display().to_string(), "tracking_uri")),
        }
    }

    /// Returns the workspace of Databricks that the environment names.
    pub(crate) fn databricks(&self) -> Result<Server> {
        let (Some(host), Some(token)) = (&self.databricks_host, &self.databricks_token) else {
            let message = "no workspace of Databricks given: set `DATABRICKS_HOST` and `DATABRICKS_TOKEN`";
            return Err(Error::invalid_parameter(message));
        };
        let text = if host.contains("://") { host.clone() } else { format!("https://{host}") };
        let url = parse_url("`DATABRICKS_HOST`", &text, "https://dbc-0123.cloud.databricks.com")?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, Credentials::Bearer(token.clone()).header()?)]);
        Ok(Server::new(&url, headers))
    }

    fn open(&self, uri: &Secret, option: &str) -> Result<Store> {
        let uri = uri.expose();
        let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" => {
                // The error omits the URI, which may contain a password.
                let url = Url::parse(uri)
                    .map_err(|error| Error::invalid_parameter(format!("{} is not a URL: {error}", describe(option))))?;
                Ok(Store::Server(Server::new(&url, self.auth.headers(&url)?)))
            }
            _ if uri == "databricks" => Ok(Store::Server(self.databricks()?)),
            _ if uri == "databricks-uc" => Ok(Store::Catalog(UnityCatalog(self.databricks()?))),
            _ if uri.starts_with("databricks") => Err(unusable(uri, option)),
            _ if is_server_without_scheme(uri) => Err(Error::invalid_parameter(format!(
                "{} is `{uri}`, which has no scheme: for a server, set `http://{uri}`",
                describe(option)
            ))),
            _ => match ModelUri::parse(uri) {
                Ok(ModelUri { kind: UriKind::Folder(path), .. }) => Ok(Store::Files(FileStore(path))),
                _ => Err(unusable(uri, option)),
            },
        }
    }
}

/// Returns true if a text is the address of a server without a scheme, such as `localhost:5000` or
/// `mlflow.example.com`, and not the path of a folder. Returns false for an address with a user, which causes another
/// error without the password.
fn is_server_without_scheme(uri: &str) -> bool {
    let authority = uri.split('/').next().unwrap_or_default();
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_host = host.starts_with(|first: char| first.is_ascii_alphanumeric())
        && host.chars().all(|each| each.is_ascii_alphanumeric() || "-.".contains(each));
    let has_port = port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let has_domain = host.rsplit_once('.').is_some_and(|(_, last)| last.chars().all(|each| each.is_ascii_alphabetic()));
    is_host && (has_port || port.is_none() && (has_domain || host == "localhost")) && !Path::new(uri).exists()
}

/// Returns the names of an option and of its environment variable, for a message.
fn describe(option: &str) -> String {
    format!("`{option}` (or `MLFLOW_{}`)", option.to_ascii_uppercase())
}

fn no_server() -> Error {
    let hint = match Path::new("mlflow.db").exists() {
        true => "; `mlflow server` starts one for `./mlflow.db`",
        false => "",
    };
    Error::invalid_parameter(format!(
        "no tracking server given: set {} to a URL such as `http://localhost:5000`{hint}",
        describe("tracking_uri")
    ))
}

fn unusable(uri: &str, option: &str) -> Error {
    let shown = redact_uri(uri);
    let reason = if uri.starts_with("databricks") {
        "profiles are not supported: use `databricks` or `databricks-uc`, and set `DATABRICKS_HOST` and `DATABRICKS_TOKEN`".to_owned()
    } else {
        format!("not the URL of a server: start `mlflow server --backend-store-uri {shown}` and set its URL")
    };
    Error::invalid_parameter(format!("{} is `{shown}`: {reason}", describe(option)))
}
