//! Checks `predict-batch` against a server: the order of the lines, failed rows, overload, and interrupted runs.

mod answers;
mod failures;
mod fixture;
mod interruptions;
mod load;
