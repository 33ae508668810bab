//! Checks the target `local`: deployments, predictions and serving, also with damaged files, full disks and killed
//! processes.

mod concurrency;
mod crash;
mod disk;
mod explain;
mod life_cycle;
mod lock_waits;
mod machine;
mod model_uris;
mod models;
mod python;
mod races;
mod rebuild;
mod runtime_search;
mod samples;
mod scoring;
mod serve;
mod tables;

use machine::{FLOWERS, LOCAL, Machine, ask, copy_of, folder, iris, sample};
