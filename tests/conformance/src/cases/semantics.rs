//! What MLflow promises of deployments and endpoints, as far as the config lets some be made.

use mlflow_deploy_plugin_api::Operation;
use mlflow_deploy_plugin_api::ffi::Slot;
use mlflow_deploy_plugin_api::testing::raw::Driver;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, request};
use crate::case::Case;
use crate::mark::{Mark, ensure};
use crate::semantics::Made;

pub(super) const CASES: &[Case] = &[
    Case::new("semantics-predict", "semantics.predict", "The config's prediction works, and has a result.", predict),
    Case::new("semantics-deployment-get", "semantics.deployment-get", "What was deployed can be got.", |bench| {
        on_a_deployment(bench, got)
    }),
    Case::new("semantics-deployment-list", "semantics.deployment-list", "What was deployed is listed.", |bench| {
        on_a_deployment(bench, listed)
    }),
    Case::new(
        "semantics-deployment-update",
        "semantics.deployment-update",
        "What was deployed can be updated.",
        |bench| on_a_deployment(bench, updated),
    ),
    Case::new("semantics-deployment-predict", "semantics.deployment-predict", "What was deployed predicts.", |bench| {
        on_a_deployment(bench, predicts)
    }),
    Case::new(
        "semantics-deployment-duplicate",
        "semantics.deployment-duplicate",
        "A name that is taken is `RESOURCE_ALREADY_EXISTS`.",
        |bench| on_a_deployment(bench, duplicate),
    ),
    Case::new(
        "semantics-deployment-flavor",
        "semantics.deployment-flavor",
        "An update with a flavor and no model URI is refused.",
        |bench| on_a_deployment(bench, flavor_alone),
    ),
    Case::new(
        "semantics-deployment-missing",
        "semantics.deployment-missing",
        "A deployment that is not there is `RESOURCE_DOES_NOT_EXIST`.",
        |bench| on_a_deployment(bench, missing),
    ),
    Case::new("semantics-deployment-delete", "semantics.deployment-delete", "What was deleted is gone.", |bench| {
        on_a_deployment(bench, deleted)
    }),
    Case::new(
        "semantics-deployment-delete-twice",
        "semantics.deployment-delete-twice",
        "Deleting a deployment that is gone is no error.",
        |bench| on_a_deployment(bench, deleted_twice),
    ),
    Case::new("semantics-endpoint-get", "semantics.endpoint-get", "An endpoint that was made can be got.", |bench| {
        on_an_endpoint(bench, got)
    }),
    Case::new(
        "semantics-endpoint-list",
        "semantics.endpoint-list",
        "An endpoint that is there is listed.",
        endpoint_listed,
    ),
    Case::new("semantics-endpoint-update", "semantics.endpoint-update", "An endpoint can be updated.", |bench| {
        on_an_endpoint(bench, updated)
    }),
    Case::new(
        "semantics-endpoint-duplicate",
        "semantics.endpoint-duplicate",
        "A name that is taken is `RESOURCE_ALREADY_EXISTS`, also for an endpoint.",
        |bench| on_an_endpoint(bench, duplicate),
    ),
    Case::new(
        "semantics-endpoint-missing",
        "semantics.endpoint-missing",
        "An endpoint that is not there is `RESOURCE_DOES_NOT_EXIST`.",
        endpoint_missing,
    ),
    Case::new(
        "semantics-endpoint-delete",
        "semantics.endpoint-delete",
        "An endpoint that was deleted is gone.",
        |bench| on_an_endpoint(bench, deleted),
    ),
    Case::new(
        "semantics-endpoint-delete-twice",
        "semantics.endpoint-delete-twice",
        "Deleting an endpoint that is gone is no error.",
        |bench| on_an_endpoint(bench, deleted_twice),
    ),
];

/// The operations on a kind of thing.
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

/// Something that was made, and where.
struct Scene<'a> {
    bench: &'a Bench,
    driver: Driver,
    client: u64,
    made: &'a Made,
    operations: &'static Operations,
}

impl Scene<'_> {
    /// Asks an operation on what was made.
    fn ask(&self, operation: Operation) -> Result<Answer, Mark> {
        let request = self.made.request(operation).ok_or_else(|| Mark::fault("nothing to ask"))?;
        self.ask_with(operation, &request)
    }

    fn ask_with(
        &self,
        operation: Operation,
        request: &mlflow_deploy_plugin_api::testing::raw::Request,
    ) -> Result<Answer, Mark> {
        let slot = Slot::Operation(operation);
        if !self.driver.has(slot) {
            return Err(Mark::skip(format!("the plugin does not have `{}`", slot.name())));
        }
        self.bench.ask(&self.driver, slot, self.client, request)
    }
}

type Check = fn(&Scene<'_>) -> Result<(), Mark>;

fn on_a_deployment(bench: &Bench, check: Check) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let Some(made) = bench.deploy(&driver, client)? else {
        return Err(Mark::skip("there is no `deployment` in the config, or no way to make one"));
    };
    let checked = check(&Scene { bench, driver, client, made: &made, operations: &DEPLOYMENTS });
    bench.unmake(&driver, client, &made)?;
    checked
}

fn on_an_endpoint(bench: &Bench, check: Check) -> Result<(), Mark> {
    let (driver, client) = bench.client()?;
    let Some(made) = bench.provide(&driver, client)? else {
        return Err(Mark::skip("there is no `endpoint.config` in the config, or no way to make one"));
    };
    let checked = check(&Scene { bench, driver, client, made: &made, operations: &ENDPOINTS });
    bench.unmake(&driver, client, &made)?;
    checked
}

fn predict(bench: &Bench) -> Result<(), Mark> {
    if bench.config().predict.is_none() {
        return Err(Mark::skip("there is no `predict` in the config"));
    }
    let (driver, client) = bench.client()?;
    let slot = Slot::Operation(Operation::Predict);
    if !driver.has(slot) {
        return Err(Mark::skip("the plugin does not have `predict`"));
    }
    let answer = bench.ask(&driver, slot, client, &bench.sample(Operation::Predict))?;
    answer.must_be_ok()?;
    ensure!(!answer.body().is_empty(), "the result is empty");
    Ok(())
}

fn got(scene: &Scene<'_>) -> Result<(), Mark> {
    let answer = scene.ask(scene.operations.get)?;
    answer.must_be_ok()?;
    let name = answer.json().map(|record| record["name"].clone());
    let is_other = name.as_ref().and_then(Value::as_str).is_some_and(|name| name != scene.made.name);
    ensure!(!is_other, "asked for `{}`, and {}", scene.made.name, answer.said());
    Ok(())
}

fn listed(scene: &Scene<'_>) -> Result<(), Mark> {
    let answer = scene.ask(scene.operations.list)?;
    answer.must_be_ok()?;
    ensure!(lists(&answer, &scene.made.name), "`{}` is not listed: {}", scene.made.name, answer.said());
    Ok(())
}

fn lists(answer: &Answer, name: &str) -> bool {
    let records = answer.json().and_then(|records| records.as_array().cloned()).unwrap_or_default();
    records.iter().any(|record| record["name"] == name)
}

fn updated(scene: &Scene<'_>) -> Result<(), Mark> {
    scene.ask(scene.operations.update)?.must_be_ok()?;
    match scene.ask(scene.operations.get) {
        Err(Mark::Skip(_)) => Ok(()),
        answer => answer?.must_be_ok(),
    }
}

fn predicts(scene: &Scene<'_>) -> Result<(), Mark> {
    let deployment = scene.bench.config().deployment.as_ref();
    let Some((inputs, kind)) = deployment.and_then(|it| Some((it.inputs.as_ref()?, it.content_type.as_ref()))) else {
        return Err(Mark::skip("there are no `deployment.inputs` in the config"));
    };
    let endpoint = deployment.and_then(|it| it.endpoint.as_ref());
    let kind = kind.map_or(mlflow_deploy_plugin_api::JSON, String::as_str);
    let head = json!({"deployment_name": scene.made.name, "endpoint": endpoint, "content_type": kind});
    scene.ask_with(Operation::Predict, &request(&head, inputs.as_str()))?.must_be_ok()
}

fn duplicate(scene: &Scene<'_>) -> Result<(), Mark> {
    let name = &scene.made.name;
    let head =
        if scene.made.is_deployment() { scene.bench.deployment_head(name) } else { scene.bench.endpoint_head(name) };
    let head = head.ok_or_else(|| Mark::fault("what was made cannot be made again"))?;
    has_code(&scene.ask_with(scene.operations.create, &request(&head, ""))?, "RESOURCE_ALREADY_EXISTS")
}

fn has_code(answer: &Answer, code: &str) -> Result<(), Mark> {
    ensure!(answer.code().as_deref() == Some(code), "expected `{code}`, but {}", answer.said());
    Ok(())
}

fn flavor_alone(scene: &Scene<'_>) -> Result<(), Mark> {
    let head = json!({"name": scene.made.name, "flavor": "python_function"});
    let answer = scene.ask_with(Operation::UpdateDeployment, &request(&head, ""))?;
    ensure!(!answer.is_ok(), "expected an error, but {}", answer.said());
    Ok(())
}

fn missing(scene: &Scene<'_>) -> Result<(), Mark> {
    let head = json!({"name": scene.bench.name("missing")});
    has_code(&scene.ask_with(Operation::GetDeployment, &request(&head, ""))?, "RESOURCE_DOES_NOT_EXIST")
}

fn deleted(scene: &Scene<'_>) -> Result<(), Mark> {
    scene.ask(scene.operations.delete)?;
    let gone = scene.ask(scene.operations.get).or_else(|_| scene.ask(scene.operations.list))?;
    ensure!(
        !gone.is_ok() || gone.json().is_some_and(|it| it.is_array() && !lists(&gone, &scene.made.name)),
        "it is still there: {}",
        gone.said()
    );
    Ok(())
}

fn deleted_twice(scene: &Scene<'_>) -> Result<(), Mark> {
    scene.ask(scene.operations.delete)?;
    scene.ask(scene.operations.delete)?.must_be_ok()
}

fn endpoint_listed(bench: &Bench) -> Result<(), Mark> {
    let Some(existing) = bench.existing_endpoint() else { return on_an_endpoint(bench, listed) };
    let (driver, client) = bench.client()?;
    let slot = Slot::Operation(Operation::ListEndpoints);
    if !driver.has(slot) {
        return Err(Mark::skip("the plugin does not have `list_endpoints`"));
    }
    let answer = bench.ask(&driver, slot, client, &bench.sample(Operation::ListEndpoints))?;
    answer.must_be_ok()?;
    ensure!(lists(&answer, &existing), "`{existing}` is not listed: {}", answer.said());
    Ok(())
}

fn endpoint_missing(bench: &Bench) -> Result<(), Mark> {
    if bench.config().endpoint.is_none() {
        return Err(Mark::skip("there is no `endpoint` in the config"));
    }
    let (driver, client) = bench.client()?;
    let slot = Slot::Operation(Operation::GetEndpoint);
    if !driver.has(slot) {
        return Err(Mark::skip("the plugin does not have `get_endpoint`"));
    }
    let head = json!({"endpoint": bench.name("missing")});
    has_code(&bench.ask(&driver, slot, client, &request(&head, ""))?, "RESOURCE_DOES_NOT_EXIST")
}
