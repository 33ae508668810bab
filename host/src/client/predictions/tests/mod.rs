//! Compares predictions with recorded results of mlflow, pandas and numpy, and tests cases that the recordings do not
//! cover.

mod differences;
mod recordings;
mod units;
