//! The parts of MLflow's REST API that locate models on tracking servers and in model registries.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{Pages, Request, Response, encode_segment, join, redact_url, request, send, without_user};
use mlflow_deploy_plugin_api::{Error, ErrorCode, JSON, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::run::Run;
use crate::session::Session;

/// The path of MLflow's REST API below the URL of a server.
pub(crate) const API: &str = "/api/2.0";

/// A tracking server or model registry with MLflow's REST API.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// The URL of the server, without user and password.
    pub(crate) base: Url,
    /// The headers with the credentials for the server.
    pub(crate) headers: HeaderMap,
}

impl Server {
    /// Creates a server from its URL. Removes a query, a fragment and the path of the API, which users copy from a
    /// browser or an example.
    pub(crate) fn new(url: &Url, headers: HeaderMap) -> Self {
        let mut base = without_user(url);
        base.set_query(None);
        base.set_fragment(None);
        if let Some(prefix) = base.path().find("/api/2.0").map(|end| base.path()[..end].to_owned()) {
            base.set_path(&prefix);
        }
        Self { base, headers }
    }

    pub(crate) async fn run(&self, session: &Session<'_>, run_id: &str) -> Result<Run> {
        #[derive(Deserialize)]
        struct Answer {
            run: Found,
        }
        #[derive(Deserialize)]
        struct Found {
            info: Info,
        }
        #[derive(Deserialize)]
        struct Info {
            artifact_uri: String,
            experiment_id: String,
        }
        let answer: Answer = self.get(session, "runs/get", &[("run_id", run_id)]).await?;
        let Info { artifact_uri, experiment_id } = answer.run.info;
        Ok(Run { run_id: run_id.to_owned(), experiment_id, artifact_uri })
    }

    pub(crate) async fn logged_model(&self, session: &Session<'_>, model_id: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Answer {
            model: LoggedModel,
        }
        let path = format!("logged-models/{}", encode_segment(model_id)?);
        let answer: Answer = self.get(session, &path, &[]).await?;
        Ok(answer.model.info.artifact_uri)
    }

    /// Returns the artifact URI of the model that a run has logged as `name`. Returns `None` if the run has no such
    /// model, or if the server does not support logged models.
    pub(crate) async fn logged_model_of(&self, session: &Session<'_>, run: &Run, name: &str) -> Result<Option<String>> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Page {
            models: Option<Vec<LoggedModel>>,
            next_page_token: Option<String>,
        }
        const SEARCH: &str = "logged-models/search";
        if name.contains('\'') {
            // Such a name is not valid, and the quote would change the filter.
            return Ok(None);
        }
        let mut pages = Pages::new(session.http, &session.policy);
        let mut search = json!({"experiment_ids": [run.experiment_id], "filter": format!("name = '{name}'")});
        loop {
            let answer = pages.ask(&self.post_request(SEARCH, &search)?).await;
            let page: Page = match self.read(SEARCH, answer) {
                Err(error) if error.http_status() == Some(404) => return Ok(None),
                page => page?,
            };
            let is_match = |model: &LoggedModel| model.info.source_run_id.as_ref() == Some(&run.run_id);
            if let Some(model) = page.models.into_iter().flatten().find(is_match) {
                return Ok(Some(model.info.artifact_uri));
            }
            let Some(token) = page.next_page_token.filter(|token| !token.is_empty()) else { return Ok(None) };
            pages.follow("page token", &token)?;
            search["page_token"] = token.into();
        }
    }

    pub(crate) async fn version_of_alias(&self, session: &Session<'_>, name: &str, alias: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Answer {
            model_version: Version,
        }
        let answer = self.get(session, "registered-models/alias", &[("name", name), ("alias", alias)]).await;
        match answer {
            Ok(Answer { model_version }) => Ok(model_version.version),
            // The server reports an unknown alias as an invalid parameter.
            Err(error) if error.http_status() == Some(400) && error.message().ends_with("not found.") => {
                let message =
                    format!("the registered model `{name}` has no alias `{alias}` on `{}`", redact_url(&self.base));
                let http = error.http().cloned().unwrap_or_default();
                Err(Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message).with_http(http).with_cause(&error))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn latest_version(
        &self,
        session: &Session<'_>,
        name: &str,
        stage: Option<&str>,
    ) -> Result<String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            model_versions: Option<Vec<Version>>,
        }
        let stages: Vec<_> = stage.into_iter().collect();
        let body = json!({"name": name, "stages": stages});
        let answer: Answer = self.post(session, "registered-models/get-latest-versions", &body).await?;
        let latest = answer
            .model_versions
            .into_iter()
            .flatten()
            .max_by_key(|version| version.version.parse::<u64>().unwrap_or(0));
        latest.map(|latest| latest.version).ok_or_else(|| {
            let stage = stage.map_or(String::new(), |stage| format!(" in the stage `{stage}`"));
            let message =
                format!("the registered model `{name}` has no version{stage} on `{}`", redact_url(&self.base));
            Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message)
        })
    }

    pub(crate) async fn version(&self, session: &Session<'_>, name: &str, version: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Answer {
            artifact_uri: String,
        }
        let query = [("name", name), ("version", version)];
        let answer: Answer = self.get(session, "model-versions/get-download-uri", &query).await?;
        Ok(answer.artifact_uri)
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        session: &Session<'_>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = request(Method::GET, &url, self.headers.clone(), Vec::new())?;
        self.read(path, send(session.http, &request, &session.policy).await)
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, session: &Session<'_>, path: &str, body: &Value) -> Result<T> {
        self.read(path, send(session.http, &self.post_request(path, body)?, &session.policy).await)
    }

    fn post_request(&self, path: &str, body: &Value) -> Result<Request> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        request(Method::POST, &self.url(path), headers, body.to_string().into_bytes())
    }

    fn url(&self, path: &str) -> Url {
        join(&self.base, &format!("{API}/mlflow/{path}"))
    }

    fn read<T: DeserializeOwned>(&self, path: &str, answer: Result<Response>) -> Result<T> {
        let answer = answer.map_err(|error| {
            if !is_another_server(&error) {
                return error;
            }
            let message = format!(
                "no MLflow tracking server found at `{}`, which has no `{}`: check the URL",
                redact_url(&self.base),
                self.url(path).path()
            );
            let http = error.http().cloned().unwrap_or_default();
            Error::invalid_parameter(message).with_http(http).with_cause(&error)
        })?;
        answer.parse(&format!("the expected JSON at `{}`", redact_url(&self.url(path))))
    }
}

/// The JSON of a logged model, which MLflow 3 introduced.
#[derive(Deserialize)]
struct LoggedModel {
    info: LoggedModelInfo,
}

#[derive(Deserialize)]
struct LoggedModelInfo {
    artifact_uri: String,
    source_run_id: Option<String>,
}

/// The JSON of one version of a registered model.
#[derive(Deserialize)]
struct Version {
    version: String,
}

/// Returns true if an error is a 404 that does not come from MLflow. MLflow sends an error code with a 404.
fn is_another_server(error: &Error) -> bool {
    error.http_status() == Some(404) && !error.details().contains_key("error_code")
}
