//! Checks the trust in plugins and other files: owners and modes, links, and the lock file.

mod lock;
mod other_files;
mod owners;
mod privileges;
mod race;
