//! The state of Serve as the dashboard describes it: its settings and its applications. Builds the request that replaces the whole
//! set of applications with one of them changed.

use mlflow_deploy_http::Response;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret};
use serde_json::{Map, Value, json};

use crate::secrets::{secrets, variables};

/// The value that Ray shows instead of an environment variable to programs that look like a browser.
const HIDDEN: &str = "<redacted>";

/// The settings that a request has to repeat, because Ray resets or warns about those that it lacks.
const SETTINGS: [&str; 4] = ["proxy_location", "http_options", "grpc_options", "target_capacity"];

/// The state of Serve on a cluster at one time.
#[derive(Clone, Debug)]
pub(crate) struct Cluster(Value);

/// An application of Serve, as the dashboard describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Application<'a> {
    pub(crate) name: &'a str,
    details: &'a Value,
}

impl Cluster {
    /// Reads the answer of the dashboard.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if it does not describe Serve.
    pub(crate) fn read(response: &Response) -> Result<Self> {
        const EXPECTED: &str = "the applications of Ray Serve";
        let details: Value = response.parse(EXPECTED)?;
        match &details["applications"] {
            Value::Object(_) => Ok(Self(details)),
            // A cluster on which Serve does not run has an empty list.
            Value::Array(list) if list.is_empty() => Ok(Self(json!({"applications": {}}))),
            _ => Err(response.unexpected(EXPECTED, "the object `applications` is missing")),
        }
    }

    /// Returns the applications, by name.
    pub(crate) fn applications(&self) -> impl Iterator<Item = Application<'_>> {
        let all = self.0["applications"].as_object().into_iter().flatten();
        all.map(|(name, details)| Application { name, details })
    }

    /// Returns an application that exists and is not being deleted.
    pub(crate) fn application(&self, name: &str) -> Option<Application<'_>> {
        self.any_application(name).filter(|application| !application.is_deleting())
    }

    /// Returns an application, which may be being deleted.
    pub(crate) fn any_application(&self, name: &str) -> Option<Application<'_>> {
        self.applications().find(|application| application.name == name)
    }

    /// Returns an application that exists.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST`, with the names of the existing applications.
    pub(crate) fn existing(&self, name: &str) -> Result<Application<'_>> {
        self.application(name).ok_or_else(|| {
            let known: Vec<_> = self.applications().map(|each| format!("`{}`", each.name)).collect();
            let known =
                if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
            Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("the cluster has no deployment `{name}`: {known}"))
        })
    }

    /// Returns a setting of Serve, or `null` if Serve does not run.
    pub(crate) fn setting(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// Returns true if Serve runs on the cluster. Its settings cannot change then.
    pub(crate) fn is_serving(&self) -> bool {
        self.0["http_options"].is_object()
    }

    /// Returns the body of the request that replaces all applications: the present ones, with that of `name` replaced
    /// by `entry`, or removed if there is no entry. `start` has the settings with which Serve starts if it does not run.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if the dashboard does not show all of an application, which the request would therefore damage.
    pub(crate) fn with(&self, name: &str, entry: Option<&Value>, start: &Map<String, Value>) -> Result<Value> {
        let mut body = Map::new();
        if self.is_serving() {
            let settings = SETTINGS.iter().filter(|setting| !self.0[**setting].is_null());
            body.extend(settings.map(|setting| ((*setting).to_owned(), self.0[*setting].clone())));
        } else {
            body.extend(start.clone());
        }
        let mut entries = Vec::new();
        for other in self.applications().filter(|other| other.name != name && !other.is_deleting()) {
            match other.config() {
                Some(config) => entries.push(other.complete(config)?),
                None if other.is_imperative() => {}
                None => return Err(other.unseen("no config")),
            }
        }
        entries.extend(entry.cloned());
        body.insert("applications".to_owned(), Value::Array(entries));
        Ok(Value::Object(body))
    }

    /// Returns the secrets in the configs of all applications.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = Secret> {
        self.applications().filter_map(Application::config).flat_map(secrets)
    }
}

impl<'a> Application<'a> {
    /// Returns what the dashboard says about a part of the application.
    pub(crate) fn get(self, key: &str) -> &'a Value {
        &self.details[key]
    }

    /// Returns the status, such as `RUNNING`.
    pub(crate) fn status(self) -> &'a str {
        self.get("status").as_str().unwrap_or("UNKNOWN")
    }

    /// Returns true if the application is being deleted.
    pub(crate) fn is_deleting(self) -> bool {
        self.status() == "DELETING"
    }

    /// Returns true if a program deployed the application with `serve.run`. Such an application has no config, and a
    /// request that names it would replace it.
    pub(crate) fn is_imperative(self) -> bool {
        self.source() != "declarative"
    }

    /// Returns how the application was deployed: `declarative` for a config, `imperative` for a program.
    pub(crate) fn source(self) -> &'a str {
        self.get("source").as_str().unwrap_or("declarative")
    }

    /// Returns the config with which the application was deployed.
    pub(crate) fn config(self) -> Option<&'a Value> {
        Some(self.get("deployed_app_config")).filter(|config| config.is_object() && !self.is_imperative())
    }

    /// Returns the URL path at which the application answers. A new application has it in its config only.
    pub(crate) fn route(self) -> Option<&'a str> {
        self.get("route_prefix").as_str().or_else(|| match self.config()?.get("route_prefix") {
            None => Some("/"),
            Some(route) => route.as_str(),
        })
    }

    /// Returns the deployments of the application, each with its replicas.
    pub(crate) fn deployments(self) -> impl Iterator<Item = &'a Value> {
        self.get("deployments").as_object().into_iter().flat_map(Map::values)
    }

    /// Returns a copy of the application's config, for the request that replaces all applications.
    fn complete(self, config: &Value) -> Result<Value> {
        if variables(config).any(|value| value == HIDDEN) {
            return Err(self.unseen("no values of environment variables"));
        }
        let mut config = config.clone();
        config["name"] = self.name.into();
        Ok(config)
    }

    fn unseen(self, what: &str) -> Error {
        Error::internal(format!(
            "the dashboard shows {what} for the application `{}`, which a change of the applications would damage: nothing \
             was changed; remove `User-Agent`, `Origin` and `Referer` from the option `headers`, and from those that a \
             proxy adds",
            self.name
        ))
    }
}
