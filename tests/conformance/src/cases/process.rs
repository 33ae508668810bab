//! The state of this process: threads, files, signals, memory. Read from `/proc`, so the cases that need it are skipped
//! on systems other than Linux.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::marker::Marker;
use crate::untrusted;

/// Reads a file of `/proc/self`.
fn read(name: &str) -> Result<String, Marker> {
    let path = format!("/proc/self/{name}");
    if !cfg!(target_os = "linux") {
        return Err(Marker::skip("this can be checked only on Linux"));
    }
    fs::read_to_string(&path).map_err(|error| Marker::skip(format!("failed to read `{path}`: {error}")))
}

/// Returns the value of a line such as `VmRSS:   123 kB`.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// Returns the names of the threads.
pub(super) fn threads() -> Result<Vec<String>, Marker> {
    read("status")?;
    let tasks = fs::read_dir("/proc/self/task").map_err(Marker::fault)?;
    // Ignores a thread that has ended since.
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    Ok(tasks.flatten().filter_map(name).map(|name| name.trim().to_owned()).collect())
}

/// Waits until there are at most `limit` threads, or the timeout. Returns the number of threads.
pub(super) fn threads_at_most(limit: usize, reply_timeout: Duration) -> Result<usize, Marker> {
    let end = Instant::now() + reply_timeout;
    loop {
        let threads = threads()?.len();
        if threads <= limit || Instant::now() >= end {
            return Ok(threads);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the open files by their descriptors.
pub(super) fn files() -> Result<BTreeMap<i32, String>, Marker> {
    read("status")?;
    let entries = fs::read_dir("/proc/self/fd").map_err(Marker::fault)?;
    // The descriptor of this very listing is closed by now and ignored.
    let file = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, target.display().to_string()))
    };
    Ok(entries.flatten().filter_map(file).collect())
}

/// Returns the number of bytes written to any file or socket.
pub(super) fn written() -> Result<u64, Marker> {
    number(&read("io")?, "wchar")
}

/// Returns the number of bytes printed to stdout and stderr.
pub(super) fn printed() -> Result<u64, Marker> {
    Ok(printed_to_stdout()? + size(rustix::stdio::stderr())?)
}

/// Returns the number of bytes printed to stdout, with those that the C library has buffered.
pub(super) fn printed_to_stdout() -> Result<u64, Marker> {
    untrusted::flush_c_streams();
    size(rustix::stdio::stdout())
}

fn size(file: BorrowedFd<'_>) -> Result<u64, Marker> {
    let stat = rustix::fs::fstat(file).map_err(Marker::fault)?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// Returns the text printed to stdout and stderr.
pub(super) fn printed_text() -> Result<String, Marker> {
    read("status")?;
    let text = |number: u8| fs::read(format!("/proc/self/fd/{number}")).map_err(Marker::fault);
    Ok(String::from_utf8_lossy(&[text(1)?, text(2)?].concat()).into_owned())
}

/// Returns the masks of caught and ignored signals, and of those blocked for this thread.
pub(super) fn signals() -> Result<BTreeMap<&'static str, String>, Marker> {
    // The status of the main thread would reflect what that thread is doing.
    let status = read("../thread-self/status")?;
    let masks = [("caught", "SigCgt"), ("ignored", "SigIgn"), ("blocked", "SigBlk")];
    // The C library reserves signals 32 to 34, and catches them when the first thread starts.
    let without_reserved = |mask: &str| u64::from_str_radix(mask, 16).ok().map(|mask| mask & !(0b111 << 31));
    let mask = |(what, name)| Some((what, format!("{:#x}", without_reserved(member(&status, name)?)?)));
    Ok(masks.into_iter().filter_map(mask).collect())
}

/// Returns the umask.
pub(super) fn umask() -> Result<String, Marker> {
    Ok(member(&read("status")?, "Umask").unwrap_or_default().to_owned())
}

/// Returns how long this thread has waited for a processor so far; zero if the system does not report it.
pub(super) fn waited_for_a_processor() -> Duration {
    // Three numbers: nanoseconds on a processor, nanoseconds of waiting for one, and how often it got one.
    let schedule = read("../thread-self/schedstat").unwrap_or_default();
    let waited = schedule.split_whitespace().nth(1).and_then(|waited| waited.parse().ok());
    waited.map_or(Duration::ZERO, Duration::from_nanos)
}

/// Returns the memory in use, in KiB.
pub(super) fn memory() -> Result<u64, Marker> {
    number(&read("status")?, "RssAnon")
}

fn number(text: &str, name: &str) -> Result<u64, Marker> {
    let value = member(text, name).and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| Marker::skip(format!("the system does not report `{name}`")))
}
