//! Waits for one thing, but no longer than for another. Needs no runtime of anybody's.

use std::pin::pin;
use std::task::Poll;

/// What `work` gives, or `None` where `limit` is over first.
pub(crate) async fn race<T>(work: impl Future<Output = T>, limit: impl Future) -> Option<T> {
    let (mut work, mut limit) = (pin!(work), pin!(limit));
    std::future::poll_fn(|poll| {
        if let Poll::Ready(done) = work.as_mut().poll(poll) {
            return Poll::Ready(Some(done));
        }
        limit.as_mut().poll(poll).map(|_| None)
    })
    .await
}
