//! Reads the times for which threads have waited for a processor, from `/proc`. On a busy machine they are long. All
//! times are zero on systems that do not report them.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Returns the time for which the running thread has waited for a processor.
pub(crate) fn waited_by_this_thread() -> Duration {
    waited(Path::new("/proc/thread-self"))
}

/// Returns the longest time for which a running thread of a process, or of a process that it has started, has waited
/// for a processor.
pub(crate) fn waited_by_process(id: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return Duration::ZERO };
    let each = threads.flatten().map(|thread| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        children.map(waited_by_process).max().max(Some(waited(&thread.path()))).unwrap_or_default()
    });
    each.max().unwrap_or_default()
}

fn waited(thread: &Path) -> Duration {
    // The file holds three numbers: nanoseconds of running, nanoseconds of waiting, and the number of time slices.
    let schedule = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let waited = schedule.split_whitespace().nth(1).and_then(|waited| waited.parse().ok());
    waited.map_or(Duration::ZERO, Duration::from_nanos)
}
