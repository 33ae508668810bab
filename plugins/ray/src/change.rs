//! Changes one application of a set that other writers change too.
//!
//! Ray replaces the whole set with each request, and the set has no version. For this reason, a change is merged into a
//! fresh answer of the dashboard and sent, and each later poll compares the application with what was sent. If another
//! writer has undone the change, it is merged and sent again. If another writer has changed the same application, the
//! change fails instead of replacing it.

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use serde_json::{Map, Value};

use crate::cluster::{Application, Cluster};
use crate::dashboard::Dashboard;
use crate::failure::Failure;
use crate::json_tree::{contains, same};
use crate::wait::Wait;

/// The maximum number of times that a change is sent.
const MAX_SENDS: usize = 20;

/// A change of one application.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// The name of the application.
    pub(crate) name: &'a str,
    /// The config before the change; `None` if the application did not exist.
    pub(crate) before: Option<&'a Value>,
    /// The config after the change; `None` to delete the application.
    pub(crate) after: Option<&'a Value>,
    /// The reason of a failure before the change, which is not one of the change.
    pub(crate) old_failure: Option<Failure>,
    /// The settings with which Serve starts if it does not run.
    pub(crate) start: &'a Map<String, Value>,
    /// True if the change is complete when the application is ready or gone, false if it is when it was sent and seen.
    pub(crate) waits: bool,
}

/// The state of a change that was sent, as a poll shows it.
enum Poll {
    /// Another writer changed the same application.
    Conflict,
    /// The application is as it was sent.
    Held,
    /// The application is as it was before.
    Undone,
}

/// The progress of a change that Ray has accepted.
enum Progress {
    Done,
    Failed(Failure),
    /// The part that is done, from 0 to 1, and a description.
    Pending(f64, String),
}

impl Change<'_> {
    /// Makes the change and waits for its end. Returns the state of the cluster in which the change is complete.
    ///
    /// # Errors
    /// - `RESOURCE_CONFLICT` or `RESOURCE_ALREADY_EXISTS` if another writer changed the application.
    /// - `DEPLOYMENT_FAILED`, with the traceback as the cause, if Ray cannot run the application.
    /// - `DEADLINE_EXCEEDED` if the wait ends first.
    pub(crate) async fn apply(&self, dashboard: &Dashboard, wait: &Wait) -> Result<Cluster> {
        let mut sends = 0;
        let mut state = "nothing was sent yet".to_owned();
        loop {
            let cluster = match dashboard.cluster().await {
                Err(error) if sends > 0 && error.code() == &ErrorCode::DEADLINE_EXCEEDED => {
                    return Err(wait.stopped(self.name, &state).with_cause(&error));
                }
                cluster => cluster?,
            };
            match self.compare(&cluster) {
                // An application that is equal to the new one was still made by another writer.
                Poll::Held if sends == 0 && self.before.is_none() && self.after.is_some() => {
                    return Err(already_exists(self.name));
                }
                Poll::Conflict => return Err(self.conflict()),
                Poll::Held if sends > 0 => match self.progress(&cluster) {
                    Progress::Done => return Ok(cluster),
                    Progress::Failed(failure) => return Err(self.failed(&failure)),
                    Progress::Pending(done, text) => {
                        call::progress(done, format!("`{}`: {text}", self.name));
                        state = text;
                    }
                },
                Poll::Held | Poll::Undone => {
                    self.check(&cluster)?;
                    if sends == MAX_SENDS {
                        return Err(self.lost());
                    }
                    if sends > 0 {
                        let message = format!("another writer undid the change of `{}`: sending it again", self.name);
                        call::log(Level::Info, message);
                    }
                    sends += 1;
                    state = "the change was sent".to_owned();
                    let body = cluster.with(self.name, self.after, self.start)?;
                    match dashboard.replace(&body).await {
                        Err(error) if error.is_retryable() && sends < MAX_SENDS => {
                            call::log(
                                Level::Info,
                                format!("the cluster did not accept the change: {}", error.message()),
                            );
                        }
                        sent => sent?,
                    }
                }
            }
            wait.pause(self.name, &state).await?;
        }
    }

    fn compare(&self, cluster: &Cluster) -> Poll {
        let current = cluster.application(self.name);
        let config = current.and_then(Application::config);
        match (self.after, config) {
            (None, None) if current.is_none() => Poll::Held,
            (None, _) => Poll::Undone,
            (Some(after), Some(config)) => match self.before {
                Some(before) if same(before, config) && !same(after, config) => Poll::Undone,
                _ if contains(config, after) => Poll::Held,
                _ => Poll::Conflict,
            },
            // Another writer deleted the application that is updated.
            (Some(_), None) if current.is_none() && self.before.is_some() => Poll::Conflict,
            // The application is absent, or a program deployed it, which `check` refuses.
            (Some(_), None) => Poll::Undone,
        }
    }

    /// Fails if the change would harm other applications.
    pub(crate) fn check(&self, cluster: &Cluster) -> Result<()> {
        if let Some(current) = cluster.application(self.name).filter(|current| current.is_imperative()) {
            return Err(imperative(current));
        }
        let Some(route) = self.after.and_then(|after| after["route_prefix"].as_str()) else { return Ok(()) };
        let mut others = cluster.applications().filter(|other| other.name != self.name && !other.is_deleting());
        match others.find(|other| other.route() == Some(route)) {
            None => Ok(()),
            Some(other) => Err(Error::new(
                ErrorCode::new("RESOURCE_CONFLICT"),
                format!(
                    "the route `{route}` is taken by the application `{}`: set `route_prefix` to another one",
                    other.name
                ),
            )),
        }
    }

    fn progress(&self, cluster: &Cluster) -> Progress {
        let Some(application) = cluster.any_application(self.name) else { return Progress::Done };
        if !self.waits {
            return Progress::Done;
        }
        match application.status() {
            "RUNNING" => Progress::Done,
            "DEPLOY_FAILED" => match Failure::of(application) {
                failure if self.old_failure.as_ref() == Some(&failure) => {
                    Progress::Pending(0.0, "the earlier failure is still shown".to_owned())
                }
                failure => Progress::Failed(failure),
            },
            _ => pending(application),
        }
    }

    fn failed(&self, failure: &Failure) -> Error {
        let message = format!("the cluster failed to deploy `{}`: {}", self.name, failure.reason);
        Error::new(ErrorCode::new("DEPLOYMENT_FAILED"), message).with_cause(&failure.traceback)
    }

    fn conflict(&self) -> Error {
        match self.before {
            None => already_exists(self.name),
            Some(_) => Error::new(
                ErrorCode::new("RESOURCE_CONFLICT"),
                format!(
                    "another writer changed `{}` at the same time, and its change was kept: see it with `get`, and try \
                     again",
                    self.name
                ),
            ),
        }
    }

    fn lost(&self) -> Error {
        Error::new(
            ErrorCode::new("RESOURCE_CONFLICT"),
            format!(
                "other writers undid the change of `{}` {MAX_SENDS} times: stop programs that replace all applications, such \
                 as `serve deploy`, and try again",
                self.name
            ),
        )
    }
}

/// Returns the error for a name that is taken.
pub(crate) fn already_exists(name: &str) -> Error {
    Error::new(
        ErrorCode::RESOURCE_ALREADY_EXISTS,
        format!("the deployment `{name}` exists already: use `update`, or choose another name"),
    )
}

/// Returns the error for an application that a program deployed.
pub(crate) fn imperative(application: Application<'_>) -> Error {
    Error::invalid_parameter(format!(
        "a program deployed the application `{}` (its source is `{}`): it is not taken over; change it with that program, \
         or choose another name",
        application.name,
        application.source()
    ))
}

/// Describes how many replicas of an application are up.
fn pending(application: Application<'_>) -> Progress {
    let (mut up, mut wanted) = (0, 0);
    for deployment in application.deployments() {
        let replicas = deployment["replicas"].as_array().into_iter().flatten();
        up += replicas.filter(|replica| replica["state"] == "RUNNING").count() as u64;
        wanted += deployment["target_num_replicas"].as_u64().unwrap_or_default();
    }
    #[expect(clippy::cast_precision_loss, reason = "an application has a handful of replicas")]
    let done = up.min(wanted) as f64 / wanted.max(1) as f64;
    let mut text = format!("{}, {up} of {wanted} replicas up", application.status());
    if let Some(note) = Failure::note(application) {
        text.push_str("; ");
        text.push_str(&note);
    }
    // The fraction stays below 1, because the application as a whole is not ready.
    Progress::Pending(done.min(0.99), text)
}
