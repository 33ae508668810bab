//! The messages, and the bookkeeping of calls, without a process.

mod calls;
mod messages;
