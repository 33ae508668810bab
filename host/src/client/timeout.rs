//! Waits for one thing, but no longer than so long. Needs no runtime of anybody's.

use std::io;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_timer::Delay;

/// What `work` gives, or `None` where the limit is over first.
pub(crate) async fn race<T>(work: impl Future<Output = T>, limit: Duration) -> Option<T> {
    // The timer is asked only when the work has begun: what the work finds missing is its error.
    let (mut work, mut limit) = (pin!(work), pin!(async { Delay::new(limit).await }));
    std::future::poll_fn(|poll| {
        if let Poll::Ready(done) = work.as_mut().poll(poll) {
            return Poll::Ready(Some(done));
        }
        limit.as_mut().poll(poll).map(|_| None)
    })
    .await
}

/// Sees to it that time is kept: while a library hangs in its initialisers it holds the loader's lock, without which no
/// thread comes to life, and the one that keeps time would be too late.
///
/// # Errors
/// Where the system has no thread to give; the timer itself would panic.
pub(crate) async fn start_timer() -> io::Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if STARTED.get().is_none() {
        drop(thread::Builder::new().spawn(|| {})?.join());
        Delay::new(Duration::ZERO).await;
        STARTED.get_or_init(|| ());
    }
    Ok(())
}
