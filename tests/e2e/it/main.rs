//! End-to-end tests of the built command and the built shared libraries. All tests are in one binary, so that the
//! command and the libraries are built once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test panics, and prints its values"
)]

mod add_python;
mod agreement;
mod answers;
mod boundary;
mod bulk;
mod checklist;
mod cli_edge_cases;
mod clients;
mod command;
mod conformance;
mod contract_versions;
mod databricks;
mod discovery;
mod hostile;
mod install;
mod interrupts;
mod isolation;
mod json_output;
mod library_warnings;
mod local;
mod manifest_check;
mod named_targets;
mod nameless_records;
mod numpy_dtypes;
mod openai;
mod peers;
mod process_plugins;
mod python;
mod python_plugins;
mod ray;
mod recordings;
mod sagemaker;
mod secret_encodings;
mod secrets;
mod shutdown;
mod standard_files;
mod streams;
mod target_table;
mod terminals;
mod tidy;
mod transcripts;
mod transport;
mod trust;
mod v2;
mod values;
