//! Receives the signals that end the command.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use mlflow_deploy::command::ends_with_terminal;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the process to end: Ctrl-C, `SIGTERM`, `SIGQUIT`, and `SIGHUP`, which a closed terminal sends.
pub(crate) struct TerminationSignals(Vec<Signal>);

impl TerminationSignals {
    /// Registers the signal handlers. From the first call on, the signals do not end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()];
        // `nohup` ignores `SIGHUP`, and so does the command under it.
        let hangup = ends_with_terminal().then(SignalKind::hangup);
        kinds.into_iter().chain(hangup).map(signal).collect::<Result<_, _>>().map(Self)
    }

    /// Waits for the next signal.
    pub(crate) async fn recv(&mut self) {
        poll_fn(|context| {
            // Polls every signal, so that each of them wakes this task.
            let received = self.0.iter_mut().filter_map(|signal| match signal.poll_recv(context) {
                Poll::Ready(received) => received,
                Poll::Pending => None,
            });
            if received.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
