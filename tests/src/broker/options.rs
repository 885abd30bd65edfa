//! What a test may want otherwise of a broker of its own.

/// How a private broker differs from what production has.
#[derive(Clone, Debug)]
pub struct Options {
    pub plain: Plain,
    pub tls: TlsVersions,
    /// The largest message it takes, in bytes.
    pub max_message_size: u32,
    /// Lines for the end of its `rabbitmq.conf`; a key that is there already is overridden.
    pub settings: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plain: Plain::Off,
            tls: TlsVersions::Both,
            // What our deployments allow: a forge sends up to 25 MiB.
            max_message_size: 32 * 1024 * 1024,
            settings: Vec::new(),
        }
    }
}

/// Whether there is also a listener without TLS, for `guest` with the password `guest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    Off,
    /// On a free port.
    On,
    /// On this port: 5672 is what the address `localhost` means to our programs.
    Port(u16),
}

/// The versions of TLS that the broker offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    Both,
    /// What existing deployments offer.
    Only12,
}
