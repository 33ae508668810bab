//! The events of plugins, such as log messages and progress, and the default listener for them. Never blocks on a
//! plugin.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use mlflow_deploy_plugin_api::call::{Event, Level};
use mlflow_deploy_plugin_api::{sync, text};
use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

/// An event of a plugin, or an event of the host about a plugin.
/// [`HostBuilder::on_event`](crate::HostBuilder::on_event) sets the listener that receives it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginEvent {
    /// The name of the plugin.
    pub plugin: String,
    /// The id of the call; 0 for events that do not belong to a call, such as those of the host.
    pub call: u64,
    /// The severity of the event.
    pub level: Level,
    /// The message and the progress.
    pub event: Event,
}

pub(crate) type Listener = Arc<dyn Fn(PluginEvent) + Send + Sync>;

/// The kinds of warnings and errors that this process has printed. Messages of one kind differ only in their values.
static PRINTED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// The maximum number of kinds of messages to print. It limits the output of a plugin whose messages always differ.
const MAX_KINDS: usize = 100;

/// Returns the default listener, which passes events to `tracing`. If no subscriber receives them and `is_quiet` is
/// false, it prints warnings and errors to stderr, but each kind of message only once.
pub(crate) fn default_listener(is_quiet: bool) -> Listener {
    Arc::new(move |event| {
        let is_received = dispatcher::get_default(|dispatch| !dispatch.is::<NoSubscriber>());
        if is_received {
            trace(event);
        } else if !is_quiet && event.level <= Level::Warn {
            let is_new = is_new(sync::lock(&PRINTED).get_or_insert_default(), &event);
            if is_new {
                // A failure cannot be reported: stderr is the only channel for it.
                let _failed = writeln!(io::stderr(), "{}", text::message(&line(&event)));
            }
        }
    })
}

fn trace(event: PluginEvent) {
    let PluginEvent { plugin, call, level, event } = event;
    let message = event.message;
    match level {
        Level::Error => tracing::error!(plugin, call, "{message}"),
        Level::Warn => tracing::warn!(plugin, call, "{message}"),
        Level::Info => tracing::info!(plugin, call, progress = event.progress, "{message}"),
        _ => tracing::debug!(plugin, call, "{message}"),
    }
}

fn line(event: &PluginEvent) -> String {
    let label = if event.level == Level::Error { "error" } else { "warning" };
    format!("{label}: {} (plugin {}; printed once per kind)", event.event.message, event.plugin)
}

/// Returns true if the event is the first of its kind. Returns false for new kinds after the first [`MAX_KINDS`] kinds.
fn is_new(printed: &mut HashSet<String>, event: &PluginEvent) -> bool {
    printed.len() < MAX_KINDS && printed.insert(format!("{}: {}", event.plugin, kind(&event.event.message)))
}

/// Returns the kind of a message: the message without its values, which are numbers and texts in backticks.
fn kind(message: &str) -> String {
    let texts = message.split('`').step_by(2).collect::<Vec<_>>().join("`");
    texts.chars().filter(|each| !each.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Metadata, Subscriber};

    use super::*;

    /// A subscriber of `tracing` that counts events.
    #[derive(Clone, Default)]
    struct Counter(Arc<AtomicUsize>);

    impl Subscriber for Counter {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn every_event_reaches_a_subscriber() {
        let (counter, listener) = (Counter::default(), default_listener(false));
        let event = || PluginEvent {
            plugin: "a".to_owned(),
            call: 1,
            level: Level::Warn,
            event: Event::new("heard by a subscriber"),
        };
        tracing::subscriber::with_default(counter.clone(), || (0..2).for_each(|_| listener(event())));
        assert_eq!(counter.0.load(Ordering::Relaxed), 2);
        assert!(is_new(sync::lock(&PRINTED).get_or_insert_default(), &event()), "it was not printed");
    }

    #[test]
    fn a_kind_is_a_message_without_its_values() {
        let mut printed = HashSet::new();
        let mut is_new = |plugin: &str, message: &str| {
            let (plugin, event) = (plugin.to_owned(), Event::new(message));
            is_new(&mut printed, &PluginEvent { plugin, call: 1, level: Level::Warn, event })
        };
        assert!(is_new("a", "503 from `http://x`; retrying in 2 s"));
        assert!(!is_new("a", "503 from `http://x`; retrying in 2 s"));
        assert!(!is_new("a", "429 from `http://y`; retrying in 10 s"));
        assert!(is_new("b", "503 from `http://x`; retrying in 2 s"));
        assert!(is_new("a", "the certificate is not checked"));
        let others = (0..1000).filter(|at| is_new("a", &"x".repeat(*at)));
        assert_eq!(others.count(), MAX_KINDS - 3, "the number of kinds is limited");
    }
}
