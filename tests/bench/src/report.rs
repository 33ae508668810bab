//! The result of a benchmark: a table for people, and a JSON file.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::machine;
use crate::work::Cost;

/// The costs of all subjects at all kinds of work.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    /// The date in the time zone of the machine, such as `2026-01-31`.
    date: String,
    /// The share of the processors that other processes used, before and after the benchmark.
    load: Vec<f64>,
    pub(crate) works: Vec<WorkReport>,
}

/// The costs of a kind of work.
#[derive(Debug, Serialize)]
pub(crate) struct WorkReport {
    name: &'static str,
    pub(crate) title: &'static str,
    /// The first subject is the one that the others are compared with.
    pub(crate) subjects: Vec<Measured>,
}

/// The cost of one subject at a kind of work: the medians of its rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) subject: &'static str,
    pub(crate) median: Cost,
    rounds: Vec<Cost>,
}

impl Report {
    pub(crate) fn new() -> Self {
        let date = std::process::Command::new("date").arg("+%F").output();
        let date = date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
        Self { machine: machine::description(), date, load: Vec::new(), works: Vec::new() }
    }

    /// Returns a description of the machine and the date.
    pub(crate) fn origin(&self) -> String {
        format!("{}, {}", self.machine, self.date)
    }

    /// Measures how much other processes use the machine. Call this function while no subject runs.
    pub(crate) fn watch_load(&mut self) {
        self.load.push(machine::load());
    }

    /// Adds the costs of a kind of work, one list for each subject.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        title: &'static str,
        subjects: &[&'static str],
        costs: Vec<Vec<Cost>>,
    ) {
        let subjects = subjects.iter().zip(costs).map(|(subject, rounds)| Measured {
            subject,
            median: Cost {
                wall: median(rounds.iter().map(|cost| cost.wall)).unwrap_or_default(),
                cpu: median(rounds.iter().map(|cost| cost.cpu)).unwrap_or_default(),
                memory: median(rounds.iter().filter_map(|cost| cost.memory)),
            },
            rounds,
        });
        self.works.push(WorkReport { name, title, subjects: subjects.collect() });
    }

    /// Writes the JSON file, and prints the table.
    ///
    /// # Errors
    /// Fails if the file cannot be written. Fails without a table if the machine was busy.
    pub(crate) fn write(&self, json: &Path) -> io::Result<()> {
        fs::write(json, serde_json::to_vec_pretty(self)?)?;
        let busy = self.load.iter().copied().fold(0.0, f64::max);
        if busy > machine::MAX_LOAD {
            let percent = busy * 100.0;
            return Err(io::Error::other(format!(
                "no ratios: other processes used {percent:.0} % of the processors; stop them and try again (the costs \
                 are in {})",
                json.display()
            )));
        }
        self.print(&mut io::stdout())
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}\n", self.origin())?;
        for WorkReport { title, subjects, .. } in &self.works {
            writeln!(
                out,
                "{title:<38} {:>11} {:>7} {:>11} {:>7} {:>9}",
                "wall µs", "ratio", "CPU µs", "ratio", "peak MiB"
            )?;
            let Some(first) = subjects.first() else { continue };
            for Measured { subject, median, .. } in subjects {
                let (wall, cpu) = (median.wall / first.median.wall, median.cpu / first.median.cpu);
                let memory = median.memory.map(|memory| format!("{memory:.0}")).unwrap_or_default();
                let costs = format!("{:>11.1} {wall:>7.2} {:>11.1} {cpu:>7.2} {memory:>9}", median.wall, median.cpu);
                writeln!(out, "  {subject:<36} {costs}")?;
            }
        }
        Ok(())
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
