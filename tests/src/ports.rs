//! Free ports on the loopback interface.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Below the range from which Linux takes the ports of outgoing connections (32768 and up): a
/// port found free there can be taken by anybody's connection before its server binds it.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// Finds a port that nobody listens on now.
///
/// Starts at a random place, as tests in other processes look for ports at the same time. It can
/// still be lost before it is used, so who starts a server tries again with another.
pub fn free() -> Result<u16> {
    let start = RandomState::new().hash_one(std::process::id());
    let candidates = (0..COUNT).map(|step| FIRST + offset(start, step));
    for port in candidates {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {}", FIRST + COUNT - 1)
}

fn offset(start: u64, step: u16) -> u16 {
    let place = (start % u64::from(COUNT) + u64::from(step)) % u64::from(COUNT);
    u16::try_from(place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_below_the_ephemeral_range() {
        for start in [0, 1, 16_999, u64::MAX] {
            for step in [0, 1, COUNT - 1] {
                assert!(FIRST + offset(start, step) < 32_768);
            }
        }
    }

    #[test]
    fn a_free_port_can_be_bound() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, free().unwrap())).unwrap();
    }
}
