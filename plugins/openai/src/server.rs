//! The server that receives the requests: its base URL, its kind, and the URLs of its routes.

use mlflow_deploy_http::{Environment, encode_segment, is_loopback, join};
use mlflow_deploy_plugin_api::{Error, Result, TargetUri, call};
use url::Url;

use crate::address::{Address, OPENAI_BASE};
use crate::options::Options;

/// The routes of Azure OpenAI whose paths contain the name of a deployment. Other routes do not contain it.
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

/// A server with the API of OpenAI or Azure OpenAI.
#[derive(Debug)]
pub(crate) struct Server {
    /// The URL that precedes every route, without user, password, query and fragment.
    pub(crate) base: Url,
    pub(crate) dialect: Dialect,
}

/// The kind of server, which determines the routes and the header for the credentials.
#[derive(Debug, PartialEq)]
pub(crate) enum Dialect {
    /// A server of Azure OpenAI.
    Azure {
        /// True if the credentials are a Microsoft Entra token, false if they are an API key.
        entra: bool,
        /// The API version in the query of each request. `None` for Azure's v1 API, which has the same routes as
        /// OpenAI.
        version: Option<String>,
        /// The name of the Azure deployment. `None` if the deployment has the same name as the model.
        deployment: Option<String>,
    },
    /// OpenAI's own server, or a server with the same API.
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

    /// Returns true if the server belongs to OpenAI. This includes OpenAI's regional hosts.
    pub(crate) fn is_openai(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        host == "api.openai.com" || host.ends_with(".api.openai.com")
    }

    /// Returns the URL of a route, such as `chat/completions`. For Azure OpenAI, the URL may contain the deployment of
    /// `model`.
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

/// Returns the address in the target URI or in the option `base_url`. Returns `None` if neither has an address, and
/// fails if both have one.
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

/// Returns the address in a target URI `openai://HOST`. Uses `http` for a host on this machine and `https` for all
/// other hosts. Servers on this machine seldom have a certificate, and other machines cannot intercept the connection.
/// If a URL with its own scheme follows `openai://`, uses that scheme.
fn target_address(host: &str) -> Result<Address> {
    const SETTING: &str = "the server of the target URI";
    if ["http://", "https://"].iter().any(|scheme| host.starts_with(scheme)) {
        return Ok(Address::new(SETTING, host));
    }
    let address = Address::new(SETTING, format!("https://{host}"));
    Ok(if is_loopback(&address.url()?) { Address::new(SETTING, format!("http://{host}")) } else { address })
}

/// Returns the address in the environment, or OpenAI's address if no variable is set. As in MLflow, `OPENAI_API_BASE`
/// takes precedence over `OPENAI_BASE_URL`.
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
