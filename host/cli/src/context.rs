//! What a verb is run with: the host and the report. It finds targets, reads what is meant for them, and makes clients.

use std::any::Any;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mlflow_deploy::{ClientOptions, Config, DeployClient, Discovery, Host, Target};
use serde_json::Value;

use crate::args::{Client, ConfigArguments};
use crate::report::{CliError, Report};
use crate::settings::{Kind, Schema, merge};

/// What a verb is run with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) host: Host,
    pub(crate) report: Report,
    /// Clients and calls that are dropped when the result is written: a plugin may not return from that.
    held: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Context {
    pub(crate) fn new(host: Host, report: Report) -> Self {
        Self { host, report, held: Mutex::default() }
    }

    /// Keeps what ends something in a plugin when it is dropped, until the result of the verb is written.
    pub(crate) fn hold(&self, value: impl Any + Send) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(value));
    }

    /// All that is on the search path; says what should be known of it.
    pub(crate) fn discover(&self) -> Discovery {
        let discovery = self.host.discover();
        discovery.warnings().for_each(|warning| self.report.talk().warning(warning));
        discovery
    }

    /// The target that is meant. Nothing of its plugin runs yet.
    pub(crate) fn target(&self, arguments: &Client) -> Result<Target, CliError> {
        Ok(self.host.target(arguments.target.target.as_deref())?)
    }

    /// A client of the target that is meant.
    pub(crate) async fn client(&self, arguments: &Client) -> Result<DeployClient, CliError> {
        self.open(&self.target(arguments)?, arguments).await
    }

    /// The same, and the config of an operation. What the user gave is read before the plugin is loaded: what is wrong
    /// with it is said at once.
    pub(crate) async fn client_and_config(
        &self,
        arguments: &Client,
        operation: &str,
        config: &ConfigArguments,
    ) -> Result<(DeployClient, Config), CliError> {
        let target = self.target(arguments)?;
        let config = self.config(&target, operation, config)?;
        Ok((self.open(&target, arguments).await?, config))
    }

    /// The config of an operation, MLflow's or the target's own, as the target's manifest types it.
    pub(crate) fn config(
        &self,
        target: &Target,
        operation: &str,
        arguments: &ConfigArguments,
    ) -> Result<Config, CliError> {
        let schema = Schema::new(target.manifest().config.get(operation).and_then(Value::as_object));
        let file = arguments.file.as_deref();
        Ok(Config::new(&merge(Kind::Config, file, &arguments.settings, schema, self.report.talk())?)?)
    }

    /// Makes the client. The limit holds for all of the verb: the call gets what loading and opening leave of it.
    pub(crate) async fn open(&self, target: &Target, arguments: &Client) -> Result<DeployClient, CliError> {
        let schema = Schema::new(Some(&target.manifest().options));
        let file = arguments.options_file.as_deref();
        let options = merge(Kind::Option, file, &arguments.options, schema, self.report.talk())?;
        let begun = Instant::now();
        let client = target.open(&ClientOptions::new(&options)?, arguments.timeout).await?;
        self.hold(client.clone());
        Ok(client.with_timeout(arguments.timeout.map(|limit| limit.saturating_sub(begun.elapsed()))))
    }
}
