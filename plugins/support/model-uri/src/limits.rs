//! The limits of a model that is fetched.

/// The maximum number of files and folders in a model, unless an option sets another one.
const MAX_FILES: usize = 100_000;

/// The limits of a model that is fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelLimits {
    /// The maximum number of files and folders.
    pub(crate) files: usize,
    /// The maximum size in bytes.
    pub(crate) bytes: u64,
}

impl ModelLimits {
    /// Returns the limits that options set, and the defaults of the others.
    pub(crate) fn new(files: Option<u64>, bytes: Option<u64>) -> Self {
        Self {
            files: files.map_or(MAX_FILES, |files| usize::try_from(files).unwrap_or(usize::MAX)),
            bytes: bytes.unwrap_or(u64::MAX),
        }
    }
}
