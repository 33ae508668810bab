//! The verbs that send an input: `predict`, `explain` and `invoke`.

use mlflow_deploy::args::{Explain, Invoke as InvokeRequest, Predict, PredictStream};
use mlflow_deploy::{Config, DeployClient, Operation, Payload, Target};

use crate::answer_text::AnswerText;
use crate::args::{
    ClientArguments, ConfigArguments, Invoke, OutputArguments, PlotArguments, PredictArguments, PredictionsForm,
};
use crate::context::Context;
use crate::dataframe::Dataframe;
use crate::report::{CliError, Output};
use crate::{input, plot};

pub(crate) async fn predict(
    arguments: PredictArguments,
    format: PredictionsForm,
    context: &Context,
) -> Result<(), CliError> {
    if format != PredictionsForm::Json && context.report.is_json() {
        return Err(CliError::Input("`--json` prints JSON: remove it, or use `--format json`".to_owned()));
    }
    let Prediction { call, deployment_name, endpoint } = prepare(arguments, Operation::Predict, context).await?;
    let Call { client, config, inputs, mut output } = call;
    let answer = client.predict(Predict { deployment_name, endpoint, config, inputs }).await?;
    match format {
        PredictionsForm::Json => output.write_document(&answer)?,
        PredictionsForm::Table => output.write_text(&Dataframe::read(&answer)?.to_table())?,
        PredictionsForm::Csv => output.write_text(&Dataframe::read(&answer)?.to_csv()?)?,
    }
    output.finish()
}

pub(crate) async fn stream(arguments: PredictArguments, context: &Context) -> Result<(), CliError> {
    let Prediction { call, deployment_name, endpoint } = prepare(arguments, Operation::PredictStream, context).await?;
    let Call { client, config, inputs, mut output } = call;
    let mut chunks = client.predict_stream(&PredictStream { deployment_name, endpoint, config, inputs })?;
    while let Some(chunk) = chunks.next().await {
        let written = chunk.map_err(CliError::from).and_then(|chunk| output.write_line(&chunk));
        if written.is_err() {
            context.keep_alive(chunks);
            return written;
        }
    }
    output.finish()
}

/// Prints only the text of an answer: all of it, or each part as it arrives.
pub(crate) async fn text(arguments: PredictArguments, streams: bool, context: &Context) -> Result<(), CliError> {
    if context.report.is_json() {
        return Err(CliError::Input("`--json` prints JSON: remove it, or remove `--text`".to_owned()));
    }
    let operation = if streams { Operation::PredictStream } else { Operation::Predict };
    let Prediction { call, deployment_name, endpoint } = prepare(arguments, operation, context).await?;
    let Call { client, config, inputs, mut output } = call;
    let mut answer = AnswerText::default();
    let mut is_line_open = false;
    let mut write = |text: &str, output: &mut Output| {
        is_line_open = if text.is_empty() { is_line_open } else { !text.ends_with('\n') };
        if text.is_empty() { Ok(()) } else { output.write_text(text) }
    };
    if streams {
        let mut chunks = client.predict_stream(&PredictStream { deployment_name, endpoint, config, inputs })?;
        while let Some(chunk) = chunks.next().await {
            let text = chunk.map_err(CliError::from).and_then(|chunk| answer.read(&chunk));
            if let Err(error) = text.and_then(|text| write(&text, &mut output)) {
                context.keep_alive(chunks);
                return Err(error);
            }
        }
    } else {
        let whole = client.predict(Predict { deployment_name, endpoint, config, inputs }).await?;
        write(&answer.read(&whole)?, &mut output)?;
    }
    write(&answer.finish()?, &mut output)?;
    if is_line_open {
        output.end_line()?;
    }
    let stderr = context.report.stderr();
    answer.notes().iter().for_each(|note| stderr.note(note));
    if let Some(usage) = answer.usage() {
        stderr.info(&format!("usage: {usage}"));
    }
    output.finish()
}

pub(crate) async fn explain(
    arguments: PredictArguments,
    plot: PlotArguments,
    context: &Context,
) -> Result<(), CliError> {
    let plot_output = plot.path.as_deref().map(|path| context.report.open_output(Some(path))).transpose()?;
    let Prediction { call, deployment_name, endpoint } = prepare(arguments, Operation::Explain, context).await?;
    let Call { client, config, inputs, mut output } = call;
    if plot_output.as_ref().is_some_and(|plot_output| plot_output.is_same_file(&output)) {
        let message = "`--plot` and `--output-path` name one file: specify different files";
        return Err(CliError::Input(message.to_owned()));
    }
    let explanation = client.explain(Explain { deployment_name, endpoint, config, inputs }).await?;
    // The explanation is written also if the plot fails.
    let plotted = plot_output.map(|plot_output| write_plot(plot_output, &explanation, &plot)).transpose();
    output.write_document(&explanation)?;
    output.finish()?;
    plotted.map(drop)
}

fn write_plot(mut output: Output, explanation: &Payload, arguments: &PlotArguments) -> Result<(), CliError> {
    output.write_text(&plot::svg(explanation.bytes(), arguments)?)?;
    output.finish()
}

pub(crate) async fn invoke(verb: Invoke, context: &Context) -> Result<(), CliError> {
    let Invoke { operation, client, name, endpoint, config, input_path, content_type, output } = verb;
    let settings = CallSettings { operation: &operation, client: &client, config: &config, output: &output };
    let read = |_: &Target| match &input_path {
        Some(path) => input::read(path, content_type.as_deref()),
        None => Ok(Payload::empty()),
    };
    let Call { client, config, inputs, mut output } = settings.open(read, context).await?;
    output.write_document(&client.invoke(InvokeRequest { operation, name, endpoint, config, inputs }).await?)?;
    output.finish()
}

/// A call of `predict` or `explain` that is ready to be sent.
struct Prediction {
    call: Call,
    deployment_name: Option<String>,
    endpoint: Option<String>,
}

async fn prepare(arguments: PredictArguments, operation: Operation, context: &Context) -> Result<Prediction, CliError> {
    let PredictArguments { client, resource, config, input, output } = arguments;
    let settings = CallSettings { operation: operation.name(), client: &client, config: &config, output: &output };
    let read = |target: &Target| {
        let inputs = input::read(&input.input_path, input.content_type.as_deref())?;
        input::convert_for(inputs, input.inputs_format, target.manifest())
    };
    let call = settings.open(read, context).await?;
    Ok(Prediction { call, deployment_name: resource.name, endpoint: resource.endpoint })
}

/// The arguments that `predict`, `explain` and `invoke` share.
struct CallSettings<'a> {
    operation: &'a str,
    client: &'a ClientArguments,
    config: &'a ConfigArguments,
    output: &'a OutputArguments,
}

/// A call that is ready to be sent: an open client, and the config, the input and the output of the call.
struct Call {
    client: DeployClient,
    config: Config,
    inputs: Payload,
    output: Output,
}

impl CallSettings<'_> {
    /// Reads the config and the input, then opens the client. Invalid arguments are reported without loading the
    /// plugin.
    async fn open(
        self,
        read: impl FnOnce(&Target) -> Result<Payload, CliError>,
        context: &Context,
    ) -> Result<Call, CliError> {
        let target = context.target(self.client)?;
        let config = context.config(&target, self.operation, self.config)?;
        let inputs = read(&target)?;
        let output = context.report.open_output(self.output.output_path.as_deref())?;
        let client = context.open(&target, self.client).await?;
        Ok(Call { client, config, inputs, output })
    }
}
