//! The verbs about deployments, in MLflow's words.

use mlflow_deploy::args::{CreateDeployment, DeleteDeployment, GetDeployment, ListDeployments, UpdateDeployment};
use mlflow_deploy::{Operation, Payload, Record};
use mlflow_deploy_plugin_api::text::line;

use crate::args::{Client, Create, Delete, Update};
use crate::context::Context;
use crate::report::CliError;

pub(crate) async fn create(verb: Create, session: &Context) -> Result<(), CliError> {
    let Create { client, name, model_uri, flavor, config, endpoint } = verb;
    let operation = Operation::CreateDeployment.name();
    let (client, config) = session.client_and_config(&client, operation, &config).await?;
    let asked = CreateDeployment { name: name.clone(), model_uri, flavor, config, endpoint };
    let answer = client.create_deployment(asked).await?;
    session.report.done(&answer, |answer| match (member(answer, "flavor"), named(answer, &name)) {
        (Some(flavor), name) => format!("\n{flavor} deployment {name} is created\n"),
        (None, name) => format!("\nDeployment {name} is created\n"),
    })
}

pub(crate) async fn update(verb: Update, session: &Context) -> Result<(), CliError> {
    let Update { client, name, model_uri, flavor, config, endpoint } = verb;
    let operation = Operation::UpdateDeployment.name();
    let (client, config) = session.client_and_config(&client, operation, &config).await?;
    let asked = UpdateDeployment { name: name.clone(), model_uri, flavor, config, endpoint };
    let answer = client.update_deployment(asked).await?;
    session.report.done(&answer, |answer| match member(answer, "flavor") {
        Some(flavor) => format!("Deployment {name} is updated (with flavor {flavor})\n"),
        None => format!("Deployment {name} is updated\n"),
    })
}

pub(crate) async fn delete(verb: Delete, session: &Context) -> Result<(), CliError> {
    let Delete { client, name, config, endpoint } = verb;
    let operation = Operation::DeleteDeployment.name();
    let (client, config) = session.client_and_config(&client, operation, &config).await?;
    let answer = client.delete_deployment(DeleteDeployment { name: name.clone(), config, endpoint }).await?;
    session.report.done(&answer, |_| format!("Deployment {name} is deleted\n"))
}

pub(crate) async fn list(client: &Client, endpoint: Option<String>, session: &Context) -> Result<(), CliError> {
    let client = session.client(client).await?;
    session.report.list("deployments", &client.list_deployments(ListDeployments { endpoint }).await?)
}

pub(crate) async fn get(client: &Client, asked: GetDeployment, session: &Context) -> Result<(), CliError> {
    let client = session.client(client).await?;
    session.report.record(&client.get_deployment(asked).await?)
}

/// A member of the answer that is text, as one line.
fn member(answer: &Payload, name: &str) -> Option<String> {
    Some(line(Record::try_from(answer).ok()?.get(name)?.as_str()?).into_owned())
}

/// The name that the answer gives, which is the one that was asked for unless the target changed it.
pub(crate) fn named(answer: &Payload, asked: &str) -> String {
    member(answer, "name").unwrap_or_else(|| asked.to_owned())
}
