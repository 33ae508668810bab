//! `run-local`: a model is served, gets valid and invalid requests, and is stopped.

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
