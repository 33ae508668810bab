//! Whose plugins are loaded: owners and modes, links, the lock file.

mod lock;
mod owners;
mod privileges;
