//! Trust: owners and modes of plugins and other files, links, and the lock file.

mod decisions;
mod lock;
mod owners;
mod privileges;
mod race;
