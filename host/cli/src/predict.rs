//! The verbs that ask about an input: `predict`, `explain`, and `invoke` for what a target has of its own.

use mlflow_deploy::args::{Explain, Invoke as InvokeArguments, Predict, PredictStream};
use mlflow_deploy::{Config, DeployClient, Operation, Payload};

use crate::args::{Invoke, PlotArguments, PredictArgs};
use crate::context::Context;
use crate::report::{CliError, Output};
use crate::{input, plot};

pub(crate) async fn predict(question: PredictArgs, session: &Context) -> Result<(), CliError> {
    let Prepared { client, deployment_name, endpoint, config, inputs, mut output } =
        prepare(question, Operation::Predict, session).await?;
    output.document(&client.predict(Predict { deployment_name, endpoint, config, inputs }).await?)?;
    output.keep()
}

pub(crate) async fn stream(question: PredictArgs, session: &Context) -> Result<(), CliError> {
    let Prepared { client, deployment_name, endpoint, config, inputs, mut output } =
        prepare(question, Operation::PredictStream, session).await?;
    let mut chunks = client.predict_stream(&PredictStream { deployment_name, endpoint, config, inputs })?;
    while let Some(chunk) = chunks.next().await {
        let shown = chunk.map_err(CliError::from).and_then(|chunk| output.line(&chunk));
        if shown.is_err() {
            session.hold(chunks);
            return shown;
        }
    }
    output.keep()
}

pub(crate) async fn explain(question: PredictArgs, plot: PlotArguments, session: &Context) -> Result<(), CliError> {
    let picture = plot.path.as_deref().map(|path| session.report.output(Some(path))).transpose()?;
    let Prepared { client, deployment_name, endpoint, config, inputs, mut output } =
        prepare(question, Operation::Explain, session).await?;
    if picture.as_ref().is_some_and(|picture| picture.is_same_file(&output)) {
        let said = "`--plot` and `--output-path` name one file: the explanation would take the place of its picture";
        return Err(CliError::Input(said.to_owned()));
    }
    let answer = client.explain(Explain { deployment_name, endpoint, config, inputs }).await?;
    // What cannot be drawn is an answer all the same.
    let drawn = picture.map(|picture| draw(picture, &answer, &plot)).transpose();
    output.document(&answer)?;
    output.keep()?;
    drawn.map(drop)
}

fn draw(mut picture: Output, answer: &Payload, arguments: &PlotArguments) -> Result<(), CliError> {
    picture.text(&plot::svg(answer.bytes(), arguments)?)?;
    picture.keep()
}

pub(crate) async fn invoke(verb: Invoke, session: &Context) -> Result<(), CliError> {
    let Invoke { operation, client, name, endpoint, config, input_path, content_type, output } = verb;
    let target = session.target(&client)?;
    let config = session.config(&target, &operation, &config)?;
    let inputs = match &input_path {
        Some(path) => input::read(path, content_type.as_deref())?,
        None => Payload::empty(),
    };
    let mut output = session.report.output(output.output_path.as_deref())?;
    let client = session.open(&target, &client).await?;
    let asked = InvokeArguments { operation, name, endpoint, config, inputs };
    output.document(&client.invoke(asked).await?)?;
    output.keep()
}

/// A question to a deployment or an endpoint, and all that it takes to ask it.
struct Prepared {
    client: DeployClient,
    deployment_name: Option<String>,
    endpoint: Option<String>,
    config: Config,
    inputs: Payload,
    output: Output,
}

/// What the user gave is read before the plugin is loaded: what is wrong with it is said at once.
async fn prepare(question: PredictArgs, operation: Operation, session: &Context) -> Result<Prepared, CliError> {
    let PredictArgs { client, subject, config, input, output } = question;
    let target = session.target(&client)?;
    let config = session.config(&target, operation.name(), &config)?;
    let inputs = input::read(&input.input_path, input.content_type.as_deref())?;
    let inputs = input::accepted(inputs, target.manifest())?;
    let output = session.report.output(output.output_path.as_deref())?;
    let client = session.open(&target, &client).await?;
    Ok(Prepared { client, deployment_name: subject.name, endpoint: subject.endpoint, config, inputs, output })
}
