//! The machine that the benchmark runs on: its name, how busy its processors are, and what this process uses.

use std::time::Duration;
use std::{fs, thread};

/// The share of the processors that other processes may use.
pub(crate) const MAX_LOAD: f64 = 0.05;

/// The unit of `/proc/self/stat`, which is the same on all processors that Linux and this project support.
const TICKS_PER_SECOND: f64 = 100.0;

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

/// The CPU time, in seconds, that this process and its ended children have used.
pub(crate) struct CpuTime {
    pub(crate) of_process: f64,
    pub(crate) of_children: f64,
}

/// Reads the CPU time from `/proc/self/stat`.
pub(crate) fn cpu_time() -> CpuTime {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields are counted after the name of the program, which may contain blanks.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().skip(11);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let seconds = |from: usize| ticks.iter().skip(from).take(2).sum::<f64>() / TICKS_PER_SECOND;
    CpuTime { of_process: seconds(0), of_children: seconds(2) }
}

/// Returns the maximum memory that this process has had, in MiB.
pub(crate) fn peak_memory() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok().map(|kib: f64| kib / 1024.0)
}

/// Returns the processors' time since the start of the machine, all of it and the idle part.
fn ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1);
    let fields: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let idle = fields.get(3).copied().unwrap_or_default() + fields.get(4).copied().unwrap_or_default();
    (fields.iter().take(8).sum(), idle)
}
