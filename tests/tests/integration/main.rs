//! Everything that needs the harness, in one binary: it links once.

mod command_line;
mod documents;
mod environment;
mod faults;
mod fleet;
mod forge;
mod logs;
mod old_programs;
mod pages;
mod runner;
