//! The checks of MLflow's own test files, under the same names: `deployments/test_deployments.py`, `test_interface.py`,
//! `test_utils.py` and `test_cli.py`. The plugin `faketarget` replies as the plugin of MLflow's tests does.

mod cli;
mod deployments;
mod fixture;
mod interface;

use fixture::{F_TARGET, client, host};
