//! Warnings about settings of the user's configuration file that have no effect.

use std::path::PathBuf;

use mlflow_deploy_plugin_api::nearest;

/// The plugins that the user's configuration file names. Settings of a plugin that is not found have no effect.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfiguredPlugins {
    pub(crate) file: PathBuf,
    /// True if the configuration file may exist, but access to its directory is denied.
    pub(crate) is_inaccessible: bool,
    pub(crate) names: Vec<String>,
}

/// A warning about a setting that has no effect, or about a configuration file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigWarning {
    /// The plugin that the setting was probably meant for; `None` if it may be any plugin.
    pub(crate) plugin: Option<String>,
    pub(crate) message: String,
}

impl ConfiguredPlugins {
    /// Returns a warning for each configured plugin that is not in `discovered`. Also warns if the configuration file
    /// is inaccessible.
    pub(crate) fn warnings(&self, discovered: &[&str]) -> Vec<ConfigWarning> {
        let file = self.file.display();
        let inaccessible = self.is_inaccessible.then(|| ConfigWarning {
            plugin: None,
            message: format!(
                "`{file}` is not read: access to its directory is denied; set `XDG_CONFIG_HOME` to a readable directory"
            ),
        });
        let missing = self.names.iter().filter(|name| !discovered.contains(&name.as_str())).map(|name| {
            let similar = nearest(name, discovered.iter().copied());
            let hint = similar.map(|similar| format!("; did you mean `{similar}`?")).unwrap_or_default();
            let message = format!("`{file}` configures the plugin `{name}`, which is not found{hint}");
            ConfigWarning { plugin: Some(similar.unwrap_or(name).to_owned()), message }
        });
        inaccessible.into_iter().chain(missing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_plugin_that_is_not_found_gives_a_warning() {
        let names = ["lcal", "mine", "openai"].map(str::to_owned).to_vec();
        let configured = ConfiguredPlugins { file: "/config.toml".into(), is_inaccessible: false, names };
        let warning = |plugin: &str, message: &str| ConfigWarning {
            plugin: Some(plugin.to_owned()),
            message: message.to_owned(),
        };
        assert_eq!(
            configured.warnings(&["local", "openai"]),
            [
                warning(
                    "local",
                    "`/config.toml` configures the plugin `lcal`, which is not found; did you mean `local`?"
                ),
                warning("mine", "`/config.toml` configures the plugin `mine`, which is not found"),
            ]
        );
        assert_eq!(ConfiguredPlugins::default().warnings(&["local"]), []);
    }
}
