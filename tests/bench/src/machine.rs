//! The machine that the benchmark runs on: its name, and how busy its processors are.

use std::time::Duration;
use std::{fs, thread};

/// The share of the processors that other processes may use.
pub(crate) const MAX_LOAD: f64 = 0.05;

/// Returns a description such as `2 × AMD EPYC, Linux 6.1`.
pub(crate) fn description() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names: Vec<&str> = info.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let name = names.first().map_or("unknown processor", |name| name.trim_start_matches([' ', '\t', ':']));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} × {name}, Linux {}", names.len(), kernel.trim())
}

/// Returns the share of the processors that is used while this process waits for a second. 1 means that all processors
/// are fully used.
pub(crate) fn load() -> f64 {
    let before = ticks();
    thread::sleep(Duration::from_secs(1));
    let after = ticks();
    let (all, idle) = (after.0 - before.0, after.1 - before.1);
    if all > 0.0 { 1.0 - idle / all } else { 0.0 }
}

/// Returns the processors' time since the start of the machine, all of it and the idle part.
fn ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1);
    let fields: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let idle = fields.get(3).copied().unwrap_or_default() + fields.get(4).copied().unwrap_or_default();
    (fields.iter().take(8).sum(), idle)
}
