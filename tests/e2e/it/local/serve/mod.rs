//! Checks the verb `run-local`: it serves a model, responds to valid and invalid requests, and stops.

mod content_codings;
mod crashes;
mod faults;
mod hosts;
mod http;
mod python;
mod ready;
mod recordings;
mod served;
mod stopping;
mod unread;

use served::{Running, Served, run_local};
