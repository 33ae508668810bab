//! The verbs `completions` and `man`. They generate shell completion scripts and manual pages from the definition of
//! the command line.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use mlflow_deploy::Replacement;
use serde_json::json;

use crate::args::{Cli, Manual};
use crate::report::{CliError, Report};

/// Prints the completion script for a shell.
pub(crate) fn completions(shell: Shell, report: &Report) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mlflow-deploy", &mut script);
    let script = String::from_utf8_lossy(&script);
    report.write_value(&script, || script.to_string())
}

/// Prints the manual page of the command, or writes the pages of the command and its verbs to a directory.
pub(crate) fn manual(manual: &Manual, report: &Report) -> Result<(), CliError> {
    let mut command = Cli::command();
    command.build();
    match &manual.output_dir {
        None => {
            let page = String::from_utf8(page(command)?).expect("a manual page is UTF-8");
            report.write_value(&page, || page.clone())
        }
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
            let mut files = Vec::new();
            write(&command, "mlflow-deploy", directory, &mut files)?;
            report.write_value(&json!({ "files": files }), String::new)
        }
    }
}

/// Writes the manual page of a command, such as `mlflow-deploy-plugins-list.1`, and the pages of its verbs, to a
/// directory. Adds their paths to `files`.
fn write(command: &Command, name: &str, directory: &Path, files: &mut Vec<String>) -> Result<(), CliError> {
    let file = directory.join(format!("{name}.1"));
    Replacement::write(&file, &page(command.clone())?).map_err(|error| failed(&file, &error))?;
    files.push(file.to_string_lossy().into_owned());
    for verb in command.get_subcommands() {
        write(verb, &format!("{name}-{}", verb.get_name()), directory, files)?;
    }
    Ok(())
}

fn page(command: Command) -> Result<Vec<u8>, CliError> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Input(format!("failed to write `{}`: {error}", path.display()))
}
