//! Measures mlflow-deploy beside its peers: the HTTP library alone, MLflow's and OpenAI's clients in Python, ONNX Runtime
//! in Python, `mlflow models serve`, and curl.
//!
//! `make bench` builds everything in release mode, and runs this program. Every subject runs in its own process, and
//! all but the local models send their requests to one local server with canned answers. The subjects take turns, so that a change of the
//! machine's speed affects all of them. The reported costs are medians of the rounds.
//!
//! The program refuses to report ratios if other processes use the machine.
//!
//! `make budgets` counts the instructions and allocations of the same calls, which do not depend on other processes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark ends with a panic if anything fails")]

mod budget;
mod chart;
mod cold_start;
mod local;
mod machine;
mod report;
mod server;
mod subjects;
mod work;

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use report::Report;
use subjects::{BareReqwest, Plugin};
use work::{Cost, Work};

const USAGE: &str = "usage: mlflow-deploy-bench LIBRARIES PYTHON REPORT.json CHART.svg [ROUNDS]
       mlflow-deploy-bench budgets LIBRARIES BUDGETS.json [--write]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => server::serve().await,
        ["run", subject, work, server, libraries] => {
            let work = *Work::ALL.iter().find(|known| known.name() == *work).unwrap();
            let cost = match *subject {
                "reqwest" => work.measure(&BareReqwest::new(server)).await,
                plugin => work.measure(&Plugin::open(plugin, Path::new(libraries), server).await).await,
            };
            writeln!(io::stdout(), "{}", serde_json::to_string(&cost)?)
        }
        ["local", work, libraries] => {
            let cost = local::run(work, Path::new(libraries)).await;
            writeln!(io::stdout(), "{}", serde_json::to_string(&cost)?)
        }
        ["repeat", plugin, part, count, server, libraries] => {
            budget::repeat(plugin, part, count, server, Path::new(libraries)).await;
            Ok(())
        }
        ["budgets", libraries, budgets, write @ ..] => {
            let libraries = Path::new(libraries).canonicalize()?;
            budget::check(&libraries, &Server::start()?.url, Path::new(budgets), *write == ["--write"])
        }
        [libraries, python, report, chart, rounds @ ..] => {
            let rounds = rounds.first().map_or(5, |rounds| rounds.parse().unwrap());
            let bench = Bench { libraries: Path::new(libraries).canonicalize()?, python: python.into(), rounds };
            let costs = bench.run()?;
            costs.write(Path::new(report))?;
            chart::draw(&costs, Path::new(chart))
        }
        _ => Err(io::Error::other(USAGE)),
    }
}

/// The subjects that do a kind of work. The first is the one that the others are compared with.
fn subjects(work: Work) -> &'static [&'static str] {
    match work {
        Work::One | Work::Many => {
            &["reqwest", "gateway", "databricks", "openai", "mlflow-gateway", "mlflow-databricks", "openai-python"]
        }
        Work::Stream => &["reqwest", "gateway", "databricks", "openai", "mlflow-databricks", "openai-python"],
        Work::Large => &["reqwest", "gateway", "databricks", "openai", "mlflow-gateway"],
    }
}

/// A whole run of the benchmark.
struct Bench {
    /// The folder of the built plugins and of the command.
    libraries: PathBuf,
    python: PathBuf,
    rounds: usize,
}

impl Bench {
    fn run(&self) -> io::Result<Report> {
        let mut report = Report::new();
        report.watch_load();
        let server = Server::start()?;
        for work in Work::ALL {
            let subjects = subjects(work);
            let mut costs = vec![Vec::new(); subjects.len()];
            for _ in 0..self.rounds {
                for (subject, costs) in subjects.iter().zip(&mut costs) {
                    costs.push(self.measure(subject, work, &server.url)?);
                }
            }
            report.add(work.name(), work.title(), subjects, costs);
        }
        local::measure(&self.libraries, &self.python, self.rounds, &mut report)?;
        cold_start::measure(&self.libraries, &server.url, self.rounds, &mut report)?;
        report.watch_load();
        Ok(report)
    }

    fn measure(&self, subject: &str, work: Work, server: &str) -> io::Result<Cost> {
        let mut command = if subject.contains("mlflow-") || subject.ends_with("-python") {
            let mut command = Command::new(&self.python);
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/subject.py");
            command.arg("-B").arg(script).args([subject, work.name(), server]);
            command
        } else {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["run", subject, work.name(), server]).arg(&self.libraries);
            command
        };
        let output = command.stderr(Stdio::inherit()).output()?;
        assert!(output.status.success(), "{subject} failed at {}", work.name());
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The local server, which runs in its own process until the value is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url)?;
        Ok(Self { process, url: url.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended by itself cannot be killed, and does not matter.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
