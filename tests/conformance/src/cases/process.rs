//! What can be seen of this process from outside the plugin: threads, files, signals, memory.
//!
//! It is there on Linux; elsewhere the cases that need it are skipped.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::mark::Mark;

/// Reads a file of `/proc/self`.
fn read(name: &str) -> Result<String, Mark> {
    let path = format!("/proc/self/{name}");
    if !cfg!(target_os = "linux") {
        return Err(Mark::skip("this can be seen on Linux alone"));
    }
    fs::read_to_string(&path).map_err(|error| Mark::skip(format!("`{path}` cannot be read: {error}")))
}

/// The number behind a name, as `/proc` writes it: `VmRSS:   123 kB`.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The names of the threads.
pub(super) fn threads() -> Result<Vec<String>, Mark> {
    read("status")?;
    let tasks = fs::read_dir("/proc/self/task").map_err(Mark::fault)?;
    // A thread that ends meanwhile is none.
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    Ok(tasks.flatten().filter_map(name).map(|name| name.trim().to_owned()).collect())
}

/// Waits until there are no more threads than so many; returns how many there are.
pub(super) fn threads_at_most(most: usize, patience: Duration) -> Result<usize, Mark> {
    let end = Instant::now() + patience;
    loop {
        let threads = threads()?.len();
        if threads <= most || Instant::now() >= end {
            return Ok(threads);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The open files, by their numbers.
pub(super) fn files() -> Result<BTreeMap<i32, String>, Mark> {
    read("status")?;
    let entries = fs::read_dir("/proc/self/fd").map_err(Mark::fault)?;
    // The one that reads this list is gone when it is looked at.
    let file = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, target.display().to_string()))
    };
    Ok(entries.flatten().filter_map(file).collect())
}

/// How many bytes were written, to anything.
pub(super) fn written() -> Result<u64, Mark> {
    number(&read("io")?, "wchar")
}

/// How many bytes were printed.
pub(super) fn printed() -> Result<u64, Mark> {
    let size = |stat: rustix::io::Result<rustix::fs::Stat>| {
        stat.map_err(Mark::fault).map(|stat| u64::try_from(stat.st_size).unwrap_or(0))
    };
    Ok(size(rustix::fs::fstat(rustix::stdio::stdout()))? + size(rustix::fs::fstat(rustix::stdio::stderr()))?)
}

/// What was printed.
pub(super) fn printed_text() -> Result<String, Mark> {
    read("status")?;
    let text = |number: u8| fs::read(format!("/proc/self/fd/{number}")).map_err(Mark::fault);
    Ok(String::from_utf8_lossy(&[text(1)?, text(2)?].concat()).into_owned())
}

/// Which signals are caught and ignored, and which are blocked for this thread.
pub(super) fn signals() -> Result<BTreeMap<&'static str, String>, Mark> {
    // That of the first thread tells of whatever that one is doing.
    let status = read("../thread-self/status")?;
    let masks = [("caught", "SigCgt"), ("ignored", "SigIgn"), ("blocked", "SigBlk")];
    // The C library keeps signals 32 to 34 to itself, and catches them when the first thread starts.
    let of_programs = |mask: &str| u64::from_str_radix(mask, 16).ok().map(|mask| mask & !(0b111 << 31));
    let mask = |(what, name)| Some((what, format!("{:#x}", of_programs(member(&status, name)?)?)));
    Ok(masks.into_iter().filter_map(mask).collect())
}

/// The mask of new files' modes.
pub(super) fn umask() -> Result<String, Mark> {
    Ok(member(&read("status")?, "Umask").unwrap_or_default().to_owned())
}

/// How long this thread has waited for a processor so far: time that others took. None where the system does not tell.
pub(super) fn waited_for_a_processor() -> Duration {
    // Three numbers: nanoseconds on a processor, nanoseconds of waiting for one, and how often it got one.
    let schedule = read("../thread-self/schedstat").unwrap_or_default();
    let waited = schedule.split_whitespace().nth(1).and_then(|waited| waited.parse().ok());
    waited.map_or(Duration::ZERO, Duration::from_nanos)
}

/// The memory that is in use, in KiB.
pub(super) fn memory() -> Result<u64, Mark> {
    number(&read("status")?, "RssAnon")
}

fn number(text: &str, name: &str) -> Result<u64, Mark> {
    let value = member(text, name).and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| Mark::skip(format!("the system does not tell `{name}`")))
}
