//! The verbs about endpoints, in MLflow's words.

use mlflow_deploy::args::{CreateEndpoint, DeleteEndpoint, GetEndpoint, ListEndpoints, UpdateEndpoint};
use mlflow_deploy::{Operation, Secret};

use crate::args::{Client, ConfigArguments, Endpoint};
use crate::context::Context;
use crate::deployments::named;
use crate::report::CliError;

pub(crate) async fn create(verb: Endpoint, session: &Context) -> Result<(), CliError> {
    let Endpoint { client, endpoint: name, config, wait } = verb;
    let operation = Operation::CreateEndpoint.name();
    let (client, config) = session.client_and_config(&client, operation, &waiting(config, wait)).await?;
    let answer = client.create_endpoint(CreateEndpoint { name: name.clone(), config }).await?;
    session.report.done(&answer, |answer| format!("\nEndpoint {} is created\n", named(answer, &name)))
}

pub(crate) async fn update(verb: Endpoint, session: &Context) -> Result<(), CliError> {
    let Endpoint { client, endpoint, config, wait } = verb;
    let operation = Operation::UpdateEndpoint.name();
    let (client, config) = session.client_and_config(&client, operation, &waiting(config, wait)).await?;
    let answer = client.update_endpoint(UpdateEndpoint { endpoint: endpoint.clone(), config }).await?;
    session.report.done(&answer, |_| format!("\nEndpoint {endpoint} is updated\n"))
}

pub(crate) async fn delete(client: &Client, endpoint: String, session: &Context) -> Result<(), CliError> {
    let client = session.client(client).await?;
    let answer = client.delete_endpoint(DeleteEndpoint { endpoint: endpoint.clone() }).await?;
    session.report.done(&answer, |_| format!("\nEndpoint {endpoint} is deleted\n"))
}

pub(crate) async fn list(client: &Client, session: &Context) -> Result<(), CliError> {
    let client = session.client(client).await?;
    session.report.list("endpoints", &client.list_endpoints(ListEndpoints {}).await?)
}

pub(crate) async fn get(client: &Client, endpoint: String, session: &Context) -> Result<(), CliError> {
    let client = session.client(client).await?;
    session.report.record(&client.get_endpoint(GetEndpoint { endpoint }).await?)
}

/// The flag `--wait` is a setting like any other.
fn waiting(mut config: ConfigArguments, wait: bool) -> ConfigArguments {
    config.settings.extend(wait.then(|| Secret::new("wait:=true")));
    config
}
