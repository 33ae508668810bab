//! Checks at compile time that a client implements the operations that its plugin lists, and lists those that it
//! implements.
//!
//! The default body of an operation returns a `NotImplemented`. Its layout differs from that of other futures, and a
//! constant can ask for the layout of a future, so that `cargo check` finds the fault.

use super::not_implemented::MARK;
use crate::args::{self, RunLocal};
use crate::{Chunks, DeploymentClient};

/// The end of the message for an operation without an implementation.
const NOT_IMPLEMENTED: &str = "` is listed in `operations` but not implemented";
/// The end of the message for an operation that is not in the list.
const NOT_LISTED: &str = "` is implemented but not listed in `operations`: hosts would not call it";

/// Fails the build if the client lacks one of the `listed` operations.
pub const fn check_implemented<C: DeploymentClient>(listed: &[&str]) {
    check::<C>(listed, true, NOT_IMPLEMENTED);
}

/// Fails the build if the client implements an operation that is not `listed`.
pub const fn check_listed<C: DeploymentClient>(listed: &[&str]) {
    check::<C>(listed, false, NOT_LISTED);
}

/// Declares `check`, which knows each operation's method.
macro_rules! check {
    ($($operation:ident = $arguments:ident),* $(,)?) => {
        /// Fails the build for an operation that is listed, or is not, and for which the implementation is the other.
        const fn check<C: DeploymentClient>(listed: &[&str], is_listed: bool, fault: &str) {
            $({
                const NAME: &str = stringify!($operation);
                let is_implemented = is_implemented(C::$operation as fn(&'static C, args::$arguments) -> _);
                if contains(listed, NAME) == is_listed && is_implemented != is_listed {
                    fail(NAME, fault);
                }
            })*
            let streams = is_implemented_stream(C::predict_stream as fn(&'static C, _, &'static mut Chunks) -> _);
            if contains(listed, "predict_stream") == is_listed && streams != is_listed {
                fail("predict_stream", fault);
            }
            let runs = is_implemented_run(C::run_local as fn(RunLocal, &'static mut Chunks) -> _);
            if contains(listed, "run_local") == is_listed && runs != is_listed {
                fail("run_local", fault);
            }
        }
    };
}

check! {
    create_deployment = CreateDeployment,
    update_deployment = UpdateDeployment,
    delete_deployment = DeleteDeployment,
    get_deployment = GetDeployment,
    list_deployments = ListDeployments,
    create_endpoint = CreateEndpoint,
    update_endpoint = UpdateEndpoint,
    delete_endpoint = DeleteEndpoint,
    get_endpoint = GetEndpoint,
    list_endpoints = ListEndpoints,
    predict = Predict,
    explain = Explain,
    invoke = Invoke,
}

const fn is_implemented<C, A, F>(_method: fn(&'static C, A) -> F) -> bool {
    is_other_future::<F>()
}

const fn is_implemented_stream<C, A, F>(_method: fn(&'static C, A, &'static mut Chunks) -> F) -> bool {
    is_other_future::<F>()
}

const fn is_implemented_run<F>(_method: fn(RunLocal, &'static mut Chunks) -> F) -> bool {
    is_other_future::<F>()
}

const fn is_other_future<F>() -> bool {
    size_of::<F>() != 0 || align_of::<F>() != MARK
}

const fn contains(names: &[&str], name: &str) -> bool {
    let mut at = 0;
    while at < names.len() {
        if crate::manifest::embed::is_same(names[at].as_bytes(), name.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn fail(operation: &str, fault: &str) -> ! {
    crate::manifest::embed::Message::new().text("`").text(operation).text(fault).fail()
}
