//! What goes in and comes out.

mod inputs;
mod results;
