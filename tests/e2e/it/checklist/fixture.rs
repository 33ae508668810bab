//! A client of the test plugin `faketarget`.

use mlflow_deploy::{DeployClient, Host, blocking};
use mlflow_deploy_test_support::cdylib;

pub(super) const F_TARGET: &str = "faketarget";

pub(super) fn host() -> Host {
    Host::builder().search_path([""; 0]).plugin(cdylib::path("mlflow-deploy-fixture-faketarget")).build()
}

pub(super) fn client() -> DeployClient {
    blocking::wait(host().get_deploy_client(Some(F_TARGET))).unwrap()
}
