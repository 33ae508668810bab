//! The libraries that plugins need, as the loader sees them. What was read of a file is kept until the file changes:
//! plugins need the same few libraries.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use mlflow_deploy_plugin_api::sync;

use super::object::ElfObject;
use super::symbols::Symbols;
use crate::LoadError;
use crate::discovery::digest::Identity;

/// The libraries that this process has read.
static KNOWN: LazyLock<Mutex<HashMap<Identity, Arc<Library>>>> = LazyLock::new(Mutex::default);

/// The contents of a library.
pub(super) struct Library {
    pub(super) object: ElfObject,
    symbols: OnceLock<Option<Symbols>>,
}

impl Library {
    /// Reads a library, unless this process has read the same state of the file before.
    pub(super) fn read(path: &Path) -> Result<Arc<Self>, LoadError> {
        let identity = Identity::at(path).map_err(|error| LoadError::Unreadable(error.to_string()))?;
        if let Some(known) = sync::lock(&KNOWN).get(&identity) {
            return Ok(Arc::clone(known));
        }
        let library = Arc::new(Self::read_anew(path)?);
        // Kept only if the file did not change while it was read.
        if Identity::at(path).is_ok_and(|current| current == identity) {
            sync::lock(&KNOWN).insert(identity, Arc::clone(&library));
        }
        Ok(library)
    }

    /// Reads a library that is not needed again, such as a plugin.
    pub(super) fn read_anew(path: &Path) -> Result<Self, LoadError> {
        Ok(Self { object: ElfObject::read(path)?, symbols: OnceLock::new() })
    }

    /// Returns the dynamic symbols of the library, whose path this is, or `None` if they cannot be read.
    pub(super) fn symbols(&self, path: &Path) -> Option<&Symbols> {
        self.symbols.get_or_init(|| Symbols::read(path)).as_ref()
    }
}
