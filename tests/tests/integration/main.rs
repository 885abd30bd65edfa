//! Everything that needs the harness, in one binary: it links once.

mod environment;
mod fleet;
mod forge;
