//! Runs `predict-batch`: opens the input, the client and the files, and writes the answers as they arrive.

use mlflow_deploy::args::Predict;
use mlflow_deploy::bulk::{BulkFiles, BulkPredict, Finished, Order};
use mlflow_deploy::{Operation, command};

use super::completeness::is_complete;
use super::failed_rows::FailedRows;
use super::progress::Progress;
use super::settings::{self, Source};
use super::summary::Summary;
use crate::args::{NameOrEndpoint, PredictBatch};
use crate::context::Context;
use crate::report::{CliError, Stderr};

pub(crate) async fn run(verb: PredictBatch, context: &Context) -> Result<(), CliError> {
    let stderr = context.report.stderr();
    let target = context.target(&verb.client)?;
    let config = context.config(&target, Operation::Predict.name(), &verb.config)?;
    if is_complete(&verb, target.manifest())? {
        stderr.note("the run is complete: the output has a line for each row of the input");
        return Ok(());
    }
    let source = Source::open(&verb, target.manifest())?;
    let run = settings::run(&verb, &target, &config, &source)?;
    let (client, max_retries) = context.open_without_retries(&target, &verb.client).await?;
    let (files, finished) = files(&verb, &run)?;
    let before = files.totals();
    let mut hint = ResumeHint { stderr: stderr.clone(), is_needed: settings::is_resumable(&verb) };

    let may_draw = settings::may_draw(&verb);
    let mut progress = Progress::start(source.size, stderr.clone(), may_draw);
    let mut failed_rows = FailedRows::new(verb.errors.is_some(), stderr.clone());
    let (mut files, mut summary) = (files, Summary::new(before));
    let requests = source.input.skip_finished(finished).into_stream().map_err(failed)?;
    let NameOrEndpoint { name: deployment_name, endpoint } = verb.resource;
    let arguments = Predict { deployment_name, endpoint, config, ..Predict::default() };
    let mut bulk = BulkPredict::new(client, arguments).jobs(verb.jobs.get()).max_retries(max_retries);
    if let Some(rate) = verb.rate {
        bulk = bulk.rate(rate);
    }
    let mut answers = bulk.answers(requests);
    let ended = loop {
        let first = match answers.next().await {
            None => break Ok(()),
            Some(Err(error)) => break Err(CliError::Target(error)),
            Some(Ok(first)) => first,
        };
        let mut batch = vec![first];
        batch.extend(std::iter::from_fn(|| answers.next_ready()));
        if let Err(error) = files.write(&batch) {
            break Err(not_written(error));
        }
        for answer in &batch {
            summary.add(answer);
            failed_rows.show(answer);
        }
        progress.update(&batch, &summary, answers.load());
    };
    stderr.hide_spinner();
    if ended.is_err() {
        // A plugin may block when its calls are dropped.
        context.keep_alive(answers);
        summary.print(files.totals(), stderr);
        return ended;
    }
    let totals = files.finish().map_err(not_written)?;
    hint.is_needed = false;
    summary.print(totals, stderr);
    match totals.failed {
        0 => Ok(()),
        failed => Err(CliError::RowsFailed { failed, rows: totals.rows, errors: verb.errors }),
    }
}

/// Opens the files of a new or of an interrupted run.
fn files(
    verb: &PredictBatch,
    run: &serde_json::Map<String, serde_json::Value>,
) -> Result<(BulkFiles, Finished), CliError> {
    let order = if verb.unordered { Order::Arrival } else { Order::Input };
    let errors = verb.errors.as_deref();
    match settings::output_path(verb) {
        None => Ok((BulkFiles::to_file(command::stdout()?, errors, order).map_err(failed)?, Finished::default())),
        Some(path) if verb.resume => BulkFiles::resume(path, errors, order, run).map_err(failed),
        Some(path) => Ok((BulkFiles::create(path, errors, order, run).map_err(failed)?, Finished::default())),
    }
}

fn failed(error: std::io::Error) -> CliError {
    CliError::Input(error.to_string())
}

fn not_written(error: std::io::Error) -> CliError {
    match CliError::from(error) {
        CliError::OutputError(error) => CliError::Input(format!("failed to write the output: {error}")),
        closed => closed,
    }
}

/// Says on its drop how to continue the run, unless the run is complete. An interrupt drops the verb.
struct ResumeHint {
    stderr: Stderr,
    is_needed: bool,
}

impl Drop for ResumeHint {
    fn drop(&mut self) {
        if self.is_needed {
            self.stderr.warning("the run is not complete: the same command with `--resume` continues it");
        }
    }
}
