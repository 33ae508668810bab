//! Predictions for many inputs, with many requests in flight, in a bounded memory. Requires the cargo feature `bulk`.
//!
//! 1. [`BulkInput`] reads the rows of a file or a pipe and groups them into requests.
//! 2. [`BulkPredict`] sends them: [`BulkAnswers`] is a stream of the answers.
//! 3. [`BulkFiles`] writes the answers, with a journal from which an interrupted run goes on.
//!
//! | file | responsibility |
//! |---|---|
//! | `input/` | the rows of JSON Lines and CSV |
//! | `request`, `lines` | a request of one or more rows, and the line for each row of its answer |
//! | `predict`, `answers`, `job` | the requests on their way, their retries and their parts |
//! | `limiter` | the requests in flight, the rate, and the pause that all requests share |
//! | `answer` | an answer, which holds its place until it is dropped |
//! | `output/` | the output, the errors and the journal |
//! | `progress`, `ranges`, `latency` | the finished requests, the totals and the latencies |
//!
//! ```
//! # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
//! # mlflow_deploy::blocking::wait(async {
//! use std::fs::{self, File};
//!
//! use mlflow_deploy::Host;
//! use mlflow_deploy::args::Predict;
//! use mlflow_deploy::bulk::{BulkFiles, BulkInput, BulkPredict, Order, RowForm};
//!
//! let folder = tempfile::tempdir()?;
//! let (rows, output) = (folder.path().join("rows.jsonl"), folder.path().join("answers.jsonl"));
//! fs::write(&rows, "[1]\n[2]\nnot JSON\n[4]\n")?;
//!
//! let client = Host::builder().plugin(plugin).build().get_deploy_client(Some("echo")).await?;
//! let input = BulkInput::json_lines(File::open(&rows)?, RowForm::Request, false);
//! let (mut files, finished) = BulkFiles::resume(&output, None, Order::Input, &serde_json::Map::new())?;
//! let arguments = Predict { endpoint: Some("echo".to_owned()), ..Predict::default() };
//! let mut answers = BulkPredict::new(client, arguments).answers(input.skip_finished(finished).into_stream()?);
//! while let Some(answer) = answers.next().await {
//!     files.write(&[answer?])?;
//! }
//! let totals = files.finish()?;
//! assert_eq!((totals.rows, totals.failed), (4, 1));
//! assert_eq!(fs::read_to_string(&output)?, "[1]\n[2]\nnull\n[4]\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod answer;
mod answers;
mod input;
mod job;
mod latency;
mod limiter;
mod lines;
mod output;
mod predict;
mod progress;
mod ranges;
mod request;

pub use answer::BulkAnswer;
pub use answers::{BulkAnswers, BulkLoad};
pub use input::{BulkInput, BulkRequests, REQUEST_MEMBERS, RowForm};
pub use latency::Latencies;
pub use output::{BulkFiles, Order, digest};
pub use predict::BulkPredict;
pub use progress::{Finished, Totals};
pub use request::BulkRequest;
