//! `targets trust`: records that the user trusts a project file.

use std::fmt::Write;
use std::path::Path;

use mlflow_deploy::{OptionSource, ProjectFile};
use mlflow_deploy_plugin_api::text::line;
use serde_json::json;

use crate::context::Context;
use crate::report::CliError;

const NAME: &str = ProjectFile::NAME;

pub(super) fn run(file: Option<&Path>, context: &Context) -> Result<(), CliError> {
    let path = match file {
        Some(path) if path.file_name().is_none_or(|name| name != NAME) => {
            let path = path.display();
            return Err(CliError::Input(format!("`{path}` is not a project file: expected a file `{NAME}`")));
        }
        Some(path) => path.to_owned(),
        None => match context.host.project_file()? {
            Some(found) => found.path.clone(),
            None => return Err(CliError::Input(format!("no `{NAME}` in the current directory or above"))),
        },
    };
    let targets = ProjectFile::trust(&path)?;
    let file = path.canonicalize().unwrap_or(path);
    let file = file.to_string_lossy();
    let names: Vec<_> = targets.iter().map(|target| &target.name).collect();
    context.report.write_value(&json!({ "file": file, "targets": names }), || {
        let mut text = format!("trusted {}\n", line(&file));
        for target in &targets {
            let _ = writeln!(text, "  {}: {}", target.name, line(&target.uri.to_string()));
            for (key, source) in &target.options {
                if let OptionSource::Command(words) = source {
                    let program = words.first().map(String::as_str).unwrap_or_default();
                    let _ = writeln!(text, "    runs `{}` for {}", line(program), line(key));
                }
            }
        }
        text
    })
}
