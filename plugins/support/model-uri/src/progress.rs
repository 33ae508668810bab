//! Reports the progress of a model's download as events, one for each percent.

use std::sync::atomic::{AtomicU64, Ordering};

use mlflow_deploy_plugin_api::call;

use crate::ModelUri;

/// The progress of the download of one model.
#[derive(Debug)]
pub(crate) struct Progress {
    uri: String,
    files: usize,
    total: u64,
    done: AtomicU64,
    /// The last percentage that was reported.
    reported: AtomicU64,
}

impl Progress {
    /// Reports that the download of a model starts. `files` is the number of its files, and `total` is their total size
    /// in bytes.
    pub(crate) fn start(uri: &ModelUri, files: usize, total: u64) -> Self {
        let progress =
            Self { uri: uri.to_string(), files, total, done: AtomicU64::new(0), reported: AtomicU64::new(0) };
        progress.report_total(0.0, "fetching");
        progress
    }

    /// Reports that the download is complete.
    pub(crate) fn finish(&self) {
        self.report_total(1.0, "fetched");
    }

    fn report_total(&self, done: f64, verb: &str) {
        let files = if self.files == 1 { "file" } else { "files" };
        call::progress(done, format!("{verb} `{}`: {} {files}, {}", self.uri, self.files, size(self.total)));
    }

    /// Returns a callback for the download of one file. It takes the number of bytes received so far, which decreases
    /// if an attempt starts over.
    pub(crate) fn of_file(&self) -> impl Fn(u64) + Sync + '_ {
        let before = AtomicU64::new(0);
        move |now| {
            let before = before.swap(now, Ordering::Relaxed);
            let done = self.done.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
            self.report(done.wrapping_add(now).wrapping_sub(before));
        }
    }

    fn report(&self, done: u64) {
        let percent = done.saturating_mul(100).checked_div(self.total).unwrap_or(0).min(99);
        if self.reported.fetch_max(percent, Ordering::Relaxed) < percent {
            let message = format!("fetching `{}`: {} of {}", self.uri, size(done), size(self.total));
            // The value is at most 99, so the conversion is exact.
            call::progress(f64::from(u8::try_from(percent).unwrap_or(99)) / 100.0, message);
        }
    }
}

/// Formats a number of bytes with a unit, such as `1.5 MB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut unit = 0;
    // The value is in tenths of the unit, as an integer.
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
    fn size_shows_one_decimal_of_the_largest_unit() {
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
