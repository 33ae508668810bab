//! The parser of the whole command line: the options that all verbs share, and the help text with the exit codes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueHint};

use super::common::NameOrEndpoint;
use super::verbs::Verb;

/// Deploy models and get predictions. Each deployment target is a plugin.
#[derive(Debug, Parser)]
#[command(name = "mlflow-deploy", version, disable_help_subcommand = true, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,

    #[command(flatten)]
    pub(crate) global: Global,
}

/// The options that all verbs share.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Print results as JSON on stdout and errors as JSON on stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Do not escape control characters in results that are printed to a terminal.
    #[arg(long, global = true)]
    pub(crate) raw: bool,

    /// Search this directory for plugins first. Can be repeated.
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) plugin_dir: Vec<PathBuf>,

    /// Use this plugin file for its schemes. Can be repeated.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) plugin: Vec<PathBuf>,

    /// Like `--plugin`, without checking the owner and permissions of the file and its directory. Can be repeated.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trusted_plugin: Vec<PathBuf>,

    /// Load only plugins that match the lock file.
    #[arg(long, global = true)]
    pub(crate) locked: bool,

    /// The lock file [default: `mlflow-deploy.lock` in the current directory]. Implies `--locked`.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) lock_file: Option<PathBuf>,

    /// Run each plugin in its own process, with only the environment variables that it declares.
    #[arg(long, global = true)]
    pub(crate) isolate: bool,

    /// Print more to stderr: `-v` for progress, `-vv` for debugging.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print only errors to stderr.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// The verbs that have verbs of their own.
const VERB_GROUPS: [&str; 2] = ["plugins", "targets"];

/// The part of a command line before its verb, and the rest of it.
#[derive(Debug, Parser)]
struct BeforeVerb {
    #[command(flatten)]
    global: Global,

    #[command(subcommand)]
    rest: Rest,
}

/// The verb and everything after it.
#[derive(Debug, Subcommand)]
enum Rest {
    #[command(external_subcommand)]
    Arguments(Vec<OsString>),
}

impl Global {
    /// Adds the values of repeated options that precede the verb, because the parser forgets them if the verb has the
    /// same option. `line` is a valid command line.
    fn add_options_before_the_verb(&mut self, line: impl Iterator<Item = OsString>) {
        let mut rest: Vec<_> = line.collect();
        let is_group = |verb: &OsString| VERB_GROUPS.iter().any(|group| verb == group);
        let is_verb = |argument: &OsString| !argument.as_encoded_bytes().starts_with(b"-") && !is_group(argument);
        if rest.get(1).is_none_or(is_verb) {
            return;
        }
        let program = rest.remove(0);
        let (mut verbs, mut parts) = (vec![program.clone()], Vec::new());
        while let Ok(part) = BeforeVerb::try_parse_from([program.clone()].into_iter().chain(rest.clone())) {
            parts.push(part.global);
            let Rest::Arguments(arguments) = part.rest;
            rest = arguments;
            if !rest.first().is_some_and(is_group) {
                break;
            }
            verbs.push(rest.remove(0));
        }
        let Ok(Cli { global: last, .. }) = Cli::try_parse_from(verbs.into_iter().chain(rest)) else { return };
        parts.push(last);
        let all = |values: fn(&Self) -> &[PathBuf]| parts.iter().flat_map(values).cloned().collect();
        self.plugin_dir = all(|part| &part.plugin_dir);
        self.plugin = all(|part| &part.plugin);
        self.trusted_plugin = all(|part| &part.trusted_plugin);
        self.verbose = parts.iter().fold(0, |sum: u8, part| sum.saturating_add(part.verbose));
    }
}

impl Cli {
    /// Parses the command-line arguments of this process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut cli = Self::try_parse()?;
        cli.global.add_options_before_the_verb(std::env::args_os());
        // The parser misses a conflict of one option before the verb and another after it.
        if cli.global.quiet && cli.global.verbose > 0 {
            let message = "the argument '--quiet' cannot be used with '--verbose': use one of them";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        match &cli.verb {
            Verb::Predict { arguments, .. } => exactly_one("predict", &arguments.resource)?,
            Verb::PredictBatch(verb) => exactly_one("predict-batch", &verb.resource)?,
            Verb::Explain { arguments, .. } => exactly_one("explain", &arguments.resource)?,
            _ => {}
        }
        Ok(cli)
    }
}

/// Fails unless exactly one of `--name` and `--endpoint` is given. The error message is the same as in MLflow.
fn exactly_one(verb: &str, resource: &NameOrEndpoint) -> Result<(), clap::Error> {
    let kind = match (&resource.name, &resource.endpoint) {
        (Some(_), Some(_)) => ErrorKind::ArgumentConflict,
        (None, None) => ErrorKind::MissingRequiredArgument,
        _ => return Ok(()),
    };
    let mut command = Cli::command();
    command.build();
    let verb = command.find_subcommand_mut(verb).expect("the verb has been parsed");
    Err(verb.error(kind, "Must specify exactly one of --name or --endpoint."))
}

const AFTER_HELP: &str = "\
Exit codes: 0 success · 1 error reported by the target · 2 invalid usage or input, missing \
credentials, or unsupported operation · 3 plugin not found or not loadable · \
4 plugin failure · 5 resource does not exist · 6 timeout · 130 interrupted";

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    fn assert_global_options(command: &Command, globals: &[&str]) {
        for global in globals {
            let has_option = command.get_arguments().any(|argument| argument.get_long() == Some(global));
            assert!(has_option, "`{}` has an argument with the id of `--{global}`", command.get_name());
        }
        command.get_subcommands().for_each(|verb| assert_global_options(verb, globals));
    }

    #[test]
    fn repeated_options_count_before_and_after_the_verb() {
        for (line, directories, files, trusted, verbose) in [
            ("--plugin-dir a --plugin x -v plugins list --plugin-dir b -v", "a b", "x", "", 2),
            ("--plugin-dir=a --plugin-dir b plugins list --plugin x --plugin y", "a b", "x y", "", 0),
            ("plugins list --plugin-dir b --plugin-dir a -vv", "b a", "", "", 2),
            ("-q --plugin-dir a plugins list", "a", "", "", 0),
            ("-v --plugin-dir a targets --plugin-dir b", "a b", "", "", 1),
            ("--plugin-dir a targets --plugin-dir b check --plugin-dir c -v", "a b c", "", "", 1),
            ("--trusted-plugin t --plugin-dir a plugins --plugin-dir b list --plugin-dir c", "a b c", "", "t", 0),
            ("--trusted-plugin t -vv predict -t x --name n -I - --trusted-plugin u -v", "", "", "t u", 3),
        ] {
            let line: Vec<OsString> = format!("mlflow-deploy {line}").split(' ').map(OsString::from).collect();
            let mut cli = Cli::try_parse_from(&line).unwrap();
            cli.global.add_options_before_the_verb(line.into_iter());
            let paths = |text: &str| text.split_ascii_whitespace().map(PathBuf::from).collect::<Vec<_>>();
            assert_eq!((cli.global.plugin_dir, cli.global.plugin), (paths(directories), paths(files)));
            assert_eq!((cli.global.trusted_plugin, cli.global.verbose), (paths(trusted), verbose));
        }
    }

    #[test]
    fn every_verb_takes_the_global_options() {
        let mut command = Cli::command();
        command.build();
        let globals = command.get_arguments().filter(|argument| argument.is_global_set());
        let globals: Vec<_> = globals.filter_map(|argument| argument.get_long()).collect();
        assert!(globals.contains(&"plugin"), "{globals:?}");
        assert_global_options(&command, &globals);
    }
}
