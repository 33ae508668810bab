//! A model that is served on this machine: what its server says, and how it is stopped.

use mlflow_deploy_plugin_api::ffi::RemoteStream;
use mlflow_deploy_plugin_api::{ErrorCode, Payload, Result};

/// A model that a plugin serves on this machine. Dropping it stops the server without waiting for that.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-fixture-faketarget");
/// # let target_uri = "faketarget".to_owned();
/// # mlflow_deploy::blocking::wait(async {
/// use mlflow_deploy::args::RunLocal;
/// use mlflow_deploy::{Host, Record};
///
/// let host = Host::builder().plugin(plugin).build();
/// let asked = RunLocal { target_uri, name: "iris".to_owned(), model_uri: "./iris".to_owned(), ..RunLocal::default() };
/// let mut served = host.run_local(asked).await?;
/// if let Some(event) = served.next().await {
///     assert_eq!(Record::try_from(&event?)?["event"], "ready");
/// }
/// served.stop().await?;
/// # Ok::<(), mlflow_deploy::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct LocalDeployment {
    events: RemoteStream,
}

impl LocalDeployment {
    pub(crate) fn new(events: RemoteStream) -> Self {
        Self { events }
    }

    /// The next event, such as `{"event":"ready","url":…}` once the model answers; `None` when the server has stopped.
    ///
    /// An error is the last event, such as `RESOURCE_DOES_NOT_EXIST` where there is no such model.
    pub async fn next(&mut self) -> Option<Result<Payload>> {
        self.events.next().await
    }

    /// Stops the server, and returns when it has stopped.
    ///
    /// # Errors
    /// What the plugin answers.
    pub async fn stop(mut self) -> Result<()> {
        self.events.cancel();
        while let Some(event) = self.events.next().await {
            match event {
                Err(error) if *error.code() != ErrorCode::CANCELLED => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
