//! The target `local`: deployments, predictions and serving, with faults of files, disks and processes.

mod crash;
mod disk;
mod explain;
mod fetched;
mod life;
mod lost;
mod machine;
mod models;
mod places;
mod python;
mod races;
mod samples;
mod scoring;
mod serve;
mod turns;
mod waits;

use machine::{FLOWERS, LOCAL, Machine, ask, copy_of, folder, iris, sample};
