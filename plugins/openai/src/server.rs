//! The server: its base URL, its dialect and the URLs of its routes.

use mlflow_deploy_http::{Environment, encode_segment, is_loopback, join};
use mlflow_deploy_plugin_api::{Error, Result, TargetUri, call};
use url::Url;

use crate::address::{Address, OPENAI_BASE};
use crate::options::Options;

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
                let address = explicit(target, options)?.unwrap_or_else(|| openai_address(environment));
                return Ok(Self { base: address.openai()?, dialect: Dialect::OpenAi });
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
        let address = explicit(target, options)?.map_or_else(|| azure_address(environment), Ok)?.azure()?;
        let version = if address.is_v1 {
            None
        } else {
            let version = setting(&options.api_version, "OPENAI_API_VERSION");
            Some(version.or(address.version).ok_or_else(|| {
                Error::invalid_parameter(
                    "missing API version for Azure OpenAI: set `api_version` or `OPENAI_API_VERSION`, or use a base \
                     URL that ends in `/openai/v1`",
                )
            })?)
        };
        let deployment = setting(&options.deployment, "OPENAI_DEPLOYMENT_NAME").or(address.deployment);
        Ok(Self { base: address.base, dialect: Dialect::Azure { entra, version, deployment } })
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

/// Returns the address of the target URI or of the options.
fn explicit(target: &TargetUri, options: &Options) -> Result<Option<Address>> {
    let in_target = match target.as_str().split_once(':') {
        None => None,
        Some((_, rest)) => match rest.strip_prefix("//") {
            Some(host) if !host.is_empty() => Some(target_address(host)?),
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
        (None, Some(url)) => Ok(Some(Address::new("`base_url`", url))),
    }
}

/// Returns the address of a target URI. The scheme is `https`, or `http` for this machine, where servers seldom have a
/// certificate and the connection cannot be intercepted. A URL after `openai://` has its own scheme.
fn target_address(host: &str) -> Result<Address> {
    const SETTING: &str = "the server of the target URI";
    if ["http://", "https://"].iter().any(|scheme| host.starts_with(scheme)) {
        return Ok(Address::new(SETTING, host));
    }
    let address = Address::new(SETTING, format!("https://{host}"));
    Ok(if is_loopback(&address.url()?) { Address::new(SETTING, format!("http://{host}")) } else { address })
}

/// Returns the address in the environment. MLflow's variable takes precedence, as in MLflow.
fn openai_address(environment: &Environment<'_>) -> Address {
    let [mlflow, openai] = ["OPENAI_API_BASE", "OPENAI_BASE_URL"].map(|name| environment.text(name));
    if mlflow.is_some() && openai.is_some() && mlflow != openai {
        call::warn("`OPENAI_API_BASE` and `OPENAI_BASE_URL` differ: `OPENAI_API_BASE` is used");
    }
    match (mlflow, openai) {
        (Some(url), _) => Address::new("`OPENAI_API_BASE`", url),
        (None, Some(url)) => Address::new("`OPENAI_BASE_URL`", url),
        (None, None) => Address::new("the default", OPENAI_BASE),
    }
}

fn azure_address(environment: &Environment<'_>) -> Result<Address> {
    let variables = ["OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT"];
    let found = variables.iter().find_map(|name| Some((name, environment.text(name)?)));
    let (name, url) = found.ok_or_else(|| {
        Error::invalid_parameter(
            "missing resource URL for Azure OpenAI, such as `https://NAME.openai.azure.com`: set `base_url`, \
             `OPENAI_API_BASE` or `AZURE_OPENAI_ENDPOINT`",
        )
    })?;
    Ok(Address::new(&format!("`{name}`"), url))
}
