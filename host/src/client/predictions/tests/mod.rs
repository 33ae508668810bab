//! Recordings of mlflow, pandas and numpy, and cases that they do not cover.

mod differences;
mod recordings;
mod units;
