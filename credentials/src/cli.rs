//! The command line, and the texts that answer it.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use credentials::{AuthorityOptions, CommonName, Days, Existing, FleetOptions, ServerName, Summary};
use jiff::Timestamp;

/// Makes and shows the certificates by which the programs of a fleet and their AMQP broker
/// know each other.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 a file or the machine is at fault; \
                          2 wrong usage, or refused (a file exists, an option does not fit).";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a certificate authority: ca.pem and ca.key
    Ca(Ca),
    /// Make the certificates of a fleet: amqp-server and amqp-client, .pem and .key
    ///
    /// Makes the CA first when DIR has none. Copy ca.pem and the two amqp-client files into the
    /// secrets directory of every program, and ca.pem and the two amqp-server files to the broker.
    /// Keep ca.key away from all of them: it is needed only to run this command again.
    Fleet(Fleet),
    /// Print what the certificates in a PEM file say, and when they expire
    Show {
        /// A PEM file with one or more certificates
        file: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Ca {
    /// The folder for ca.pem and ca.key; created (mode 0700) if it is not there
    pub(crate) dir: PathBuf,
    /// Days until the CA expires, 1 to 7300
    #[arg(long = "ca-days", visible_alias = "days", value_name = "DAYS", default_value_t = Days::CA)]
    days: Days,
    /// Replace a CA that is there [default: refuse]; nothing that it has issued is valid below
    /// the new one
    #[arg(long)]
    force: bool,
}

impl Ca {
    pub(crate) fn options(&self) -> AuthorityOptions {
        AuthorityOptions { days: self.days, existing: existing(self.force) }
    }
}

#[derive(Args)]
pub(crate) struct Fleet {
    /// The folder for the certificates; created (mode 0700) if it is not there
    pub(crate) dir: PathBuf,
    /// The folder of a CA that lives elsewhere; its ca.pem is copied into DIR [default: DIR]
    #[arg(long, value_name = "DIR", conflicts_with = "ca_days")]
    ca: Option<PathBuf>,
    /// The broker's user for all programs, the CN of the client certificate
    #[arg(long, value_name = "NAME", default_value_t = CommonName::default())]
    client: CommonName,
    #[arg(long = "server-name", value_name = "NAME", help = SERVER_NAME)]
    server_names: Vec<ServerName>,
    /// Days until the certificates expire, 1 to 7300; they cannot outlive their CA
    #[arg(long, value_name = "DAYS", default_value_t = Days::LEAF)]
    days: Days,
    /// Days until the CA expires, 1 to 7300, if one has to be made
    #[arg(long, value_name = "DAYS", default_value_t = Days::CA)]
    ca_days: Days,
    /// Replace certificates that are there [default: refuse] by what the other options say, not by
    /// what the old ones said; a CA in DIR is always kept
    #[arg(long)]
    force: bool,
}

const SERVER_NAME: &str = "A name of the broker: DNS name, wildcard (*.example.org) or IP address; \
                           repeat it for more [default: localhost, 127.0.0.1, ::1 and the name of this host]";

impl Fleet {
    /// `host` is the name of this machine, for when no other name is given.
    pub(crate) fn options(&self, host: &OsStr) -> FleetOptions {
        let given = self.server_names.clone();
        FleetOptions {
            client: self.client.clone(),
            server_names: if given.is_empty() { default_names(host) } else { given },
            days: self.days,
            ca_days: self.ca_days,
            ca: self.ca.clone(),
            existing: existing(self.force),
        }
    }
}

/// A host's name that cannot be in a certificate is left out: nobody asked for it.
fn default_names(host: &OsStr) -> Vec<ServerName> {
    let mut names = ServerName::localhost();
    if let Some(Ok(host)) = host.to_str().map(str::parse)
        && !names.contains(&host)
    {
        names.push(host);
    }
    names
}

fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Refuse }
}

/// One line for each file that was written.
pub(crate) fn written(paths: &[PathBuf]) -> String {
    let lines: Vec<String> = paths.iter().map(|path| format!("wrote {}\n", path.display())).collect();
    lines.concat()
}

/// A paragraph for each certificate.
pub(crate) fn summaries(summaries: &[Summary], now: Timestamp) -> String {
    let paragraphs: Vec<String> = summaries.iter().map(|it| format!("{}\n", it.describe(now))).collect();
    paragraphs.join("\n")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn this_host_is_a_default_name_if_it_can_be_one() {
        let names = |host: &str| {
            let names = default_names(OsStr::new(host));
            names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("broker"), "localhost 127.0.0.1 ::1 broker");
        assert_eq!(names("localhost"), "localhost 127.0.0.1 ::1");
        assert_eq!(names("not a host"), "localhost 127.0.0.1 ::1");
    }
}
