//! HTTP for plugins.
