//! What mlflow, pandas and numpy were recorded to do, and what the recordings do not show.

mod differences;
mod recordings;
mod units;
