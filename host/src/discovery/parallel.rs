//! Applies a function to many files on several threads, because a system call for each of them takes most of the time.

use std::iter;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread::{self, ScopedJoinHandle};

use mlflow_deploy_plugin_api::sync;

/// The minimum number of items for each thread. Fewer take less time than the start of a thread.
const MIN_ITEMS: usize = 64;

/// The maximum number of threads.
const MAX_THREADS: usize = 8;

/// Applies `work` to each item, and returns the results in the order of the items. Uses several threads for many items,
/// if the system can start them.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = processors.min(items.len() / MIN_ITEMS).clamp(1, MAX_THREADS);
    let items = Mutex::new(items.into_iter().enumerate());
    let take_items = || {
        let next = || sync::lock(&items).next();
        iter::from_fn(|| next().map(|(index, item)| (index, work(item)))).collect::<Vec<_>>()
    };
    let mut results = thread::scope(|scope| {
        let others: Vec<_> =
            (1..threads).filter_map(|_| thread::Builder::new().spawn_scoped(scope, take_items).ok()).collect();
        let own = take_items();
        let joined = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        others.into_iter().flat_map(joined).chain(own).collect::<Vec<_>>()
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_items() {
        for count in [0, 1, 63, 64, 1000, 1001] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<_> = items.iter().map(|item| 2 * item).collect();
            assert_eq!(map(items, |item| 2 * item), doubled);
        }
    }
}
