//! Reads the state of the running process from `/proc`: threads, files, signals and memory. Cases that need it are
//! skipped if the system is not Linux.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::marker::Marker;
use crate::untrusted;

/// Returns the contents of the file `name` in `/proc/self`. Returns `Marker::Skip` if it cannot be read.
fn read(name: &str) -> Result<String, Marker> {
    let path = format!("/proc/self/{name}");
    if !cfg!(target_os = "linux") {
        return Err(Marker::skip("this can be checked only on Linux"));
    }
    fs::read_to_string(&path).map_err(|error| Marker::skip(format!("failed to read `{path}`: {error}")))
}

/// Returns the value of `name` from lines of the form `name: value`, such as `123 kB` for `VmRSS:   123 kB`.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// Returns the names of the running process's threads.
pub(super) fn threads() -> Result<Vec<String>, Marker> {
    read("status")?;
    let tasks = fs::read_dir("/proc/self/task").map_err(Marker::fault)?;
    // A thread that has ended in the meantime has no name and is ignored.
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    Ok(tasks.flatten().filter_map(name).map(|name| name.trim().to_owned()).collect())
}

/// Waits until the running process has at most `limit` threads, but no longer than `reply_timeout`. Returns its number
/// of threads after that.
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

/// Returns the paths of the running process's open files, by file descriptor.
pub(super) fn files() -> Result<BTreeMap<i32, String>, Marker> {
    read("status")?;
    let entries = fs::read_dir("/proc/self/fd").map_err(Marker::fault)?;
    // The descriptor that lists the folder is closed already, so it has no path and is ignored.
    let file = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, target.display().to_string()))
    };
    Ok(entries.flatten().filter_map(file).collect())
}

/// Returns the number of bytes that the running process has written to files and sockets so far.
pub(super) fn written() -> Result<u64, Marker> {
    number(&read("io")?, "wchar")
}

/// Returns the number of bytes that the running process has written to standard output and standard error so far.
pub(super) fn printed() -> Result<u64, Marker> {
    Ok(printed_to_stdout()? + size(rustix::stdio::stderr())?)
}

/// Flushes the output buffers of the C library. Returns the number of bytes that the running process has written to
/// standard output so far.
pub(super) fn printed_to_stdout() -> Result<u64, Marker> {
    untrusted::flush_c_streams();
    size(rustix::stdio::stdout())
}

fn size(file: BorrowedFd<'_>) -> Result<u64, Marker> {
    let stat = rustix::fs::fstat(file).map_err(Marker::fault)?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// Returns the text that the running process has written to standard output and standard error so far.
pub(super) fn printed_text() -> Result<String, Marker> {
    read("status")?;
    let text = |number: u8| fs::read(format!("/proc/self/fd/{number}")).map_err(Marker::fault);
    Ok(String::from_utf8_lossy(&[text(1)?, text(2)?].concat()).into_owned())
}

/// Returns the masks of the signals that the process catches, of those that it ignores, and of those that the thread
/// blocks.
pub(super) fn signals() -> Result<BTreeMap<&'static str, String>, Marker> {
    // The main thread's status would show the signals that the main thread blocks.
    let status = read("../thread-self/status")?;
    let masks = [("caught", "SigCgt"), ("ignored", "SigIgn"), ("blocked", "SigBlk")];
    // The C library reserves signals 32 to 34, and catches them when the first thread starts.
    let without_reserved = |mask: &str| u64::from_str_radix(mask, 16).ok().map(|mask| mask & !(0b111 << 31));
    let mask = |(what, name)| Some((what, format!("{:#x}", without_reserved(member(&status, name)?)?)));
    Ok(masks.into_iter().filter_map(mask).collect())
}

/// Returns the umask of the running process.
pub(super) fn umask() -> Result<String, Marker> {
    Ok(member(&read("status")?, "Umask").unwrap_or_default().to_owned())
}

/// The maximum number of times that a case measures the duration of a function.
pub(super) const ATTEMPTS: usize = 5;

/// Returns the second shortest of the durations, or `None` if there are fewer than two. Other processes delay most attempts
/// on a busy machine. And Linux sometimes counts a sleep as waiting for a processor (seen with Linux 6.18), so that a
/// slow attempt seems fast.
pub(super) fn second_fastest(times: &[Duration]) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(1).copied()
}

/// Returns the anonymous resident memory of the running process, in KiB.
pub(super) fn memory() -> Result<u64, Marker> {
    number(&read("status")?, "RssAnon")
}

fn number(text: &str, name: &str) -> Result<u64, Marker> {
    let value = member(text, name).and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| Marker::skip(format!("the system does not report `{name}`")))
}
