#![doc = include_str!("../README.md")]

mod authority;
mod error;
mod file;
mod fleet;
mod leaf;
mod name;
mod pem;
mod summary;
mod validity;

pub use authority::{Authority, AuthorityOptions};
pub use error::{Error, InvalidValue};
pub use file::{
    CA_CERTIFICATE, CA_KEY, CLIENT_CERTIFICATE, CLIENT_KEY, Existing, SERVER_CERTIFICATE, SERVER_KEY,
};
pub use fleet::{FleetOptions, fleet};
pub use leaf::{Leaf, Subject};
pub use name::{CommonName, ServerName};
pub use summary::Summary;
pub use validity::{CLOCK_SKEW, Days};
