//! Checks the faults of `tests/fixtures/misbehave`, with the plugin in the host's process and isolated. A good plugin
//! in the same host must reply afterwards, unless the fault ends the process of the host.

use super::case::{ABORT, ABORTED, Case, cases};

const SEGFAULT: &str = "signal: 11 (SIGSEGV) | signal: 11 (SIGSEGV) (core dumped)";

const ANSWER: &str = "answer [1]";
const HUNG: &str = "PLUGIN_CRASHED: the plugin's process did not respond for 10 s and was killed";
const LATE: &str = "DEADLINE_EXCEEDED: ";
const NOT_LOADED: &str = "PLUGIN_LOAD_FAILED: ";
const NO_RETURN: &str = "the call did not return";

// Faults during the load and the start of the plugin.
cases! {
    crash_in_the_constructor_ends_the_process: Case::exit("load-crash", ABORT, NOT_LOADED);
    crash_in_the_constructor_after_a_preflight_is_a_load_error: Case::result("load-crash", NOT_LOADED).with_preflight();
    hang_in_the_constructor_is_a_load_error: Case::result("load-hang", "did not finish loading within 10 s");
    null_table_is_a_load_error: Case::result("null-table", "`mlflow_deploy_plugin_v1` returned no table");
    table_of_four_bytes_is_a_load_error: Case::result("tiny-table", "`mlflow_deploy_plugin_v1` returned no table");
    table_of_abi_0_is_a_load_error:
        Case::result("past-abi", "uses plugin ABI 0, but this host supports ABI 1; upgrade the plugin");
    table_of_abi_2_is_a_load_error:
        Case::result("future-abi", "uses plugin ABI 2, but this host supports ABI 1; upgrade the host");
    table_without_open_is_a_load_error: Case::result("missing-open", "its table lacks the required function `open`");
    table_without_credit_is_a_load_error:
        Case::result("missing-credit", "its table lacks the required function `credit`");
    null_from_init_is_a_load_error: Case::result("init-null", "failed to start: the plugin's `init` failed");
    hang_in_init_is_a_load_error: Case::result("init-hang", "did not finish loading within 10 s");
    endless_events_from_init_are_a_load_error: Case::result("init-flood", "did not finish loading within 10 s");
    crash_in_init_ends_the_process: Case::exit("init-crash", ABORT, NOT_LOADED);
    crash_in_init_after_a_preflight_is_a_load_error: Case::result("init-crash", NOT_LOADED).with_preflight();
}

// Faults of replies, chunks and events.
cases! {
    open_without_a_reply_times_out: Case::result("open-never", LATE).with_timeout();
    error_from_open_is_returned: Case::result("open-fails", "UNAUTHENTICATED: refused by the fixture");
    call_without_a_reply_times_out: Case::result("no-reply", LATE).with_timeout();
    hang_in_a_slot_ends_an_isolated_process: Case::results("slot-hang", NO_RETURN, HUNG).with_timeout_in_process();
    reply_to_an_unknown_call_is_logged:
        Case::result("unknown-call-reply", ANSWER).logs("replied to a call that does not exist");
    replies_to_all_other_calls_are_logged:
        Case::result("foreign-replies", ANSWER).logs("replied to a call that does not exist");
    second_reply_is_logged: Case::result("double-reply", ANSWER).logs("or was already answered");
    replies_from_eight_threads_are_logged: Case::result("thread-replies", ANSWER).logs("or was already answered");
    reply_with_status_9_is_an_error: Case::result("bad-status", "it replied with the unknown status 9");
    null_slice_with_a_length_is_an_error: Case::result("null-slice", "it sent a slice that is NULL but not empty");
    head_that_is_not_json_is_an_error: Case::result("bad-head", "it replied with an invalid head: ");
    head_that_is_not_utf8_is_an_error: Case::result("bad-head-utf8", "it replied with an invalid head: ");
    error_that_is_not_json_is_an_error: Case::result("bad-error-json", "it replied with an invalid error: ");
    error_that_is_not_utf8_is_an_error: Case::result("bad-error-utf8", "it replied with an invalid error: ");
    body_that_is_not_utf8_is_returned: Case::result("bad-body-utf8", "answer [\\xff]");
    event_that_is_not_json_is_logged:
        Case::result("event-garbage", ANSWER).logs("it sent an event that is not valid JSON");
    flood_of_events_does_not_delay_the_reply: Case::result("flood", ANSWER);
    chunk_for_a_plain_call_is_an_error: Case::result("plain-chunk", "a chunk for a call that is not a stream");
    chunk_after_the_reply_is_logged:
        Case::result("chunk-after-reply", ANSWER)
            .operation("predict_stream")
            .logs("it sent a chunk for a call that has ended");
    chunk_without_credit_is_an_error:
        Case::result("chunk-without-credit", "it sent a chunk without credit").operation("predict_stream");
    reply_of_1_gib_is_an_error:
        Case::result("large-reply", "RESOURCE_EXHAUSTED: message of 1073741824 bytes is too large");
}

// Faults that damage the process.
cases! {
    abort_ends_the_process: Case::exit("crash", ABORT, ABORTED);
    abort_in_a_stream_ends_the_process: Case::exit("crash", ABORT, ABORTED).operation("predict_stream");
    exit_ends_the_process: Case::exit("exit", "exit status: 3", "the plugin's process exited with code 3");
    segfault_ends_the_process: Case::exit("segfault", SEGFAULT, "was killed by signal 11 (SIGSEGV)");
    stack_overflow_ends_the_process: Case::exit("overflow", ABORT, "was killed by signal 6 (SIGABRT)");
    sigterm_ends_the_process: Case::exit("signal-term", "signal: 15 (SIGTERM)", "was killed by signal 15 (SIGTERM)");
    sigkill_ends_the_process: Case::exit("signal-kill", "signal: 9 (SIGKILL)", "was killed by signal 9 (SIGKILL)");
    sigstop_stops_the_process: Case::exit("signal-stop", "stopped", HUNG);
    // The fault closes the host's stdout too. The async runtime or the standard library then aborts the process.
    closing_all_files_ends_the_process: Case::exit("close-all", ABORT, "PLUGIN_CRASHED: ").with_timeout_in_process();
    opening_files_up_to_the_limit_is_survived: Case::result("descriptors", ANSWER);
    writing_16_mib_to_stderr_is_survived: Case::result("log", ANSWER);
    reply_from_a_forked_copy_too_is_survived: Case::result("fork", ANSWER);
    abort_with_a_forked_copy_left_ends_the_process: Case::exit("fork-crash", ABORT, ABORTED);
    hang_outside_its_process_group_ends_an_isolated_process:
        Case::results("leave-group", NO_RETURN, HUNG).with_timeout_in_process();
    hang_after_closing_a_connection_ends_the_process:
        Case::exit("hang-up", ABORT, "closed its connection and was killed").with_timeout_in_process();
    garbage_on_all_connections_ends_an_isolated_process:
        Case::results("garbage", ANSWER, "sent an invalid message");
    half_a_message_on_all_connections_ends_an_isolated_process: Case::results("half-message", ANSWER, HUNG);
    forged_messages_on_all_connections_are_survived: Case::result("forged-messages", ANSWER);
}
