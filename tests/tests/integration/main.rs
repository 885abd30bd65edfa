//! Everything that needs the harness, in one binary: it links once.

mod command_line;
mod environment;
mod fleet;
mod forge;
mod pages;
