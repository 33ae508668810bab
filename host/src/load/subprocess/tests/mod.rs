//! Tests messages and the state of calls without a process.

mod calls;
mod messages;
