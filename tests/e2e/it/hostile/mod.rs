//! What a bad plugin can do to the host: nothing, and it is told why. `-- --nocapture hostile` shows what was said.

mod files;
mod resources;
