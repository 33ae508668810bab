//! How far a fetch has come, said to whoever made the call: whenever another hundredth is there.

use std::sync::atomic::{AtomicU64, Ordering};

use mlflow_deploy_plugin_api::call;

use crate::ModelUri;

/// The progress of one fetch.
#[derive(Debug)]
pub(crate) struct Progress {
    uri: String,
    files: usize,
    total: u64,
    done: AtomicU64,
    said: AtomicU64,
}

impl Progress {
    /// Says that so many files are to come, with so many bytes altogether.
    pub(crate) fn start(uri: &ModelUri, files: usize, total: u64) -> Self {
        let progress = Self { uri: uri.to_string(), files, total, done: AtomicU64::new(0), said: AtomicU64::new(0) };
        progress.tell(0.0, "fetching");
        progress
    }

    /// Says that all of it is there.
    pub(crate) fn finish(&self) {
        self.tell(1.0, "fetched");
    }

    fn tell(&self, done: f64, verb: &str) {
        let files = if self.files == 1 { "file" } else { "files" };
        call::progress(done, format!("{verb} `{}`: {} {files}, {}", self.uri, self.files, size(self.total)));
    }

    /// What is to be told how many bytes of one file there are; where an attempt fails, they become fewer.
    pub(crate) fn of_file(&self) -> impl Fn(u64) + Sync + '_ {
        let before = AtomicU64::new(0);
        move |now| {
            let before = before.swap(now, Ordering::Relaxed);
            let done = self.done.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
            self.say(done.wrapping_add(now).wrapping_sub(before));
        }
    }

    fn say(&self, done: u64) {
        let hundredths = done.saturating_mul(100).checked_div(self.total).unwrap_or(0).min(99);
        if self.said.fetch_max(hundredths, Ordering::Relaxed) < hundredths {
            let message = format!("fetching `{}`: {} of {}", self.uri, size(done), size(self.total));
            // Both are below 100, and so are exact.
            call::progress(f64::from(u8::try_from(hundredths).unwrap_or(99)) / 100.0, message);
        }
    }
}

/// A number of bytes, for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut unit = 0;
    // Tenths of the unit, so that no float is needed for any number of bytes.
    let mut tenths = bytes / 100;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (1_049, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (40_960_000, "40.9 MB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
