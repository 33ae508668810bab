//! Cases that check MLflow's semantics of deployments and endpoints. They create only the resources that the config
//! describes.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::Driver;
use serde_json::{Value, json};

use crate::case::Case;
use crate::harness::{Answer, Harness, request};
use crate::marker::{Marker, ensure};
use crate::resource::Resource;

pub(super) const CASES: &[Case] = &[
    Case::new("semantics-predict", "semantics.predict", "The config's prediction returns a result.", predict),
    Case::new(
        "semantics-deployment-get",
        "semantics.deployment-get",
        "`get_deployment` returns the created deployment.",
        |harness| on_a_deployment(harness, is_returned),
    ),
    Case::new(
        "semantics-deployment-list",
        "semantics.deployment-list",
        "`list_deployments` lists the created deployment.",
        |harness| on_a_deployment(harness, is_listed),
    ),
    Case::new(
        "semantics-deployment-update",
        "semantics.deployment-update",
        "`update_deployment` succeeds for the created deployment.",
        |harness| on_a_deployment(harness, can_be_updated),
    ),
    Case::new(
        "semantics-deployment-predict",
        "semantics.deployment-predict",
        "`predict` succeeds for the created deployment.",
        |harness| on_a_deployment(harness, can_predict),
    ),
    Case::new(
        "semantics-deployment-duplicate",
        "semantics.deployment-duplicate",
        "`create_deployment` with a name in use fails with `RESOURCE_ALREADY_EXISTS`.",
        |harness| on_a_deployment(harness, duplicate),
    ),
    Case::new(
        "semantics-deployment-flavor",
        "semantics.deployment-flavor",
        "`update_deployment` with a flavor and no model URI is an error.",
        |harness| on_a_deployment(harness, flavor_alone),
    ),
    Case::new(
        "semantics-deployment-missing",
        "semantics.deployment-missing",
        "`get_deployment` of a missing deployment fails with `RESOURCE_DOES_NOT_EXIST`.",
        |harness| on_a_deployment(harness, missing),
    ),
    Case::new(
        "semantics-deployment-delete",
        "semantics.deployment-delete",
        "`delete_deployment` removes the deployment.",
        |harness| on_a_deployment(harness, is_deleted),
    ),
    Case::new(
        "semantics-deployment-delete-twice",
        "semantics.deployment-delete-twice",
        "`delete_deployment` of a deleted deployment succeeds.",
        |harness| on_a_deployment(harness, can_be_deleted_twice),
    ),
    Case::new(
        "semantics-deployment-delete-endpoint",
        "semantics.deployment-delete-endpoint",
        "`delete_deployment` of a deleted deployment succeeds with its endpoint, even if that is deleted too.",
        deleted_with_its_endpoint,
    ),
    Case::new(
        "semantics-endpoint-get",
        "semantics.endpoint-get",
        "`get_endpoint` returns the created endpoint.",
        |harness| on_an_endpoint(harness, is_returned),
    ),
    Case::new(
        "semantics-endpoint-list",
        "semantics.endpoint-list",
        "`list_endpoints` lists an existing endpoint.",
        endpoint_listed,
    ),
    Case::new(
        "semantics-endpoint-update",
        "semantics.endpoint-update",
        "`update_endpoint` succeeds for the created endpoint.",
        |harness| on_an_endpoint(harness, can_be_updated),
    ),
    Case::new(
        "semantics-endpoint-duplicate",
        "semantics.endpoint-duplicate",
        "`create_endpoint` with a name in use fails with `RESOURCE_ALREADY_EXISTS`.",
        |harness| on_an_endpoint(harness, duplicate),
    ),
    Case::new(
        "semantics-endpoint-missing",
        "semantics.endpoint-missing",
        "`get_endpoint` of a missing endpoint fails with `RESOURCE_DOES_NOT_EXIST`.",
        endpoint_missing,
    ),
    Case::new(
        "semantics-endpoint-delete",
        "semantics.endpoint-delete",
        "`delete_endpoint` removes the endpoint.",
        |harness| on_an_endpoint(harness, is_deleted),
    ),
    Case::new(
        "semantics-endpoint-delete-twice",
        "semantics.endpoint-delete-twice",
        "`delete_endpoint` of a deleted endpoint succeeds.",
        |harness| on_an_endpoint(harness, can_be_deleted_twice),
    ),
];

/// The operations on one kind of resource: deployments or endpoints.
struct Operations {
    create: Operation,
    update: Operation,
    delete: Operation,
    get: Operation,
    list: Operation,
}

const DEPLOYMENTS: Operations = Operations {
    create: Operation::CreateDeployment,
    update: Operation::UpdateDeployment,
    delete: Operation::DeleteDeployment,
    get: Operation::GetDeployment,
    list: Operation::ListDeployments,
};

const ENDPOINTS: Operations = Operations {
    create: Operation::CreateEndpoint,
    update: Operation::UpdateEndpoint,
    delete: Operation::DeleteEndpoint,
    get: Operation::GetEndpoint,
    list: Operation::ListEndpoints,
};

/// A resource that a case created for its check, with the client that created it.
struct Scenario<'a> {
    harness: &'a Harness,
    driver: Driver,
    client: u64,
    resource: &'a Resource,
    operations: &'static Operations,
}

impl Scenario<'_> {
    /// Calls `operation` on the resource. Returns the reply.
    fn call(&self, operation: Operation) -> Result<Answer, Marker> {
        let request = self.resource.request(operation).ok_or_else(|| Marker::fault("the operation has no request"))?;
        self.call_with(operation, &request)
    }

    fn call_with(
        &self,
        operation: Operation,
        request: &mlflow_deploy_plugin_api::testing::raw::Request,
    ) -> Result<Answer, Marker> {
        let slot = Slot::Operation(operation);
        if !self.driver.has(slot) {
            return Err(Marker::skip(format!("the plugin does not have `{}`", slot.name())));
        }
        self.harness.call(&self.driver, slot, self.client, request)
    }
}

type Check = fn(&Scenario<'_>) -> Result<(), Marker>;

fn on_a_deployment(harness: &Harness, check: Check) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let Some(resource) = harness.create_deployment(&driver, client)? else {
        return Err(unconfigured(&driver, Operation::CreateDeployment, "deployment"));
    };
    let checked = check(&Scenario { harness, driver, client, resource: &resource, operations: &DEPLOYMENTS });
    harness.remove(&driver, client, &resource)?;
    checked
}

fn on_an_endpoint(harness: &Harness, check: Check) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let Some(resource) = harness.create_endpoint(&driver, client)? else {
        return Err(unconfigured(&driver, Operation::CreateEndpoint, "endpoint.config"));
    };
    let checked = check(&Scenario { harness, driver, client, resource: &resource, operations: &ENDPOINTS });
    harness.remove(&driver, client, &resource)?;
    checked
}

/// Returns the outcome of a case that needs the table `table` in the config, if that table is missing:
/// `Marker::Unproven` if the plugin has the operation, and `Marker::Skip` otherwise.
fn unconfigured(driver: &Driver, operation: Operation, table: &str) -> Marker {
    if driver.has(Slot::Operation(operation)) {
        Marker::unproven(format!("the config has no `[{table}]`"))
    } else {
        Marker::skip(format!("the plugin does not have `{}`", operation.name()))
    }
}

fn predict(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let slot = Slot::Operation(Operation::Predict);
    if harness.config().predict.is_none() || !driver.has(slot) {
        return Err(unconfigured(&driver, Operation::Predict, "predict"));
    }
    let answer = harness.call(&driver, slot, client, &harness.sample(Operation::Predict))?;
    answer.expect_ok()?;
    ensure!(!answer.body().is_empty(), "the result is empty");
    Ok(())
}

fn is_returned(scenario: &Scenario<'_>) -> Result<(), Marker> {
    let answer = scenario.call(scenario.operations.get)?;
    answer.expect_ok()?;
    let name = answer.json().map(|record| record["name"].clone());
    let is_other = name.as_ref().and_then(Value::as_str).is_some_and(|name| name != scenario.resource.name);
    ensure!(!is_other, "requested `{}`, but {}", scenario.resource.name, answer.describe());
    Ok(())
}

fn is_listed(scenario: &Scenario<'_>) -> Result<(), Marker> {
    let answer = scenario.call(scenario.operations.list)?;
    answer.expect_ok()?;
    ensure!(
        lists(&answer, &scenario.resource.name),
        "`{}` is not listed: {}",
        scenario.resource.name,
        answer.describe()
    );
    Ok(())
}

fn lists(answer: &Answer, name: &str) -> bool {
    let records = answer.json().and_then(|records| records.as_array().cloned()).unwrap_or_default();
    records.iter().any(|record| record["name"] == name)
}

fn can_be_updated(scenario: &Scenario<'_>) -> Result<(), Marker> {
    scenario.call(scenario.operations.update)?.expect_ok()?;
    match scenario.call(scenario.operations.get) {
        Err(Marker::Skip(_)) => Ok(()),
        answer => answer?.expect_ok(),
    }
}

fn can_predict(scenario: &Scenario<'_>) -> Result<(), Marker> {
    let deployment = scenario.harness.config().deployment.as_ref();
    let Some((inputs, kind)) = deployment.and_then(|it| Some((it.inputs.as_ref()?, it.content_type.as_ref()))) else {
        return Err(unconfigured(&scenario.driver, Operation::Predict, "deployment.inputs"));
    };
    let endpoint = deployment.and_then(|it| it.endpoint.as_ref());
    let kind = kind.map_or(mlflow_deploy_plugin_api::JSON, String::as_str);
    let head = json!({"deployment_name": scenario.resource.name, "endpoint": endpoint, "content_type": kind});
    scenario.call_with(Operation::Predict, &request(&head, inputs.as_str()))?.expect_ok()
}

fn duplicate(scenario: &Scenario<'_>) -> Result<(), Marker> {
    let name = &scenario.resource.name;
    let head = if scenario.resource.is_deployment() {
        scenario.harness.deployment_head(name)
    } else {
        scenario.harness.endpoint_head(name)
    };
    let head = head.ok_or_else(|| Marker::fault("the config does not describe the resource to create"))?;
    has_code(&scenario.call_with(scenario.operations.create, &request(&head, ""))?, "RESOURCE_ALREADY_EXISTS")
}

fn has_code(answer: &Answer, code: &str) -> Result<(), Marker> {
    ensure!(answer.code().as_deref() == Some(code), "expected `{code}`, but {}", answer.describe());
    Ok(())
}

fn flavor_alone(scenario: &Scenario<'_>) -> Result<(), Marker> {
    scenario.call(Operation::UpdateDeployment)?.expect_proof()?;
    let head = json!({"name": scenario.resource.name, "flavor": "python_function"});
    let answer = scenario.call_with(Operation::UpdateDeployment, &request(&head, ""))?;
    ensure!(!answer.is_ok(), "expected an error, but {}", answer.describe());
    Ok(())
}

fn missing(scenario: &Scenario<'_>) -> Result<(), Marker> {
    let head = json!({"name": scenario.harness.name("missing")});
    has_code(&scenario.call_with(Operation::GetDeployment, &request(&head, ""))?, "RESOURCE_DOES_NOT_EXIST")
}

fn is_deleted(scenario: &Scenario<'_>) -> Result<(), Marker> {
    let look_up = || scenario.call(scenario.operations.get).or_else(|_| scenario.call(scenario.operations.list));
    let before = look_up()?;
    scenario.call(scenario.operations.delete)?;
    let after = look_up()?;
    ensure!(
        !after.is_ok() || after.json().is_some_and(|it| it.is_array() && !lists(&after, &scenario.resource.name)),
        "the deleted resource still exists: {}",
        after.describe()
    );
    before.expect_proof()
}

fn can_be_deleted_twice(scenario: &Scenario<'_>) -> Result<(), Marker> {
    scenario.call(scenario.operations.delete)?.expect_proof()?;
    scenario.call(scenario.operations.delete)?.expect_ok()
}

fn deleted_with_its_endpoint(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let Some(endpoint) = harness.create_endpoint(&driver, client)? else {
        return Err(unconfigured(&driver, Operation::CreateEndpoint, "endpoint.config"));
    };
    let checked = deleted_from(harness, &driver, client, &endpoint);
    harness.remove(&driver, client, &endpoint)?;
    checked
}

fn deleted_from(harness: &Harness, driver: &Driver, client: u64, endpoint: &Resource) -> Result<(), Marker> {
    let [delete_deployment, delete_endpoint] =
        [Operation::DeleteDeployment, Operation::DeleteEndpoint].map(Slot::Operation);
    if let Some(missing) = [delete_deployment, delete_endpoint].into_iter().find(|slot| !driver.has(*slot)) {
        return Err(Marker::skip(format!("the plugin does not have `{}`", missing.name())));
    }
    let Some(deployment) = harness.create_deployment_in(driver, client, Some(&endpoint.name))? else {
        return Err(unconfigured(driver, Operation::CreateDeployment, "deployment"));
    };
    let head = json!({"name": deployment.name, "endpoint": endpoint.name});
    let delete = || harness.call(driver, delete_deployment, client, &request(&head, ""));
    delete()?.expect_proof()?;
    delete()?.expect_ok()?;
    let head = json!({"endpoint": endpoint.name});
    harness.call(driver, delete_endpoint, client, &request(&head, ""))?.expect_proof()?;
    delete()?.expect_ok()
}

fn endpoint_listed(harness: &Harness) -> Result<(), Marker> {
    let Some(existing) = harness.existing_endpoint() else { return on_an_endpoint(harness, is_listed) };
    let (driver, client) = harness.client()?;
    let slot = Slot::Operation(Operation::ListEndpoints);
    if !driver.has(slot) {
        return Err(Marker::skip("the plugin does not have `list_endpoints`"));
    }
    let answer = harness.call(&driver, slot, client, &harness.sample(Operation::ListEndpoints))?;
    answer.expect_ok()?;
    ensure!(lists(&answer, &existing), "`{existing}` is not listed: {}", answer.describe());
    Ok(())
}

fn endpoint_missing(harness: &Harness) -> Result<(), Marker> {
    let (driver, client) = harness.client()?;
    let slot = Slot::Operation(Operation::GetEndpoint);
    if harness.config().endpoint.is_none() || !driver.has(slot) {
        return Err(unconfigured(&driver, Operation::GetEndpoint, "endpoint"));
    }
    let head = json!({"endpoint": harness.name("missing")});
    has_code(&harness.call(&driver, slot, client, &request(&head, ""))?, "RESOURCE_DOES_NOT_EXIST")
}
