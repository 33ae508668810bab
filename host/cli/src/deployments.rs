//! The verbs for deployments. They print the same messages as `mlflow deployments`.

use mlflow_deploy::args::{CreateDeployment, DeleteDeployment, GetDeployment, ListDeployments, UpdateDeployment};
use mlflow_deploy::{Operation, Payload, Record};
use mlflow_deploy_plugin_api::text::line;

use crate::args::{ClientArguments, Create, Delete, Update};
use crate::context::Context;
use crate::report::CliError;

pub(crate) async fn create(verb: Create, context: &Context) -> Result<(), CliError> {
    let Create { client, name, model_uri, flavor, config, endpoint } = verb;
    let operation = Operation::CreateDeployment.name();
    let (client, config) = context.client_and_config(&client, operation, &config).await?;
    let arguments = CreateDeployment { name: name.clone(), model_uri, flavor, config, endpoint };
    let reply = client.create_deployment(arguments).await?;
    context.report.write_confirmation(&reply, |reply| {
        match (string_member(reply, "flavor"), reported_name(reply, &name)) {
            (Some(flavor), name) => format!("\n{flavor} deployment {name} is created\n"),
            (None, name) => format!("\nDeployment {name} is created\n"),
        }
    })
}

pub(crate) async fn update(verb: Update, context: &Context) -> Result<(), CliError> {
    let Update { client, name, model_uri, flavor, config, endpoint } = verb;
    let operation = Operation::UpdateDeployment.name();
    let (client, config) = context.client_and_config(&client, operation, &config).await?;
    let arguments = UpdateDeployment { name: name.clone(), model_uri, flavor, config, endpoint };
    let reply = client.update_deployment(arguments).await?;
    context.report.write_confirmation(&reply, |reply| match string_member(reply, "flavor") {
        Some(flavor) => format!("Deployment {name} is updated (with flavor {flavor})\n"),
        None => format!("Deployment {name} is updated\n"),
    })
}

pub(crate) async fn delete(verb: Delete, context: &Context) -> Result<(), CliError> {
    let Delete { client, name, config, endpoint } = verb;
    let operation = Operation::DeleteDeployment.name();
    let (client, config) = context.client_and_config(&client, operation, &config).await?;
    let reply = client.delete_deployment(DeleteDeployment { name: name.clone(), config, endpoint }).await?;
    context.report.write_confirmation(&reply, |_| format!("Deployment {name} is deleted\n"))
}

pub(crate) async fn list(
    client: &ClientArguments,
    endpoint: Option<String>,
    context: &Context,
) -> Result<(), CliError> {
    let client = context.client(client).await?;
    context.report.write_list("deployments", &client.list_deployments(ListDeployments { endpoint }).await?)
}

pub(crate) async fn get(client: &ClientArguments, arguments: GetDeployment, context: &Context) -> Result<(), CliError> {
    let client = context.client(client).await?;
    context.report.write_record(&client.get_deployment(arguments).await?)
}

/// Returns the string member `name` of a target's reply, as one line; `None` if the reply has no such string.
fn string_member(reply: &Payload, name: &str) -> Option<String> {
    Some(line(Record::try_from(reply).ok()?.get(name)?.as_str()?).into_owned())
}

/// Returns the name in a target's reply, or `requested` if the reply has no name. A target may change the requested
/// name.
pub(crate) fn reported_name(reply: &Payload, requested: &str) -> String {
    string_member(reply, "name").unwrap_or_else(|| requested.to_owned())
}
