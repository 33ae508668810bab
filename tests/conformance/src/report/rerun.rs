//! Builds the command that runs one case again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mlflow_deploy_plugin_api::text::shell_path;

/// The options of a run that only the command for running a case again needs. The report does not show them otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rerun {
    /// The path of the config file, or `None` if the run used no config file.
    pub(crate) config: Option<PathBuf>,
    pub(crate) plugin_host: Option<PathBuf>,
    pub(crate) strict: bool,
    /// The timeout of each case, or `None` if the run used the default.
    pub(crate) timeout: Option<Duration>,
}

impl Rerun {
    /// Returns the command that runs the case `case` again, quoted for a POSIX shell.
    pub(super) fn command(&self, plugin: &Path, isolated: bool, case: &str, seed: u64) -> String {
        let mut command = format!("mlflow-deploy-conformance {}", shell_path(plugin));
        let flags = [(isolated, " --isolated"), (self.strict, " --strict")];
        command.extend(flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag));
        let paths = [(&self.config, "--config"), (&self.plugin_host, "--plugin-host")];
        for (path, option) in paths.into_iter().filter_map(|(path, option)| Some((path.as_ref()?, option))) {
            let _ = write!(command, " {option} {}", shell_path(path));
        }
        if let Some(timeout) = self.timeout {
            let _ = write!(command, " --timeout {}", timeout.as_secs_f64());
        }
        command + &format!(" --only {case} --seed {seed}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_has_every_option_that_differs_from_the_default() {
        let rerun = Rerun {
            config: Some("it's/a config.toml".into()),
            plugin_host: Some("/opt/plugin-host".into()),
            strict: true,
            timeout: Some(Duration::from_millis(7500)),
        };
        let command = |rerun: &Rerun, isolated| rerun.command(Path::new("/a b/lib.so"), isolated, "load-quiet", 7);
        assert_eq!(
            command(&rerun, true),
            r"mlflow-deploy-conformance '/a b/lib.so' --isolated --strict --config 'it'\''s/a config.toml' --plugin-host /opt/plugin-host --timeout 7.5 --only load-quiet --seed 7"
        );
        assert_eq!(
            command(&Rerun::default(), false),
            "mlflow-deploy-conformance '/a b/lib.so' --only load-quiet --seed 7"
        );
    }
}
