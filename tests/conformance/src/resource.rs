//! Creates and deletes deployments and endpoints on the target, as the config describes them.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::{Driver, Request};
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, request};
use crate::marker::Marker;

/// A deployment or an endpoint that the harness created on the target.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) name: String,
    /// The reply to the call that created the deployment or endpoint.
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

impl Resource {
    /// Returns the request with which an operation is called on this resource. Returns `None` for operations that
    /// create a resource.
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

impl Harness {
    /// Creates the deployment that the config describes. Returns `None` if the config does not describe one, or if the
    /// plugin does not have `create_deployment`.
    pub(crate) fn create_deployment(&self, driver: &Driver, client: u64) -> Result<Option<Resource>, Marker> {
        self.create_deployment_in(driver, client, None)
    }

    /// Creates the deployment that the config describes, as [`create_deployment`](Self::create_deployment) does. If
    /// `endpoint` is given, it replaces the endpoint in the config.
    pub(crate) fn create_deployment_in(
        &self,
        driver: &Driver,
        client: u64,
        endpoint: Option<&str>,
    ) -> Result<Option<Resource>, Marker> {
        let name = self.name("deployment");
        let Some(mut head) = self.deployment_head(&name) else { return Ok(None) };
        if let Some(endpoint) = endpoint {
            head["endpoint"] = endpoint.into();
        }
        let Some(answer) = self.create(driver, client, Operation::CreateDeployment, &head)? else { return Ok(None) };
        let update = json!({
            "name": name, "flavor": head["flavor"], "config": head["config"], "endpoint": head["endpoint"],
            "model_uri": self.config().deployment.as_ref().map(|it| it.update_model_uri.as_ref().unwrap_or(&it.model_uri)),
        });
        let endpoint = head["endpoint"].as_str().map(str::to_owned);
        Ok(Some(Resource { name, answer, kind: Kind::Deployment, endpoint, update }))
    }

    /// Returns the arguments of `create_deployment` for a deployment with this name. Returns `None` if the config does
    /// not describe a deployment.
    pub(crate) fn deployment_head(&self, name: &str) -> Option<Value> {
        let it = self.config().deployment.as_ref()?;
        Some(json!({
            "name": name, "model_uri": it.model_uri, "flavor": it.flavor, "config": it.config, "endpoint": it.endpoint,
        }))
    }

    /// Creates the endpoint that the config describes. Returns `None` if the config does not describe one, or if the
    /// plugin does not have `create_endpoint`.
    pub(crate) fn create_endpoint(&self, driver: &Driver, client: u64) -> Result<Option<Resource>, Marker> {
        let name = self.name("endpoint");
        let Some(head) = self.endpoint_head(&name) else { return Ok(None) };
        let Some(answer) = self.create(driver, client, Operation::CreateEndpoint, &head)? else { return Ok(None) };
        let update_config = self.config().endpoint.as_ref().map(|it| it.update_config.clone()).unwrap_or_default();
        let update = json!({"endpoint": name, "config": update_config});
        Ok(Some(Resource { name, answer, kind: Kind::Endpoint, endpoint: None, update }))
    }

    /// Returns the arguments of `create_endpoint` for an endpoint with this name. Returns `None` if the config does not
    /// describe an endpoint.
    pub(crate) fn endpoint_head(&self, name: &str) -> Option<Value> {
        let config = self.config().endpoint.as_ref()?.config.as_ref()?;
        Some(json!({"name": name, "config": config}))
    }

    fn create(
        &self,
        driver: &Driver,
        client: u64,
        operation: Operation,
        head: &Value,
    ) -> Result<Option<Answer>, Marker> {
        if !driver.has(Slot::Operation(operation)) {
            return Ok(None);
        }
        let answer = self.call(driver, Slot::Operation(operation), client, &request(head, ""))?;
        answer.expect_ok()?;
        Ok(Some(answer))
    }

    /// Deletes a deployment or an endpoint that the harness created.
    pub(crate) fn remove(&self, driver: &Driver, client: u64, resource: &Resource) -> Result<(), Marker> {
        let delete = if resource.is_deployment() { Operation::DeleteDeployment } else { Operation::DeleteEndpoint };
        if let (true, Some(request)) = (driver.has(Slot::Operation(delete)), resource.request(delete)) {
            self.call(driver, Slot::Operation(delete), client, &request)?;
        }
        Ok(())
    }
}
