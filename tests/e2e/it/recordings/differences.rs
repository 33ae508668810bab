//! The deliberate differences from MLflow's clients. Each has the expected outcome, and the number of its explanation
//! in the plugin's README.

/// A deliberate difference from one of MLflow's clients.
pub(super) struct Difference {
    /// The name of the recording that differs.
    pub(super) name: &'static str,
    /// The number or a text of the explanation of this difference in the plugin's README.
    pub(super) number: &'static str,
    /// The expected number of requests that the replay sends.
    pub(super) requests: usize,
    /// The expected outcome of the replay.
    pub(super) outcome: Outcome,
}

/// The expected outcome of a replayed call.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    /// The call succeeds and returns a result.
    Answers,
    /// The call fails with this error code.
    Fails(&'static str),
}

use Outcome::{Answers, Fails};

const fn difference(name: &'static str, number: &'static str, requests: usize, outcome: Outcome) -> Difference {
    Difference { name, number, requests, outcome }
}

pub(super) const GATEWAY: &[Difference] = &[
    difference("gw_connection_dropped_always", "B5", 1, Fails("TEMPORARILY_UNAVAILABLE")),
    difference("gw_predict_500_exhausted", "B5", 1, Fails("INTERNAL_ERROR")),
    difference("gw_predict_read_timeout", "B5", 1, Fails("DEADLINE_EXCEEDED")),
    difference("gw_bom_response", "B9", 1, Answers),
    difference("gw_predict_stream_flag", "B13", 1, Fails("INTERNAL_ERROR")),
    difference("gw_predict_stream_unimplemented", "B13", 1, Answers),
    difference("gw_predict_name_slash_space", "B15", 1, Answers),
    difference("gw_list_endpoints_null_endpoints", "B17", 1, Answers),
    difference("gw_list_endpoints_empty_token", "empty page token", 1, Answers),
    difference("gw_get_endpoint_missing_limit", "B18", 1, Answers),
    difference("gw_get_endpoint_missing_url", "B18", 1, Answers),
    difference("gw_predict_302", "Redirects", 1, Fails("BAD_REQUEST")),
    difference("gw_predict_308_loop", "Redirects", 11, Fails("BAD_REQUEST")),
    difference("gw_predict_nan", "`NaN`", 1, Answers),
    difference("gw_predict_not_serializable", "`NaN`", 1, Answers),
];

pub(super) const OPENAI: &[Difference] = &[
    difference("oai_connection_dropped", "B5", 1, Fails("TEMPORARILY_UNAVAILABLE")),
    difference("oai_truncated_body", "B5", 1, Fails("TEMPORARILY_UNAVAILABLE")),
    difference("oai_predict_extra_params_dropped", "B10", 1, Answers),
    difference("oai_get_endpoint_slash_unicode", "B11", 1, Answers),
    difference("oai_list_endpoints_via_proxy", "B11", 6, Fails("TEMPORARILY_UNAVAILABLE")),
    difference("oai_list_endpoints", "B12", 1, Answers),
    difference("oai_no_key", "B12", 1, Answers),
    difference("oai_predict_stream_unimplemented", "B13", 1, Answers),
    difference("oai_get_endpoint_404", "no route for a single model", 2, Fails("RESOURCE_DOES_NOT_EXIST")),
    difference("oai_predict_endpoint_none", "B19", 0, Fails("INVALID_PARAMETER_VALUE")),
];

pub(super) const DATABRICKS: &[Difference] = &[
    difference("db_predict_422", "B3", 1, Fails("INVALID_PARAMETER_VALUE")),
    difference("db_predict_404_empty", "B4", 1, Fails("RESOURCE_DOES_NOT_EXIST")),
    difference("db_predict_501", "B4", 1, Fails("NOT_IMPLEMENTED")),
    difference("db_predict_504", "B4", 1, Fails("DEADLINE_EXCEEDED")),
    difference("db_backoff_timing", "B5", 1, Fails("INTERNAL_ERROR")),
    difference("db_predict_500_exhausted", "B5", 1, Fails("INTERNAL_ERROR")),
    difference("db_predict_500_then_ok", "B5", 1, Fails("INTERNAL_ERROR")),
    difference("db_stream_500_exhausted", "B5", 1, Fails("INTERNAL_ERROR")),
    difference("db_delete_endpoint_204", "B9", 1, Answers),
    difference("db_delete_endpoint_empty_body", "B9", 1, Answers),
    difference("db_private_link", "B9", 2, Fails("INTERNAL_ERROR")),
    difference("db_stream_error_event", "B14", 1, Fails("INTERNAL_ERROR")),
    difference("db_stream_json_instead_of_sse", "B14", 1, Answers),
    difference("db_stream_no_done", "`finish_reason`", 1, Fails("TEMPORARILY_UNAVAILABLE")),
    difference("db_stream_unicode_linesep", "B14", 1, Answers),
    difference("db_get_endpoint_slash_space", "B15", 1, Answers),
    difference("db_predict_list_result", "B17", 1, Answers),
    difference("db_update_endpoint_tags_list_response", "B17", 1, Answers),
    difference("db_get_endpoint_empty", "B19", 0, Fails("INVALID_PARAMETER_VALUE")),
    difference("db_get_endpoint_none", "B19", 0, Fails("INVALID_PARAMETER_VALUE")),
    difference("db_predict_inputs_none", "B19", 0, Fails("INVALID_PARAMETER_VALUE")),
    difference("db_302", "Redirects", 1, Fails("BAD_REQUEST")),
    difference("db_error_retry_string", "not a reason to retry", 1, Fails("INVALID_STATE")),
    difference("db_workspace_id_metadata", "The workspace's id", 1, Answers),
];
