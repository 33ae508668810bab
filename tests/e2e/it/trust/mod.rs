//! Trust: owners and modes of plugins and other files, links, and the lock file.

mod lock;
mod other_files;
mod owners;
mod privileges;
mod race;
