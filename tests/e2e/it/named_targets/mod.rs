//! Checks named targets: the tables `[targets.NAME]` of `config.toml` and of a project file.

mod fixture;
mod library;
mod project_files;
mod selection;
mod settings;
mod sources;
mod verbs;
