//! The manifest of a Python plugin that runs through the bridge. A trial run of the bridge describes the plugin.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use mlflow_deploy::Replacement;
use mlflow_deploy_plugin_api::manifest::{Manifest, PROCESS_SUFFIX};
use mlflow_deploy_plugin_api::program;
use serde_json::{Map, Value, json};

use super::entry_points::PythonPlugin;

/// The time limit for a trial run. Importing MLflow and a plugin with a large framework takes up to half a minute.
const MAX_TRIAL_TIME: Duration = Duration::from_secs(180);

/// The scheme under which all plugins of one Python are reached, as in `python:sagemaker:/us-east-1`.
pub(super) const COMMON_SCHEME: &str = "python";

/// The members of a manifest that a trial run may set.
const DESCRIBED: [&str; 6] = ["operations", "accepts", "config", "options", "environment", "description"];

/// The interpreter and the folder with the bridge, which run every Python plugin.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) python: PathBuf,
    pub(super) folder: PathBuf,
}

/// The description of a plugin, and the warnings of its trial run.
#[derive(Debug)]
pub(super) struct Described {
    members: Map<String, Value>,
    pub(super) warnings: Vec<String>,
}

impl Bridge {
    /// Runs the bridge once to describe the plugin with this name. Returns the reason if the plugin does not work.
    pub(super) fn describe(&self, name: &str) -> Result<Described, String> {
        let mut arguments = self.arguments(Some(name));
        arguments.push("--describe".to_owned());
        let (_not_cancelled, cancelled) = mpsc::channel();
        let output = program::run(&self.python, &arguments, MAX_TRIAL_TIME, &cancelled)
            .map_err(|error| error.message().to_owned())?;
        let described = serde_json::from_slice::<Map<String, Value>>(&output.stdout);
        match described {
            Ok(described) if output.status.success() => {
                let warnings = described.get("warnings").and_then(Value::as_array).into_iter().flatten();
                let warnings = warnings.filter_map(Value::as_str).map(str::to_owned).collect();
                let members = described.into_iter().filter(|(name, _)| DESCRIBED.contains(&name.as_str())).collect();
                Ok(Described { members, warnings })
            }
            Ok(described) if described.contains_key("error") => {
                Err(described["error"].as_str().unwrap_or("it gave no reason").to_owned())
            }
            _ => Err(format!("its trial run ended with {}: {}", output.status, output.redacted_line(&[]))),
        }
    }

    /// Returns the manifest of a plugin that serves its own scheme.
    pub(super) fn manifest(&self, plugin: &PythonPlugin, described: Described, variables: &[String]) -> Value {
        let PythonPlugin { name, package, version, files, .. } = plugin;
        let mut manifest = self.base(name, version, Some(name), files);
        manifest.insert("description".to_owned(), json!(format!("the Python plugin of {package} {version}")));
        manifest.extend(described.members);
        add_variables(&mut manifest, variables);
        Value::Object(manifest)
    }

    /// Returns the manifest of the plugin that serves the scheme `python` with all Python plugins.
    pub(super) fn common_manifest(&self, described: Described, variables: &[String]) -> Value {
        let mut manifest = self.base(COMMON_SCHEME, env!("CARGO_PKG_VERSION"), None, &[]);
        manifest.extend(described.members);
        let description = format!("the deployment plugins of {}: `python:NAME:…`", self.python.display());
        manifest.insert("description".to_owned(), json!(description));
        add_variables(&mut manifest, variables);
        Value::Object(manifest)
    }

    fn base(&self, name: &str, version: &str, plugin: Option<&str>, files: &[PathBuf]) -> Map<String, Value> {
        let exec = [self.python.to_string_lossy().into_owned()].into_iter().chain(self.arguments(plugin));
        let files = [&self.folder].into_iter().chain(files).map(|path| path.to_string_lossy());
        let manifest = json!({
            "manifest": 1,
            "abi": 1,
            "name": name,
            "version": version,
            "schemes": [name],
            "operations": [],
            "exec": exec.collect::<Vec<_>>(),
            "files": files.collect::<Vec<_>>(),
            "start_timeout": 120,
        });
        manifest.as_object().cloned().unwrap_or_default()
    }

    /// Returns the arguments of the interpreter that start the bridge.
    fn arguments(&self, plugin: Option<&str>) -> Vec<String> {
        let mut arguments = vec!["-B".to_owned(), self.folder.to_string_lossy().into_owned()];
        arguments.extend(plugin.into_iter().flat_map(|name| ["--name".to_owned(), name.to_owned()]));
        arguments
    }
}

/// Adds the variables that the user named to the environment of the plugin. They may be secrets.
fn add_variables(manifest: &mut Map<String, Value>, variables: &[String]) {
    let environment = manifest.entry("environment").or_insert_with(|| json!([]));
    if let Some(environment) = environment.as_array_mut() {
        environment.retain(|known| !variables.iter().any(|name| known["name"] == json!(name)));
        environment.extend(variables.iter().map(|name| json!({"name": name, "secret": true})));
    }
}

/// Writes a manifest to `NAME.plugin.json` in a folder, which is created if it does not exist. Returns the path of the
/// file. An existing file is replaced as a whole.
pub(super) fn write(folder: &Path, name: &str, manifest: &Value) -> Result<PathBuf, String> {
    let text = serde_json::to_string_pretty(manifest).map_err(|error| error.to_string())? + "\n";
    Manifest::parse_process(text.as_bytes()).map_err(|why| format!("its description is invalid: {why}"))?;
    let path = folder.join(format!("{name}{PROCESS_SUFFIX}"));
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        let mut file = Replacement::begin(&path)?;
        file.write_all(text.as_bytes())?;
        file.commit()
    });
    written.map(|()| path.clone()).map_err(|error| format!("failed to write `{}`: {error}", path.display()))
}
