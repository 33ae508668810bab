//! Tests the messages and the state of calls, without starting a process.

mod calls;
mod messages;
