//! Things that the config lets the harness make: deployments and endpoints with names of its own.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, request};
use crate::mark::Mark;

/// A deployment or an endpoint that the harness has made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    /// What its making was answered with.
    pub(crate) answer: Answer,
    kind: Kind,
    endpoint: Option<String>,
    update: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Deployment,
    Endpoint,
}

impl Made {
    /// An operation on it; `None` for the one that made it.
    pub(crate) fn request(&self, operation: Operation) -> Option<Request> {
        let head = match operation {
            Operation::CreateDeployment | Operation::CreateEndpoint => return None,
            Operation::UpdateDeployment | Operation::UpdateEndpoint => self.update.clone(),
            Operation::DeleteDeployment | Operation::GetDeployment => {
                json!({"name": self.name, "endpoint": self.endpoint})
            }
            Operation::ListDeployments => json!({"endpoint": self.endpoint}),
            Operation::DeleteEndpoint | Operation::GetEndpoint => json!({"endpoint": self.name}),
            _ => json!({}),
        };
        Some(request(&head, ""))
    }

    pub(crate) fn is_deployment(&self) -> bool {
        self.kind == Kind::Deployment
    }
}

impl Bench {
    /// Deploys what the config tells of; `None` where it does not, or the plugin cannot.
    pub(crate) fn deploy(&self, driver: &Driver, client: u64) -> Result<Option<Made>, Mark> {
        let name = self.name("deployment");
        let Some(head) = self.deployment_head(&name) else { return Ok(None) };
        let Some(answer) = self.make(driver, client, Operation::CreateDeployment, &head)? else { return Ok(None) };
        let update = json!({
            "name": name, "flavor": head["flavor"], "config": head["config"], "endpoint": head["endpoint"],
            "model_uri": self.config().deployment.as_ref().map(|it| it.update_model_uri.as_ref().unwrap_or(&it.model_uri)),
        });
        let endpoint = head["endpoint"].as_str().map(str::to_owned);
        Ok(Some(Made { name, answer, kind: Kind::Deployment, endpoint, update }))
    }

    /// The arguments that deploy under a name.
    pub(crate) fn deployment_head(&self, name: &str) -> Option<Value> {
        let it = self.config().deployment.as_ref()?;
        Some(json!({
            "name": name, "model_uri": it.model_uri, "flavor": it.flavor, "config": it.config, "endpoint": it.endpoint,
        }))
    }

    /// Makes an endpoint as the config tells; `None` where it does not, or the plugin cannot.
    pub(crate) fn provide(&self, driver: &Driver, client: u64) -> Result<Option<Made>, Mark> {
        let name = self.name("endpoint");
        let Some(head) = self.endpoint_head(&name) else { return Ok(None) };
        let Some(answer) = self.make(driver, client, Operation::CreateEndpoint, &head)? else { return Ok(None) };
        let update_config = self.config().endpoint.as_ref().map(|it| it.update_config.clone()).unwrap_or_default();
        let update = json!({"endpoint": name, "config": update_config});
        Ok(Some(Made { name, answer, kind: Kind::Endpoint, endpoint: None, update }))
    }

    /// The arguments that make an endpoint of a name.
    pub(crate) fn endpoint_head(&self, name: &str) -> Option<Value> {
        let config = self.config().endpoint.as_ref()?.config.as_ref()?;
        Some(json!({"name": name, "config": config}))
    }

    fn make(&self, driver: &Driver, client: u64, by: Operation, head: &Value) -> Result<Option<Answer>, Mark> {
        if !driver.has(Slot::Operation(by)) {
            return Ok(None);
        }
        let answer = self.ask(driver, Slot::Operation(by), client, &request(head, ""))?;
        answer.must_be_ok()?;
        Ok(Some(answer))
    }

    /// Removes what was made.
    pub(crate) fn unmake(&self, driver: &Driver, client: u64, made: &Made) -> Result<(), Mark> {
        let by = if made.is_deployment() { Operation::DeleteDeployment } else { Operation::DeleteEndpoint };
        if let (true, Some(request)) = (driver.has(Slot::Operation(by)), made.request(by)) {
            self.ask(driver, Slot::Operation(by), client, &request)?;
        }
        Ok(())
    }
}
