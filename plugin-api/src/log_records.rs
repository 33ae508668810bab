//! Passes the records of the crate `log` to the host, as events. The feature `tracing` makes the crate `tracing` write its
//! records there.
//!
//! Records of the plugin's own crate are passed from the level `debug` on. Records of other crates are passed from `warn`
//! on: an HTTP client, for example, logs addresses and headers at lower levels.

use log::{LevelFilter, Log, Metadata, Record};

use crate::call::{self, Level};

/// Makes the host the destination of this library's records. Does nothing if the plugin has installed a logger of its own.
/// `module` is the path of a module of the plugin's crate.
pub(crate) fn install(module: &'static str) {
    let own = module.split("::").next().unwrap_or(module);
    if log::set_boxed_logger(Box::new(HostLogger { own })).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

struct HostLogger {
    /// The name of the plugin's crate.
    own: &'static str,
}

impl HostLogger {
    fn is_own(&self, target: &str) -> bool {
        target.strip_prefix(self.own).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let least = if self.is_own(metadata.target()) { log::Level::Debug } else { log::Level::Warn };
        metadata.level() <= least
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug | log::Level::Trace => Level::Debug,
        };
        let message = match record.target() {
            own if self.is_own(own) => record.args().to_string(),
            other => format!("{other}: {}", record.args()),
        };
        call::log(level, message);
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_other_crates_are_passed_from_warn_on() {
        let logger = HostLogger { own: "words" };
        let is_passed = |target, level| logger.enabled(&Metadata::builder().target(target).level(level).build());
        assert!(is_passed("words", log::Level::Debug) && is_passed("words::server", log::Level::Debug));
        assert!(!is_passed("words", log::Level::Trace));
        assert!(is_passed("hyper", log::Level::Warn) && !is_passed("hyper", log::Level::Info));
        assert!(!is_passed("words_of_others", log::Level::Info));
    }
}
