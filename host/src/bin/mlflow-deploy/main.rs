//! The command `mlflow-deploy`: reads the arguments, runs one verb, and ends with its exit code.

mod args;
mod input;
mod plugins;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match args::Cli::try_parse() {
        Ok(cli) => run::run(cli),
        Err(error) => report::usage(&error),
    }
}
