//! Which server is asked, in whose dialect, and the URL of each of its routes. All URLs have one base.

use mlflow_deploy_http::{Environment, encode_segment, is_loopback, join, parse_url};
use mlflow_deploy_plugin_api::{Error, Result, TargetUri, call};
use url::Url;

use crate::config::Options;

/// Where OpenAI itself answers.
const OPENAI: &str = "https://api.openai.com/v1";

/// The routes that Azure has below a deployment. The others it has beside its deployments.
const DEPLOYED: [&str; 8] = [
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
    /// What stands before every route: without user, password, query and fragment.
    pub(crate) base: Url,
    pub(crate) dialect: Dialect,
}

/// Whose routes and credentials a server has.
#[derive(Debug, PartialEq)]
pub(crate) enum Dialect {
    /// Azure's.
    Azure {
        /// Whether credentials are tokens of Entra's and not keys.
        entra: bool,
        /// None where the base is that of Azure's versionless API, whose routes are OpenAI's.
        version: Option<String>,
        /// The deployment to ask. Where none is given, it is called like the model.
        deployment: Option<String>,
    },
    /// OpenAI's, which most servers have.
    OpenAi,
}

impl Server {
    pub(crate) fn new(target: &TargetUri, options: &Options, environment: &Environment<'_>) -> Result<Self> {
        let given = |option: &Option<String>, variable: &str| option.clone().or_else(|| environment.text(variable));
        let api_type = given(&options.api_type, "OPENAI_API_TYPE").map(|text| text.to_lowercase());
        let entra = match api_type.as_deref() {
            None | Some("openai" | "open_ai") => {
                let base = explicit(target, options)?.map_or_else(|| openai_base(environment), Ok)?;
                return Ok(Self { base, dialect: Dialect::OpenAi });
            }
            Some("azure") => false,
            Some("azure_ad" | "azuread") => true,
            Some(other) => {
                return Err(Error::invalid_parameter(format!(
                    "the API type is `{other}`: expected `openai`, `azure`, `azure_ad` or `azuread`, as `api_type` or \
                     `OPENAI_API_TYPE`"
                )));
            }
        };
        let base = explicit(target, options)?.map_or_else(|| azure_base(environment), Ok)?;
        let version = if base.path().trim_end_matches('/').ends_with("/openai/v1") {
            None
        } else {
            let version = given(&options.api_version, "OPENAI_API_VERSION");
            Some(version.ok_or_else(|| {
                Error::invalid_parameter(
                    "Azure OpenAI needs the version of its API: give `api_version` or `OPENAI_API_VERSION`, or a base \
                     that ends in `/openai/v1`",
                )
            })?)
        };
        let deployment = given(&options.deployment, "OPENAI_DEPLOYMENT_NAME");
        Ok(Self { base, dialect: Dialect::Azure { entra, version, deployment } })
    }

    /// Whether it is OpenAI's own, also where its data stays in one region.
    pub(crate) fn is_openai(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        host == "api.openai.com" || host.ends_with(".api.openai.com")
    }

    /// The URL of a route, such as `chat/completions`, for a model.
    pub(crate) fn url(&self, route: &str, model: &str) -> Result<Url> {
        let Dialect::Azure { version: Some(version), deployment, .. } = &self.dialect else {
            return Ok(join(&self.base, route));
        };
        let path = if DEPLOYED.contains(&route) {
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

/// The base that this client alone is given: in the target URI, or as an option.
fn explicit(target: &TargetUri, options: &Options) -> Result<Option<Url>> {
    let named = match target.as_str().split_once(':') {
        None => None,
        Some((_, rest)) => match rest.strip_prefix("//") {
            Some(host) if !host.is_empty() => Some(named(host)?),
            _ => {
                return Err(Error::invalid_parameter(
                    "the target URI names no server: expected `openai`, or `openai://HOST[:PORT]/PATH` such as \
                     `openai://localhost:8000/v1`",
                ));
            }
        },
    };
    match (named, &options.base_url) {
        (Some(_), Some(_)) => Err(Error::invalid_parameter(
            "the target URI names a server, and so does `base_url`: leave one of them out",
        )),
        (named, None) => Ok(named),
        (None, Some(url)) => base("`base_url`", url).map(Some),
    }
}

/// `https`, unless the host is this machine: servers on it seldom have a certificate, and nobody else listens.
fn named(host: &str) -> Result<Url> {
    const WHAT: &str = "the server of the target URI";
    let url = base(WHAT, &format!("https://{host}"))?;
    if is_loopback(&url) { base(WHAT, &format!("http://{host}")) } else { Ok(url) }
}

/// MLflow's variable comes before that of the Python package `openai`, as in MLflow.
fn openai_base(environment: &Environment<'_>) -> Result<Url> {
    let [mlflow, openai] = ["OPENAI_API_BASE", "OPENAI_BASE_URL"].map(|name| environment.text(name));
    if mlflow.is_some() && openai.is_some() && mlflow != openai {
        call::warn("`OPENAI_API_BASE` and `OPENAI_BASE_URL` differ: the first of them counts");
    }
    match (mlflow, openai) {
        (Some(url), _) => base("`OPENAI_API_BASE`", &url),
        (None, Some(url)) => base("`OPENAI_BASE_URL`", &url),
        (None, None) => base("the default", OPENAI),
    }
}

fn azure_base(environment: &Environment<'_>) -> Result<Url> {
    let variables = ["OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT"];
    let found = variables.iter().find_map(|name| Some((name, environment.text(name)?)));
    let (name, url) = found.ok_or_else(|| {
        Error::invalid_parameter(
            "Azure OpenAI needs the resource's address, such as `https://NAME.openai.azure.com`: give `base_url`, \
             `OPENAI_API_BASE` or `AZURE_OPENAI_ENDPOINT`",
        )
    })?;
    base(&format!("`{name}`"), &url)
}

/// Reads a base.
fn base(what: &str, text: &str) -> Result<Url> {
    let wrong = |why: &str| Error::invalid_parameter(format!("{what} {why}"));
    let url = parse_url(what, text, OPENAI)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(&format!("begins with `{}`: expected `https` or `http`", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a user or a password in it: give `api_key` in their place"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or a fragment: only a path can follow the host"));
    }
    Ok(url)
}
