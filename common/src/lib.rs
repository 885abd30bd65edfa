//! scratch
pub mod broker;
pub mod clock;
pub mod event;
pub mod forge;
pub mod id;
pub mod logs;
pub mod queue;
pub mod task;

pub use clock::Clock;

pub fn hostname() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
