//! Checks that a panic in a plugin becomes an error for the caller, and that the process continues.

use super::case::{ABORT, ABORTED, Case, cases};

cases! {
    panic_in_connect_is_an_error: Case::panic("predict", "asked to panic in connect").at("panics:/connect", "");
    panic_in_predict_is_an_error: Case::panic("predict", "asked to panic now").at("panics", "now");
    panic_after_an_await_is_an_error: Case::panic("predict", "asked to panic later").at("panics", "later");
    panic_in_blocking_work_is_an_error: Case::panic("predict", "asked to panic in blocking").at("panics", "blocking");
    panic_in_the_drop_of_a_payload_is_an_error: Case::panic("predict", "PLUGIN_PANICKED").at("panics", "payload");
    // The plugin knows the deadline too. Either the host or the plugin notices first that the deadline has passed.
    panic_in_the_drop_of_a_cancelled_call_is_an_error:
        Case::panic("predict", "DEADLINE_EXCEEDED: | asked to panic in drop").at("panics", "drop").with_timeout();
    panic_in_close_is_logged:
        Case::panic("predict", "answer [1]").at("panics:/close", "").logs("asked to panic in close");
    panic_in_a_stream_is_an_error:
        Case::panic("predict_stream", "asked to panic in a stream").at("panics", "stream");
    panic_in_create_deployment_is_an_error: Case::panic("create_deployment", "asked to panic in create_deployment");
    panic_in_update_deployment_is_an_error: Case::panic("update_deployment", "asked to panic in update_deployment");
    panic_in_delete_deployment_is_an_error: Case::panic("delete_deployment", "asked to panic in delete_deployment");
    panic_in_get_deployment_is_an_error: Case::panic("get_deployment", "asked to panic in get_deployment");
    panic_in_list_deployments_is_an_error: Case::panic("list_deployments", "asked to panic in list_deployments");
    panic_in_create_endpoint_is_an_error: Case::panic("create_endpoint", "asked to panic in create_endpoint");
    panic_in_update_endpoint_is_an_error: Case::panic("update_endpoint", "asked to panic in update_endpoint");
    panic_in_delete_endpoint_is_an_error: Case::panic("delete_endpoint", "asked to panic in delete_endpoint");
    panic_in_get_endpoint_is_an_error: Case::panic("get_endpoint", "asked to panic in get_endpoint");
    panic_in_list_endpoints_is_an_error: Case::panic("list_endpoints", "asked to panic in list_endpoints");
    panic_in_explain_is_an_error: Case::panic("explain", "asked to panic in explain");
    panic_in_invoke_is_an_error: Case::panic("invoke", "asked to panic in invoke");
    panic_in_run_local_is_an_error: Case::panic("run_local", "asked to panic in run_local");
    panic_in_target_help_is_an_error: Case::panic("target_help", "asked to panic in target_help");
    panic_in_a_panic_ends_the_process: Case::abort(ABORT, ABORTED).at("panics", "twice");
}
