//! The checks of MLflow's own tests, under their names: `deployments/test_deployments.py`,
//! `test_interface.py`, `test_utils.py` and `test_cli.py`. The fixture replies as the plugin of those tests does.

mod cli;
mod deployments;
mod interface;

use mlflow_deploy::{DeployClient, Host, blocking};
use mlflow_deploy_test_support::cdylib;

const F_TARGET: &str = "faketarget";

fn host() -> Host {
    Host::builder().search_path([""; 0]).plugin(cdylib::path("mlflow-deploy-fixture-faketarget")).build()
}

fn client() -> DeployClient {
    blocking::wait(host().get_deploy_client(Some(F_TARGET))).unwrap()
}
