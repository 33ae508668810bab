//! The command: reads its arguments, runs the cases, and writes the report.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use mlflow_deploy::{Replacement, command};
use mlflow_deploy_conformance::report::{Format, list_as_markdown, list_as_text};
use mlflow_deploy_conformance::{Config, Options, run};
use mlflow_deploy_plugin_api::text;

/// Proves a deployment plugin of mlflow-deploy right
///
/// Each case runs in a process of its own, so that a plugin that crashes or hangs is a result. Ends with 0 where the
/// plugin is conformant, 1 where it is not, and 2 where that could not be found out.
#[derive(Debug, Parser)]
#[command(name = "mlflow-deploy-conformance", version)]
struct Arguments {
    /// The plugin's shared library
    #[arg(required_unless_present = "list")]
    plugin: Option<PathBuf>,
    /// What has to be known of the target: options, environment, and calls that work
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run the plugin in a process of its own, as hosts isolate plugins; cases that look inside are skipped
    #[arg(long)]
    isolated: bool,
    /// The program that isolates it; MLFLOW_DEPLOY_PLUGIN_HOST, or the `mlflow-deploy-plugin-host` beside this one, else
    #[arg(long, value_name = "FILE", requires = "isolated")]
    plugin_host: Option<PathBuf>,
    /// Only these cases, by their names or the first words of them, such as `load`
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    only: Vec<String>,
    /// Show the cases instead of running them
    #[arg(long)]
    list: bool,
    /// How the report is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Written,
    /// A file for the report, in the place of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where what is made up begins; the same seed makes up the same
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many seconds a case may take; a reply may take a third of it
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds)]
    timeout: f64,
    /// How many cases run at once; as many as there are processors where nothing is said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Written {
    /// For a person
    #[default]
    Text,
    /// One JSON document
    Json,
    /// JUnit's XML
    Junit,
    /// A table
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
            // Where nobody reads errors, there is nobody to tell.
            let _closed = writeln!(io::stderr().lock(), "{}", text::message(&format!("error: {error}")));
            ExitCode::from(2)
        },
        ExitCode::from,
    )
}

fn work(arguments: &Arguments) -> Result<u8, String> {
    let (written, code) = match &arguments.plugin {
        Some(plugin) if !arguments.list => {
            let mut options = Options::default();
            if let Some(path) = &arguments.config {
                options.config = Config::read(path).map_err(|error| error.to_string())?;
            }
            options.isolated = arguments.isolated;
            options.plugin_host.clone_from(&arguments.plugin_host);
            options.only.clone_from(&arguments.only);
            options.seed = arguments.seed.unwrap_or(options.seed);
            options.timeout = Duration::from_secs_f64(arguments.timeout);
            options.jobs = arguments.jobs.map_or(options.jobs, usize::from);
            let report = run(plugin, &options).map_err(|fault| fault.to_string())?;
            (report.write(arguments.format.into()), report.exit_code())
        }
        _ => match arguments.format {
            Written::Text => (list_as_text(), 0),
            Written::Markdown => (list_as_markdown(), 0),
            Written::Json | Written::Junit => {
                return Err("the list of cases is written as `text` or as `markdown`".to_owned());
            }
        },
    };
    match &arguments.output {
        Some(path) => Replacement::write(path, written.as_bytes())
            .map_err(|error| format!("failed to write the report to `{}`: {error}", path.display()))?,
        None => print(&written)?,
    }
    Ok(code)
}

/// Writes to standard output. A reader that has read enough closes the pipe, which is no error.
fn print(text: &str) -> Result<(), String> {
    match command::stdout().and_then(|mut stdout| stdout.write_all(text.as_bytes())) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("failed to write the output: {error}")),
        _ => Ok(()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds, from 0.1 to 86400".to_owned())
}

impl From<Written> for Format {
    fn from(written: Written) -> Self {
        match written {
            Written::Text => Self::Text,
            Written::Json => Self::Json,
            Written::Junit => Self::Junit,
            Written::Markdown => Self::Markdown,
        }
    }
}
