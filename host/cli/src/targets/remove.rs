//! `targets remove`: removes a named target from the user's configuration.

use mlflow_deploy_plugin_api::text::line;
use serde_json::json;

use super::check::unknown;
use super::document::ConfigDocument;
use crate::context::Context;
use crate::report::CliError;

pub(super) fn run(name: &str, context: &Context) -> Result<(), CliError> {
    let mut document = ConfigDocument::open()?;
    if !document.remove(name) {
        let others = context.host.named_targets()?;
        if let Some(other) = others.into_iter().find(|other| other.name == name && other.file != document.path) {
            let file = other.file.display();
            return Err(CliError::Input(format!(
                "the target `{name}` is in the project file `{file}`: remove it there"
            )));
        }
        return Err(unknown(name, context)?);
    }
    document.save()?;
    let file = document.path.to_string_lossy();
    let result = json!({ "name": name, "file": file });
    context.report.write_value(&result, || format!("removed the target {name} from {}\n", line(&file)))
}
