//! The list of all cases.

use super::{
    abi, cancel, errors, fuzz, load, manifest, memory, operations, output, payload, prompt, semantics, stream, threads,
};
use crate::case::Case;

/// All families, in the order of a plugin's life cycle.
const FAMILIES: &[&[Case]] = &[
    manifest::CASES,
    load::CASES,
    abi::CASES,
    prompt::CASES,
    operations::CASES,
    output::CASES,
    payload::CASES,
    errors::CASES,
    stream::CASES,
    cancel::CASES,
    threads::CASES,
    memory::CASES,
    semantics::CASES,
    fuzz::CASES,
];

impl Case {
    /// Returns all cases, in the order of the list.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        FAMILIES.iter().copied().flatten()
    }

    /// Finds a case by its name.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        Self::all().find(|case| case.id == id)
    }
}
