//! Faulty plugins and files that the host must survive. Each has a test, which prints a row of a Markdown table:
//! `cargo test -p mlflow-deploy-e2e hostile -- --nocapture`.

mod case;

mod files;
mod fixture;
mod panics;
mod plugins;
mod resources;
