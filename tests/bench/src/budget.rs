//! Counts the instructions and allocations of the paths that every call takes, and compares them with budgets.
//!
//! Valgrind counts them in a process that does the same work twice, once with more repetitions. The difference is the
//! cost of the repetitions, whatever else the machine does. The count includes the caller, the host and the plugin, but
//! neither the server nor the system's kernel.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::subjects::Plugin;
use crate::work::{Subject, Work};

/// The number of repetitions before the counted ones. The pools and queues then have their final size.
const WARM_UP: usize = 100;

/// A path whose cost is limited: the plugin, the part that is repeated, and the number of repetitions.
const PATHS: [(&str, Part, usize); 4] = [
    ("echo", Part::Call, 2000),
    ("echo", Part::Chunk, 20_000),
    ("gateway", Part::Call, 500),
    ("gateway", Part::Chunk, 20_000),
];

/// The part of a path that is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Call,
    Chunk,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Chunk => "chunk",
        }
    }
}

/// The cost of one repetition.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Counts {
    instructions: f64,
    allocations: f64,
}

/// Does the work of a path, after the work that is not counted.
pub(crate) async fn repeat(plugin: &str, part: &str, count: &str, server: &str, libraries: &Path) {
    let client = Plugin::open(plugin, libraries, server).await;
    let count: usize = count.parse().unwrap();
    if part == Part::Call.name() {
        for _ in 0..WARM_UP + count {
            client.predict(Work::One.request()).await;
        }
    } else {
        // The plugin `echo` sends the lines of its input as chunks. The server counts the tokens.
        let request = match plugin {
            "echo" => Bytes::from("{}\n".repeat(WARM_UP + count)),
            _ => Work::chat("Tell me about MLflow.", WARM_UP + count, true),
        };
        assert_eq!(client.stream(request).await, WARM_UP + count);
    }
}

/// Counts all paths, prints the counts beside their budgets, and fails if a count exceeds its budget. If `write` is
/// true, writes the counts as the new budgets instead.
pub(crate) fn check(libraries: &Path, server: &str, budgets: &Path, write: bool) -> io::Result<()> {
    let mut counts = BTreeMap::new();
    for (plugin, part, repetitions) in PATHS {
        let none = count(plugin, part, 0, server, libraries)?;
        let all = count(plugin, part, repetitions, server, libraries)?;
        let each = |all: f64, none: f64| ((all - none) / repetitions as f64 * 100.0).round() / 100.0;
        let instructions = each(all.instructions, none.instructions);
        let allocations = each(all.allocations, none.allocations);
        counts.insert(format!("{plugin} {}", part.name()), Counts { instructions, allocations });
    }
    if write {
        return fs::write(budgets, serde_json::to_string_pretty(&counts)? + "\n");
    }
    let budgets: BTreeMap<String, Counts> = serde_json::from_slice(&fs::read(budgets)?)?;
    let mut out = io::stdout();
    let mut exceeded = Vec::new();
    writeln!(out, "{:<16}{:>14}{:>10}{:>14}{:>10}", "path", "instructions", "budget", "allocations", "budget")?;
    for (path, Counts { instructions, allocations }) in &counts {
        let budget = budgets.get(path).unwrap();
        writeln!(
            out,
            "{path:<16}{instructions:>14.0}{:>10.0}{allocations:>14.2}{:>10.2}",
            budget.instructions, budget.allocations
        )?;
        // The order in which threads run changes the counts a little.
        if *instructions > budget.instructions * 1.1 || *allocations > budget.allocations + 0.5 {
            exceeded.push(path.as_str());
        }
    }
    if exceeded.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!("more than 10 % of instructions or half an allocation over budget: {exceeded:?}")))
}

/// Counts the instructions and allocations of a process that repeats a part of a path.
fn count(plugin: &str, part: Part, repetitions: usize, server: &str, libraries: &Path) -> io::Result<Counts> {
    let folder = tempfile::tempdir()?;
    let profile = folder.path().join("profile");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--fair-sched=yes"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe()?)
        .args(["repeat", plugin, part.name(), &repetitions.to_string(), server])
        .arg(libraries)
        .stdout(Stdio::null())
        .status()?;
    assert!(status.success(), "valgrind failed");
    Ok(read(&fs::read_to_string(profile)?))
}

/// Reads the counts in a profile of callgrind. Each line `cfn=` names the function that the next line `calls=` counts. A
/// name is written once, after its number in parentheses.
fn read(profile: &str) -> Counts {
    let mut allocators = Vec::new();
    let mut counts = Counts { instructions: 0.0, allocations: 0.0 };
    let mut is_allocator = false;
    for line in profile.lines() {
        let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        match key {
            "fn" | "cfn" => {
                let (id, name) = value.split_once(' ').unwrap_or((value, ""));
                if ["malloc", "calloc", "realloc", "posix_memalign"].contains(&name) {
                    allocators.push(id);
                }
                is_allocator = key == "cfn" && allocators.contains(&id);
            }
            "calls" if is_allocator => counts.allocations += first_number(value),
            "totals" => counts.instructions = first_number(value),
            _ => {}
        }
    }
    counts
}

fn first_number(text: &str) -> f64 {
    text.split_ascii_whitespace().next().unwrap_or_default().parse().unwrap()
}
