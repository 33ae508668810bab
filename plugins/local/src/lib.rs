#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod model;
mod protocol;
mod tensor;
