//! The state that every verb needs: the host, the writer of results, and the deadline. Resolves targets, reads
//! settings, and opens clients.

use std::any::Any;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use mlflow_deploy::settings::Schema;
use mlflow_deploy::{ClientOptions, Config, DeployClient, Discovery, Host, Secret, Target};
use mlflow_deploy_plugin_api::{Deadline, sync};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::args::{ClientArguments, ConfigArguments};
use crate::report::{CliError, Report};
use crate::retries;
use crate::settings::{SettingKind, merge};

/// The state that every verb needs: the host, the writer of results, and the deadline.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) host: Host,
    pub(crate) report: Report,
    /// The deadline of the verb. The executor ends a verb that exceeds it.
    deadline: watch::Sender<Option<Deadline>>,
    /// The clients and calls to drop after the result is written, because a plugin may block when they are dropped.
    kept_alive: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Context {
    pub(crate) fn new(host: Host, report: Report, deadline: watch::Sender<Option<Deadline>>) -> Self {
        Self { host, report, deadline, kept_alive: Mutex::default() }
    }

    /// Keeps a value until the result of the verb is written, because the drop of the value may block.
    pub(crate) fn keep_alive(&self, value: impl Any + Send) {
        sync::lock(&self.kept_alive).push(Box::new(value));
    }

    /// Searches for plugins and prints the warnings of the search.
    pub(crate) fn discover(&self) -> Discovery {
        let discovery = self.host.discover();
        discovery.warnings().for_each(|warning| self.report.stderr().warning(warning));
        discovery
    }

    /// Returns the target that the arguments select, without loading its plugin.
    pub(crate) fn target(&self, arguments: &ClientArguments) -> Result<Target, CliError> {
        Ok(self.host.target(arguments.target.target.as_deref())?)
    }

    /// Opens a client of the target that the arguments select.
    pub(crate) async fn client(&self, arguments: &ClientArguments) -> Result<DeployClient, CliError> {
        self.open(&self.target(arguments)?, arguments).await
    }

    /// Reads the config of an operation, then opens a client. An invalid config is reported without loading the plugin.
    pub(crate) async fn client_and_config(
        &self,
        arguments: &ClientArguments,
        operation: &str,
        config: &ConfigArguments,
    ) -> Result<(DeployClient, Config), CliError> {
        let target = self.target(arguments)?;
        let config = self.config(&target, operation, config)?;
        Ok((self.open(&target, arguments).await?, config))
    }

    /// Reads the config of an operation. The manifest of the target's plugin gives the types of the keys.
    pub(crate) fn config(
        &self,
        target: &Target,
        operation: &str,
        arguments: &ConfigArguments,
    ) -> Result<Config, CliError> {
        let schema = Schema::new(target.manifest().config.get(operation).and_then(Value::as_object));
        let config = self.settings(SettingKind::Config, arguments.file.as_deref(), &arguments.settings, schema)?;
        Ok(Config::new(&config)?)
    }

    /// Opens a client of the target. Loading the plugin, opening the client and the calls of the client share one
    /// deadline.
    pub(crate) async fn open(&self, target: &Target, arguments: &ClientArguments) -> Result<DeployClient, CliError> {
        let options = self.options(target, arguments)?;
        if let (None, Some(timeout)) = (self.remaining(), timeout(target)) {
            self.deadline.send_replace(Some(Deadline::after(timeout)));
        }
        self.open_with(target, &options, None).await
    }

    /// Opens a client that does not send a request again, if the target has the option `max_retries`. Returns also the
    /// number of retries that the options, the named target, the environment or the target specify. The timeout of a named
    /// target applies to each call.
    pub(crate) async fn open_without_retries(
        &self,
        target: &Target,
        arguments: &ClientArguments,
    ) -> Result<(DeployClient, u32), CliError> {
        let mut options = self.options(target, arguments)?;
        if !options.contains_key(retries::OPTION) {
            let default = target.default_option(retries::OPTION, self.remaining()).await?;
            options.extend(default.map(|default| (retries::OPTION.to_owned(), default)));
        }
        let max_retries = retries::take(&mut options, target.manifest());
        Ok((self.open_with(target, &options, timeout(target)).await?, max_retries))
    }

    /// Opens a client. `timeout` is the time limit of each call if the verb has no deadline.
    async fn open_with(
        &self,
        target: &Target,
        options: &Map<String, Value>,
        timeout: Option<Duration>,
    ) -> Result<DeployClient, CliError> {
        let client = target.open(&ClientOptions::new(options)?, self.remaining()).await?;
        self.keep_alive(client.clone());
        Ok(client.with_timeout(self.remaining().or(timeout)))
    }

    /// Reads the client options. The manifest of the target's plugin gives the types of the keys.
    fn options(&self, target: &Target, arguments: &ClientArguments) -> Result<Map<String, Value>, CliError> {
        let schema = Schema::new(Some(&target.manifest().options));
        self.settings(SettingKind::Option, arguments.options_file.as_deref(), &arguments.options, schema)
    }

    fn settings(
        &self,
        kind: SettingKind,
        file: Option<&Path>,
        arguments: &[Secret],
        schema: Schema<'_>,
    ) -> Result<Map<String, Value>, CliError> {
        merge(kind, file, arguments, schema, self.report.stderr())
    }

    /// Returns the remaining time of the verb; `None` if it has no deadline.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.deadline.borrow().map(Deadline::remaining)
    }
}

/// Returns the timeout of a named target.
fn timeout(target: &Target) -> Option<Duration> {
    target.named()?.timeout
}
