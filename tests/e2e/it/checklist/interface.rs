//! The tests of MLflow's `deployments/test_interface.py` and `test_utils.py`, repeated with this project's library. A
//! test that needs an environment variable starts the command instead, and sets the variable for it.

use mlflow_deploy::{Error, ErrorCode, blocking};

use super::host;
use crate::command::mlflow_deploy;

#[test]
fn test_get_deploy_client_no_args() {
    // MLflow returns None here.
    assert!(matches!(blocking::wait(host().get_deploy_client(None)), Err(Error::NoTarget)));
    assert!(matches!(host().get_deployments_target(), Err(Error::NoTarget)));
}

#[test]
fn test_set_deployments_target() {
    let host = host();
    // MLflow rejects the first two targets.
    for target in ["faketarget", "faketarget:/x", "faketarget://profile", "MIRROR"] {
        host.set_deployments_target(target).unwrap();
        assert_eq!(host.get_deployments_target().unwrap().as_str(), target);
        blocking::wait(host.get_deploy_client(None)).unwrap();
    }
}

#[test]
fn test_set_deployments_target_rejects_unknown_targets() {
    let host = host();
    host.set_deployments_target("mirror").unwrap();
    // MLflow accepts the last target.
    for (target, code) in [
        ("", ErrorCode::INVALID_PARAMETER_VALUE),
        ("localhost", ErrorCode::PLUGIN_NOT_FOUND),
        ("foo://x", ErrorCode::PLUGIN_NOT_FOUND),
    ] {
        assert_eq!(host.set_deployments_target(target).unwrap_err().code(), &code, "{target}");
    }
    assert_eq!(host.get_deployments_target().unwrap().as_str(), "mirror", "the earlier target is kept");
}

#[test]
fn test_deployments_target_by_environment() {
    let list = || mlflow_deploy("list --json").plugin("mlflow-deploy-fixture-faketarget");
    let ran = list().env("MLFLOW_DEPLOYMENTS_TARGET", "faketarget").run();
    assert_eq!(ran.json()[0]["name"], "fake_deployment_name");
    assert_eq!(list().env("MLFLOW_DEPLOYMENTS_TARGET", "").run().code, 2);
    let wrong = list().env("MLFLOW_DEPLOYMENTS_TARGET", "://x").run();
    assert_eq!((wrong.code, wrong.stderr.contains("invalid target URI `")), (2, true), "{wrong:?}");
}
