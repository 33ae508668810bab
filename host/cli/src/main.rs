//! The command `mlflow-deploy`: parses the arguments, runs one verb, and exits with its exit code.

mod answer_text;
mod args;
mod batch;
mod context;
mod dataframe;
mod deployments;
mod describe;
mod endpoints;
mod executor;
mod help;
mod input;
mod local;
mod man;
mod pandas;
mod plot;
mod plugins;
mod predict;
mod report;
mod retries;
mod run;
mod settings;
mod signals;
mod targets;

use mlflow_deploy::command;

fn main() {
    command::prepare();
    command::reserve_stdout();
    let code = match args::Cli::read() {
        Ok(cli) => run::run(cli),
        Err(error) => report::usage(&error),
    };
    mlflow_deploy::exit_now(code)
}
