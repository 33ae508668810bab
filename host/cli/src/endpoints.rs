//! The verbs for endpoints. They print the same messages as `mlflow deployments`.

use mlflow_deploy::args::{CreateEndpoint, DeleteEndpoint, GetEndpoint, ListEndpoints, UpdateEndpoint};
use mlflow_deploy::{Operation, Secret};

use crate::args::{ClientArguments, ConfigArguments, CreateEndpointArguments, UpdateEndpointArguments};
use crate::context::Context;
use crate::deployments::reported_name;
use crate::report::CliError;

pub(crate) async fn create(verb: CreateEndpointArguments, context: &Context) -> Result<(), CliError> {
    let CreateEndpointArguments { client, endpoint, config, wait } = verb;
    let operation = Operation::CreateEndpoint.name();
    let (client, config) = context.client_and_config(&client, operation, &with_wait(config, wait)).await?;
    let request = CreateEndpoint { name: endpoint.clone().unwrap_or_default(), config };
    // A target may have a key `name` of its own.
    let name = endpoint.map_or_else(|| request.endpoint_name(), Ok)?;
    let reply = client.create_endpoint(request).await?;
    context
        .report
        .write_confirmation(&reply, |reply| format!("\nEndpoint {} is created\n", reported_name(reply, &name)))
}

pub(crate) async fn update(verb: UpdateEndpointArguments, context: &Context) -> Result<(), CliError> {
    let UpdateEndpointArguments { client, endpoint, config, wait } = verb;
    let operation = Operation::UpdateEndpoint.name();
    let (client, config) = context.client_and_config(&client, operation, &with_wait(config, wait)).await?;
    let reply = client.update_endpoint(UpdateEndpoint { endpoint: endpoint.clone(), config }).await?;
    context.report.write_confirmation(&reply, |_| format!("\nEndpoint {endpoint} is updated\n"))
}

pub(crate) async fn delete(client: &ClientArguments, endpoint: String, context: &Context) -> Result<(), CliError> {
    let client = context.client(client).await?;
    let reply = client.delete_endpoint(DeleteEndpoint { endpoint: endpoint.clone() }).await?;
    context.report.write_confirmation(&reply, |_| format!("\nEndpoint {endpoint} is deleted\n"))
}

pub(crate) async fn list(client: &ClientArguments, context: &Context) -> Result<(), CliError> {
    let client = context.client(client).await?;
    context.report.write_list("endpoints", &client.list_endpoints(ListEndpoints {}).await?)
}

pub(crate) async fn get(client: &ClientArguments, endpoint: String, context: &Context) -> Result<(), CliError> {
    let client = context.client(client).await?;
    context.report.write_record(&client.get_endpoint(GetEndpoint { endpoint }).await?)
}

/// Adds `wait:=true` to the config if `--wait` is given.
fn with_wait(mut config: ConfigArguments, wait: bool) -> ConfigArguments {
    config.settings.extend(wait.then(|| Secret::new("wait:=true")));
    config
}
