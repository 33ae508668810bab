//! The command `mlflow-deploy-conformance`. It reads its arguments, runs the cases, and writes the report.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use mlflow_deploy::{Replacement, command};
use mlflow_deploy_conformance::report::{Format, list_as_markdown, list_as_text};
use mlflow_deploy_conformance::{Config, Options, run};
use mlflow_deploy_plugin_api::text;

/// Checks a deployment plugin of mlflow-deploy against the contract
///
/// Each case runs in a separate process, so a crash or a hang of the plugin is a result. Exit codes: 0 if the plugin is
/// conformant, 1 if it is not, 2 if the check could not be completed,
/// for example because the plugin needs a config.
#[derive(Debug, Parser)]
#[command(name = "mlflow-deploy-conformance", version)]
struct Arguments {
    /// The plugin's shared library
    #[arg(required_unless_present = "list")]
    plugin: Option<PathBuf>,
    /// Configuration file of the target: options, environment, and calls that succeed. Needed by a plugin that cannot
    /// be opened by its first scheme alone
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run the plugin in a separate process, like an isolated plugin; skips cases that need the plugin in-process
    #[arg(long)]
    isolated: bool,
    /// Fail the cases that are not proven, because the calls that they need did not succeed
    #[arg(long)]
    strict: bool,
    /// Plugin host program [default: MLFLOW_DEPLOY_PLUGIN_HOST, or `mlflow-deploy-plugin-host` next to this program]
    #[arg(long, value_name = "FILE", requires = "isolated")]
    plugin_host: Option<PathBuf>,
    /// Run only these cases: full names, or leading words such as `load`
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    only: Vec<String>,
    /// List the cases instead of running them
    #[arg(long)]
    list: bool,
    /// Format of the report
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: FormatArg,
    /// Write the report to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seed of the generated inputs; the same seed generates the same inputs
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Timeout of a case in seconds; the timeout of a reply is a third of it
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds)]
    timeout: f64,
    /// Number of cases to run in parallel [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormatArg {
    /// Plain text
    #[default]
    Text,
    /// JSON document
    Json,
    /// JUnit XML
    Junit,
    /// Markdown table
    Markdown,
}

fn main() -> ExitCode {
    command::prepare();
    if mlflow_deploy_conformance::child() {
        return ExitCode::SUCCESS;
    }
    let worked = match Arguments::try_parse() {
        Ok(arguments) => work(&arguments),
        Err(page) if !page.use_stderr() => print(&page.render().to_string()).map(|()| 0),
        Err(error) => Err(error.render().to_string().trim_start_matches("error: ").to_owned()),
    };
    worked.map_or_else(
        |error| {
            // An error means that stderr is closed, and the message cannot be shown anywhere else.
            let _closed = writeln!(io::stderr().lock(), "{}", text::message(&format!("error: {error}")));
            ExitCode::from(2)
        },
        ExitCode::from,
    )
}

fn work(arguments: &Arguments) -> Result<u8, String> {
    let (text, code) = match &arguments.plugin {
        Some(plugin) if !arguments.list => {
            let mut options = Options::default();
            if let Some(path) = &arguments.config {
                options.config = Config::read(path).map_err(|error| error.to_string())?;
            }
            options.isolated = arguments.isolated;
            options.strict = arguments.strict;
            options.plugin_host.clone_from(&arguments.plugin_host);
            options.only.clone_from(&arguments.only);
            options.seed = arguments.seed.unwrap_or(options.seed);
            options.timeout = Duration::from_secs_f64(arguments.timeout);
            options.jobs = arguments.jobs.map_or(options.jobs, usize::from);
            let report = run(plugin, &options).map_err(|error| error.to_string())?;
            (report.write(arguments.format.into()), report.exit_code())
        }
        _ => match arguments.format {
            FormatArg::Text => (list_as_text(), 0),
            FormatArg::Markdown => (list_as_markdown(), 0),
            FormatArg::Json | FormatArg::Junit => {
                return Err("invalid format of the list of cases: use `text` or `markdown`".to_owned());
            }
        },
    };
    match &arguments.output {
        Some(path) => Replacement::write(path, text.as_bytes())
            .map_err(|error| format!("failed to write the report to `{}`: {error}", path.display()))?,
        None => print(&text)?,
    }
    Ok(code)
}

/// Writes `text` to standard output. If the reader has closed the pipe, the rest is dropped without an error.
fn print(text: &str) -> Result<(), String> {
    match command::stdout().and_then(|mut stdout| stdout.write_all(text.as_bytes())) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("failed to write the output: {error}")),
        _ => Ok(()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds from 0.1 to 86400".to_owned())
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Text => Self::Text,
            FormatArg::Json => Self::Json,
            FormatArg::Junit => Self::Junit,
            FormatArg::Markdown => Self::Markdown,
        }
    }
}
