//! The command `mlflow-deploy`: reads the arguments, runs one verb, and ends with its exit code.

mod args;
mod csv;
mod deployments;
mod drive;
mod endpoints;
mod facts;
mod help;
mod input;
mod local;
mod pages;
mod plot;
mod plugins;
mod questions;
mod report;
mod run;
mod session;
mod settings;

use mlflow_deploy::command;

fn main() {
    command::prepare();
    let code = match args::Cli::read() {
        Ok(cli) => run::run(cli),
        Err(error) => report::usage(&error),
    };
    mlflow_deploy::leave(code)
}
