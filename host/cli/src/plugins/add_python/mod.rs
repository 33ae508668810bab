//! `plugins add-python`: writes a manifest for each deployment plugin in a Python environment. The bridge runs such a
//! plugin in its own interpreter. Finding the plugins runs no Python; one trial run describes each selected plugin.

mod bridged;
mod entry_points;
mod environment;

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use mlflow_deploy::{Discovery, Origin};
use mlflow_deploy_plugin_api::manifest::PROCESS_SUFFIX;
use mlflow_deploy_plugin_api::{nearest, text, trust};
use serde::Serialize;

use self::bridged::{Bridge, COMMON_SCHEME};
use self::entry_points::PythonPlugin;
use self::environment::Environment;
use crate::args::AddPython;
use crate::context::Context;
use crate::report::CliError;

/// The file that makes a folder named `python` in a plugin directory the bridge.
const BRIDGE: &str = "python/__main__.py";

#[derive(Serialize)]
struct Added<'a> {
    python: &'a Path,
    searched: &'a [PathBuf],
    plugins: Vec<AddedPlugin<'a>>,
}

#[derive(Serialize)]
struct AddedPlugin<'a> {
    #[serde(flatten)]
    plugin: &'a PythonPlugin,
    #[serde(flatten)]
    state: State,
}

/// The outcome for one plugin.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
enum State {
    /// The plugin was found and was not selected.
    Found,
    /// The manifest was written to this file.
    Added { file: PathBuf },
    /// No manifest was written, for this reason. The plugin is reached through the scheme `python`.
    Skipped { reason: String },
    /// The plugin does not work, for this reason.
    Failed { reason: String },
}

pub(super) fn run(arguments: &AddPython, context: &Context) -> Result<(), CliError> {
    let environment = Environment::find(arguments.python.as_deref())?;
    let found = entry_points::find(&environment.directories);
    check_selection(&arguments.schemes, &found, &environment)?;
    trust::check_code(&environment.python)
        .map_err(|distrust| CliError::Input(format!("the Python cannot be used: {distrust}")))?;
    let discovery = context.discover();
    let folder = match &arguments.to {
        Some(folder) => std::path::absolute(folder).unwrap_or_else(|_| folder.clone()),
        None => user_directory(&discovery)?,
    };
    let bridge = Bridge { python: environment.python.clone(), folder: find_bridge(&discovery)? };
    let stderr = context.report.stderr();
    let add = |name: &str, plugin: Option<&PythonPlugin>| -> Result<PathBuf, String> {
        stderr.note(&format!("running `{}` once to inspect `{name}`", bridge.python.display()));
        let described = bridge.describe(name)?;
        described.warnings.iter().for_each(|warning| stderr.warning(&format!("{name}: {warning}")));
        let manifest = match plugin {
            Some(plugin) => bridge.manifest(plugin, described, &arguments.env),
            None => bridge.common_manifest(described, &arguments.env),
        };
        bridged::write(&folder, name, &manifest)
    };
    let state = |plugin: &PythonPlugin| {
        if !arguments.schemes.is_empty() && !arguments.schemes.contains(&plugin.name) {
            return State::Found;
        }
        if let Some(reason) = obstacle(plugin, &discovery, &folder) {
            return State::Skipped { reason };
        }
        match add(&plugin.name, Some(plugin)) {
            Ok(file) => State::Added { file },
            Err(reason) => State::Failed { reason },
        }
    };
    let plugins: Vec<_> = found.iter().map(|plugin| AddedPlugin { plugin, state: state(plugin) }).collect();
    let common = add(COMMON_SCHEME, None);
    let added = Added { python: &environment.python, searched: &environment.directories, plugins };
    let note = common.as_deref().map(common_note).unwrap_or_default();
    context.report.write_value(&added, || format!("{added}{note}"))?;
    common.map_err(|reason| CliError::Input(format!("`{COMMON_SCHEME}` cannot be added: {reason}")))?;
    let failed = added.plugins.iter().filter(|added| matches!(added.state, State::Failed { .. }));
    let failed: Vec<_> = failed.map(|added| added.plugin.name.as_str()).collect();
    match failed.is_empty() || arguments.schemes.is_empty() {
        true => Ok(()),
        false => Err(CliError::Input(format!("`{}` cannot be used", failed.join("`, `")))),
    }
}

/// Fails if the environment has no plugin, or not one that the user named.
fn check_selection(schemes: &[String], found: &[PythonPlugin], environment: &Environment) -> Result<(), CliError> {
    let python = environment.python.display();
    if found.is_empty() {
        let searched: Vec<_> = environment.directories.iter().map(|folder| folder.display().to_string()).collect();
        return Err(CliError::Input(format!(
            "no deployment plugin found for `{python}`: searched `{}`; install one with `{python} -m pip install`, or \
             give another Python with `--python`",
            searched.join("`, `")
        )));
    }
    let names: Vec<_> = found.iter().map(|plugin| plugin.name.as_str()).collect();
    let Some(unknown) = schemes.iter().find(|scheme| !names.contains(&scheme.as_str())) else { return Ok(()) };
    let nearest = nearest(unknown, names.iter().copied()).map(|name| format!("; did you mean `{name}`?"));
    let message = format!("`{python}` has no deployment plugin `{unknown}`: expected `{}`", names.join("`, `"));
    Err(CliError::Input(message + &nearest.unwrap_or_default()))
}

/// Returns the first plugin directory of the user.
fn user_directory(discovery: &Discovery) -> Result<PathBuf, CliError> {
    let of_user = discovery.directories.iter().find(|directory| directory.origin == Origin::User);
    of_user.map(|directory| directory.path.clone()).ok_or_else(|| {
        CliError::Input("the search path has no plugin directory of the user: give a folder with `--to`".to_owned())
    })
}

/// Returns the folder with the bridge, in a directory on the search path.
fn find_bridge(discovery: &Discovery) -> Result<PathBuf, CliError> {
    let mains = discovery.directories.iter().map(|directory| directory.path.join(BRIDGE));
    let Some(main) = mains.into_iter().find(|main| main.is_file()) else {
        return Err(CliError::Input(format!(
            "the bridge for Python plugins was not found: expected `{BRIDGE}` in a plugin directory; `mlflow-deploy \
             plugins list` shows the directories"
        )));
    };
    trust::check_code(&main).map_err(|distrust| CliError::Input(format!("the bridge cannot be used: {distrust}")))?;
    let main = main.canonicalize().unwrap_or(main);
    Ok(main.parent().unwrap_or(&main).to_owned())
}

/// Returns the reason why a plugin cannot serve its own scheme, or `None` if it can.
fn obstacle(plugin: &PythonPlugin, discovery: &Discovery, folder: &Path) -> Option<String> {
    let name = &plugin.name;
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    if !name.bytes().all(is_allowed) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some(format!("`{name}` is not a valid scheme"));
    }
    let own = folder.join(format!("{name}{PROCESS_SUFFIX}"));
    let serves = |candidate: &&mlflow_deploy::Candidate| {
        candidate.manifest().is_some_and(|manifest| manifest.schemes.contains(name))
    };
    let other = discovery.candidates.iter().filter(serves).find(|candidate| candidate.path != own)?;
    Some(format!("`{}` serves its scheme", other.path.display()))
}

/// Tells how the plugins are reached through the common scheme.
fn common_note(file: &Path) -> String {
    format!("added {COMMON_SCHEME}: every plugin above as `{COMMON_SCHEME}:NAME:…`\n  file: {}\n", text::path(file))
}

impl Display for Added<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "found in {}:", text::path(self.python))?;
        for AddedPlugin { plugin, .. } in &self.plugins {
            writeln!(formatter, "  {}: {} {}", plugin.name, plugin.package, plugin.version)?;
        }
        for AddedPlugin { plugin, state } in &self.plugins {
            let name = &plugin.name;
            match state {
                State::Found => {}
                State::Added { file } => writeln!(formatter, "added {name}\n  file: {}", text::path(file))?,
                State::Skipped { reason } => {
                    let reason = text::line(reason);
                    writeln!(formatter, "not added {name}: {reason}; use `{COMMON_SCHEME}:{name}:…`")?;
                }
                State::Failed { reason } => writeln!(formatter, "failed {name}: {}", text::line(reason))?,
            }
        }
        Ok(())
    }
}
