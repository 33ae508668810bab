//! A model server on this machine.

use mlflow_deploy_plugin_api::ffi::RemoteStream;
use mlflow_deploy_plugin_api::{ErrorCode, Payload, Result};

/// A model server on this machine, started by [`Host::run_local`](crate::Host::run_local). Dropping the value stops the
/// server, but does not wait until it has stopped.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-fixture-faketarget");
/// # let target_uri = "faketarget".to_owned();
/// # mlflow_deploy::blocking::wait(async {
/// use mlflow_deploy::args::RunLocal;
/// use mlflow_deploy::{Host, Record};
///
/// let host = Host::builder().plugin(plugin).build();
/// let arguments = RunLocal { target_uri, ..RunLocal::new("iris", "./iris") };
/// let mut server = host.run_local(arguments).await?;
/// if let Some(event) = server.next().await {
///     assert_eq!(Record::try_from(&event?)?["event"], "ready");
/// }
/// server.stop().await?;
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

    /// Returns the next event, such as `{"event":"ready","url":…}` once the server is ready; `None` after it has
    /// stopped.
    ///
    /// If the server fails, the last event is an error, such as `RESOURCE_DOES_NOT_EXIST` if the model does not exist.
    pub async fn next(&mut self) -> Option<Result<Payload>> {
        self.events.next().await
    }

    /// Stops the server and waits until it has stopped.
    ///
    /// # Errors
    /// The error of the plugin.
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
