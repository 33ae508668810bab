//! The checks of MLflow's own tests, under their names: `deployments/test_deployments.py`,
//! `test_interface.py`, `test_utils.py` and `test_cli.py`. The fixture replies as the plugin of those tests does.

mod cli;
mod deployments;
mod fixture;
mod interface;

use fixture::{F_TARGET, client, host};
