//! Whose plugins are loaded: owners and modes, links, the lock file; and who may change what else runs or decides.

mod decisions;
mod lock;
mod owners;
mod privileges;
mod race;
