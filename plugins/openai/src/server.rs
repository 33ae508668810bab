//! The server: its base URL, its dialect and the URLs of its routes.

use mlflow_deploy_http::{Environment, encode_segment, is_loopback, join, parse_url};
use mlflow_deploy_plugin_api::{Error, Result, TargetUri, call};
use url::Url;

use crate::options::Options;

/// The base URL of OpenAI.
const OPENAI_BASE: &str = "https://api.openai.com/v1";

/// Azure's routes below a deployment. The other routes do not contain a deployment.
const DEPLOYMENT_ROUTES: [&str; 8] = [
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "chat/completions",
    "completions",
    "embeddings",
    "images/edits",
    "images/generations",
];

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    /// The base URL of the routes, without user, password, query and fragment.
    pub(crate) base: Url,
    pub(crate) dialect: Dialect,
}

/// The routes and the form of credentials of a server.
#[derive(Debug, PartialEq)]
pub(crate) enum Dialect {
    /// Azure OpenAI.
    Azure {
        /// True for Microsoft Entra tokens, false for keys.
        entra: bool,
        /// The version of the API; `None` for Azure's v1 API, which has OpenAI's routes.
        version: Option<String>,
        /// The deployment. By default it has the name of the model.
        deployment: Option<String>,
    },
    /// OpenAI and compatible servers.
    OpenAi,
}

impl Server {
    pub(crate) fn new(target: &TargetUri, options: &Options, environment: &Environment<'_>) -> Result<Self> {
        let setting = |option: &Option<String>, variable: &str| option.clone().or_else(|| environment.text(variable));
        let api_type = setting(&options.api_type, "OPENAI_API_TYPE").map(|text| text.to_lowercase());
        let entra = match api_type.as_deref() {
            None | Some("openai" | "open_ai") => {
                let base = explicit(target, options)?.map_or_else(|| openai_base(environment), Ok)?;
                return Ok(Self { base, dialect: Dialect::OpenAi });
            }
            Some("azure") => false,
            Some("azure_ad" | "azuread") => true,
            Some(other) => {
                return Err(Error::invalid_parameter(format!(
                    "unknown API type `{other}`: expected `openai`, `azure`, `azure_ad` or `azuread` as `api_type` or \
                     `OPENAI_API_TYPE`"
                )));
            }
        };
        let base = explicit(target, options)?.map_or_else(|| azure_base(environment), Ok)?;
        let version = if base.path().trim_end_matches('/').ends_with("/openai/v1") {
            None
        } else {
            let version = setting(&options.api_version, "OPENAI_API_VERSION");
            Some(version.ok_or_else(|| {
                Error::invalid_parameter(
                    "missing API version for Azure OpenAI: set `api_version` or `OPENAI_API_VERSION`, or use a base \
                     URL that ends in `/openai/v1`",
                )
            })?)
        };
        let deployment = setting(&options.deployment, "OPENAI_DEPLOYMENT_NAME");
        Ok(Self { base, dialect: Dialect::Azure { entra, version, deployment } })
    }

    /// Returns true for OpenAI, including its regional hosts.
    pub(crate) fn is_openai(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        host == "api.openai.com" || host.ends_with(".api.openai.com")
    }

    /// Returns the URL of a route, such as `chat/completions`, for a model.
    pub(crate) fn url(&self, route: &str, model: &str) -> Result<Url> {
        let Dialect::Azure { version: Some(version), deployment, .. } = &self.dialect else {
            return Ok(join(&self.base, route));
        };
        let path = if DEPLOYMENT_ROUTES.contains(&route) {
            let deployment = encode_segment(deployment.as_deref().unwrap_or(model))?;
            format!("openai/deployments/{deployment}/{route}")
        } else {
            format!("openai/{route}")
        };
        let mut url = join(&self.base, &path);
        url.query_pairs_mut().append_pair("api-version", version);
        Ok(url)
    }
}

/// Returns the base URL of the target URI or of the options.
fn explicit(target: &TargetUri, options: &Options) -> Result<Option<Url>> {
    let in_target = match target.as_str().split_once(':') {
        None => None,
        Some((_, rest)) => match rest.strip_prefix("//") {
            Some(host) if !host.is_empty() => Some(target_base(host)?),
            _ => {
                return Err(Error::invalid_parameter(
                    "the target URI has no host: expected `openai` or `openai://HOST[:PORT]/PATH`, such as \
                     `openai://localhost:8000/v1`",
                ));
            }
        },
    };
    match (in_target, &options.base_url) {
        (Some(_), Some(_)) => {
            Err(Error::invalid_parameter("conflicting servers in the target URI and in `base_url`: remove one of them"))
        }
        (in_target, None) => Ok(in_target),
        (None, Some(url)) => base("`base_url`", url).map(Some),
    }
}

/// Returns the base URL of a target URI. The scheme is `https`, or `http` for this machine, where servers seldom have a
/// certificate and the connection cannot be intercepted.
fn target_base(host: &str) -> Result<Url> {
    const WHAT: &str = "the server of the target URI";
    let url = base(WHAT, &format!("https://{host}"))?;
    if is_loopback(&url) { base(WHAT, &format!("http://{host}")) } else { Ok(url) }
}

/// Returns the base URL of the environment. MLflow's variable takes precedence, as in MLflow.
fn openai_base(environment: &Environment<'_>) -> Result<Url> {
    let [mlflow, openai] = ["OPENAI_API_BASE", "OPENAI_BASE_URL"].map(|name| environment.text(name));
    if mlflow.is_some() && openai.is_some() && mlflow != openai {
        call::warn("`OPENAI_API_BASE` and `OPENAI_BASE_URL` differ: `OPENAI_API_BASE` is used");
    }
    match (mlflow, openai) {
        (Some(url), _) => base("`OPENAI_API_BASE`", &url),
        (None, Some(url)) => base("`OPENAI_BASE_URL`", &url),
        (None, None) => base("the default", OPENAI_BASE),
    }
}

fn azure_base(environment: &Environment<'_>) -> Result<Url> {
    let variables = ["OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT"];
    let found = variables.iter().find_map(|name| Some((name, environment.text(name)?)));
    let (name, url) = found.ok_or_else(|| {
        Error::invalid_parameter(
            "missing resource URL for Azure OpenAI, such as `https://NAME.openai.azure.com`: set `base_url`, \
             `OPENAI_API_BASE` or `AZURE_OPENAI_ENDPOINT`",
        )
    })?;
    base(&format!("`{name}`"), &url)
}

/// Parses a base URL.
fn base(what: &str, text: &str) -> Result<Url> {
    let invalid = |why: &str| Error::invalid_parameter(format!("{what} {why}"));
    let url = parse_url(what, text, OPENAI_BASE)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(&format!("has the scheme `{}`: expected `https` or `http`", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("contains a user name or password: set `api_key` instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("has a query or a fragment: expected only a host and a path"));
    }
    Ok(url)
}
