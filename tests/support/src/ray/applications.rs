//! The applications of the fake cluster, and how the dashboard shows them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

/// Answers of Ray 2.60.
pub(super) static RECORDED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("recorded.json")).expect("the recording is JSON"));

/// The applications of a cluster, and the settings of Serve.
#[derive(Debug, Default)]
pub struct Applications {
    settings: Option<Map<String, Value>>,
    all: BTreeMap<String, Application>,
    port: u16,
}

/// An application of the fake.
#[derive(Clone, Debug)]
struct Application {
    /// The config; `None` for an application that a program deployed.
    config: Option<Value>,
    /// The route of an application without a config.
    route: String,
    state: State,
}

/// The state of an application. Each request for the applications advances it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Deleting,
    Deploying,
    /// The import of the program failed.
    FailedImport,
    /// The replicas failed.
    FailedModel,
    Running,
}

impl Applications {
    pub(super) fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Replaces the declarative applications, as a request does.
    ///
    /// # Errors
    /// Ray's text for a config that it refuses.
    pub fn replace(&mut self, body: &Value) -> Result<(), String> {
        let refusal = |name: &str| Err(RECORDED["refusals"][name].as_str().expect("it was recorded").to_owned());
        let entries = body["applications"].as_array().cloned().unwrap_or_default();
        if entries.iter().any(|entry| entry["import_path"].is_null()) {
            return refusal("missing_field");
        }
        let mut routes: Vec<_> = entries.iter().map(|entry| entry["route_prefix"].to_string()).collect();
        routes.sort();
        if routes.windows(2).any(|pair| pair[0] == pair[1]) {
            return refusal("duplicate_route");
        }
        if self.settings.is_none() {
            self.settings = body.as_object().cloned();
        }
        let is_kept = |name: &str| entries.iter().any(|entry| entry["name"] == name);
        for (name, application) in &mut self.all {
            if application.config.is_some() && !is_kept(name) {
                application.state = State::Deleting;
            }
        }
        for entry in entries {
            self.put(entry);
        }
        Ok(())
    }

    /// Deploys one application with this config, in addition to the others.
    pub fn put(&mut self, config: Value) {
        let name = config["name"].as_str().expect("a config has a name").to_owned();
        let route = config["route_prefix"].as_str().unwrap_or("/").to_owned();
        let known = self.all.get(&name);
        let is_same =
            known.is_some_and(|known| known.config.as_ref() == Some(&config) && known.state == State::Running);
        if !is_same {
            self.all.insert(name, Application { config: Some(config), route, state: State::Deploying });
        }
    }

    /// Deploys an application as a Python program does, with `serve.run`.
    pub fn run_program(&mut self, name: &str, route: &str) {
        self.settings.get_or_insert_default();
        let application = Application { config: None, route: route.to_owned(), state: State::Running };
        self.all.insert(name.to_owned(), application);
    }

    /// Removes an application at once.
    pub fn remove(&mut self, name: &str) {
        self.all.remove(name);
    }

    /// Returns the names of the applications that are not being deleted.
    pub fn names(&self) -> Vec<&str> {
        let present = self.all.iter().filter(|(_, each)| each.state != State::Deleting);
        present.map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the config of an application.
    pub fn config(&self, name: &str) -> Option<&Value> {
        self.all.get(name).filter(|each| each.state != State::Deleting)?.config.as_ref()
    }

    /// Returns the name of the running application whose route is a prefix of the path.
    pub(super) fn at(&self, path: &str) -> Option<&str> {
        let running = self.all.iter().filter(|(_, each)| each.state == State::Running);
        let mut routed =
            running.filter(|(_, each)| path.strip_prefix(&each.route).is_some_and(|rest| rest.starts_with('/')));
        routed.next().map(|(name, _)| name.as_str())
    }

    /// Returns the answer to a request for the applications, and advances each of them.
    pub(super) fn answer(&mut self) -> Value {
        let Some(settings) = &self.settings else {
            return json!({"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": null});
        };
        let mut answer = RECORDED["serve"].clone();
        for key in ["proxy_location", "target_capacity"] {
            if let Some(value) = settings.get(key) {
                answer[key] = value.clone();
            }
        }
        answer["http_options"]["port"] = self.port.into();
        for (name, application) in &self.all {
            answer["applications"][name] = application.details(name);
        }
        self.all.retain(|_, application| application.state != State::Deleting);
        for (name, application) in &mut self.all {
            application.advance(name);
        }
        answer
    }
}

impl Application {
    fn advance(&mut self, name: &str) {
        if self.state == State::Deploying {
            self.state = match name {
                name if name.starts_with("bad-model") => State::FailedModel,
                name if name.starts_with("bad-import") => State::FailedImport,
                name if name.starts_with("stuck") => State::Deploying,
                _ => State::Running,
            };
        }
    }

    fn details(&self, name: &str) -> Value {
        let mut details = RECORDED["application"].clone();
        details["name"] = name.into();
        details["route_prefix"] = self.route.as_str().into();
        details["source"] = if self.config.is_some() { "declarative" } else { "imperative" }.into();
        details["deployed_app_config"] = self.config.clone().unwrap_or_default();
        details["status"] = match self.state {
            State::Deleting => "DELETING",
            State::Deploying => "DEPLOYING",
            State::FailedImport | State::FailedModel => "DEPLOY_FAILED",
            State::Running => "RUNNING",
        }
        .into();
        match self.state {
            State::Deleting => details["deployed_app_config"] = Value::Null,
            State::FailedImport => details["message"] = RECORDED["failed_import"]["message"].clone(),
            _ => details["deployments"] = json!({"model": self.deployment(name)}),
        }
        if self.state == State::FailedModel {
            details["message"] = RECORDED["failed_model"]["message"].clone();
        }
        details
    }

    fn deployment(&self, name: &str) -> Value {
        let config = self.config.as_ref().map_or(&Value::Null, |config| &config["deployments"][0]);
        let wanted = config["num_replicas"].as_u64().unwrap_or(1);
        let mut deployment = RECORDED["deployment"].clone();
        deployment["target_num_replicas"] = wanted.into();
        let states: Vec<_> = match self.state {
            State::Running => (0..wanted).map(|_| "RUNNING").collect(),
            State::Deploying => {
                (0..wanted).map(|number| if number == 0 && wanted > 1 { "RUNNING" } else { "STARTING" }).collect()
            }
            _ => Vec::new(),
        };
        let replica = |(number, state): (usize, &&str)| {
            let mut replica = RECORDED["replica"].clone();
            replica["replica_id"] = format!("{name}-{number}").into();
            replica["state"] = (*state).into();
            replica
        };
        deployment["replicas"] = states.iter().enumerate().map(replica).collect();
        match self.state {
            State::Deploying => {
                deployment["status"] = "UPDATING".into();
            }
            State::FailedModel => {
                deployment["status"] = "DEPLOY_FAILED".into();
                deployment["message"] = RECORDED["failed_model"]["deployment_message"].clone();
            }
            _ => {}
        }
        deployment
    }
}
