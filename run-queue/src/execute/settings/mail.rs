//! `[mail]`: who is told of commands that fail.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use common::config::{Reader, Summary, Table, certificates, listed};
use lettre::message::Mailbox;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, transport::smtp};

/// Who is told, by which server.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The server.
    pub server: Server,
    /// How it is spoken to.
    pub tls: MailTls,
    /// Who gets mail.
    pub to: Vec<Mailbox>,
    /// Whom it is from.
    pub from: Mailbox,
    /// For how long a mail is tried again.
    pub retry_for: Duration,
}

/// `HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// Of the many ports that mail can go to.
    pub port: u16,
}

/// How a server is spoken to.
#[derive(Clone)]
pub enum MailTls {
    /// In the clear, as in existing deployments.
    None,
    /// In the clear, until STARTTLS.
    StartTls(TlsParameters),
    /// With TLS from the beginning.
    Tls(TlsParameters),
}

/// Long enough for a server's restart, short enough for a slot.
const RETRY_FOR: Duration = Duration::from_mins(2);
const PORT: u16 = 25;
const TLS_PORT: u16 = 465;

impl MailSettings {
    /// Reads `[mail]`; none without a server, with which nobody is told.
    #[must_use]
    pub fn read(reader: &Reader) -> Option<Self> {
        let table = reader.table("mail");
        let tls = table.text("tls");
        let ca = table.text("ca").and_then(|it| certificates(&table, it));
        let retry_for = table.seconds("retry-seconds", 0.0, 3600.0).unwrap_or(RETRY_FOR);
        let (to, from) = (recipients(&table), table.parse::<Address>("from"));
        let port = if tls.as_deref() == Some("tls") { TLS_PORT } else { PORT };
        let server = server(&table, port);
        let tls = server.as_ref().and_then(|it| read_tls(&table, &it.host, tls.as_deref(), ca.as_deref()));
        table.done();
        let (server, tls) = (server?, tls?);
        let Some(first) = to.first() else {
            let text = "is missing: there is a server (mail.server or $TEST_NOTIFICATION_MX), and nobody to write to";
            reader.problem("mail.to", text);
            return None;
        };
        // A server of theirs takes mail from their own domain, if from any.
        let own = || Address::new("noreply", first.email.domain()).ok();
        let from = Mailbox::new(Some("Flotilla".to_owned()), from.or_else(own)?);
        Some(Self { server, tls, to, from, retry_for })
    }

    /// What was understood of `[mail]`.
    pub fn summarize(settings: Option<&Self>, summary: &mut Summary) {
        summary.table("mail");
        let Some(Self { server, tls, to, from, retry_for }) = settings else {
            summary.line("server", "-");
            return;
        };
        summary.line("server", server);
        summary.line("tls", tls);
        summary.line("to", listed(to));
        summary.line("from", from);
        summary.line("retry-seconds", retry_for.as_secs_f64());
    }
}

fn server(table: &Table<'_>, port: u16) -> Option<Server> {
    let configured = table.text("server");
    let (key, text) = match (&configured, &table.reader.environment.notification_mx) {
        (Some(text), _) => (table.key("server"), text),
        (None, Some(text)) => ("$TEST_NOTIFICATION_MX".to_owned(), text),
        (None, None) => return None,
    };
    let server = Server::read(text, port);
    if server.is_none() {
        table
            .reader
            .problem(&key, format!("expected HOST or HOST:PORT, such as \"mx.example.com\", found {text:?}"));
    }
    server
}

impl Server {
    fn read(text: &str, default: u16) -> Option<Self> {
        let is_v6 = |it: &str| std::net::Ipv6Addr::from_str(it).is_ok();
        let (host, port) = match text.rsplit_once(':') {
            _ if is_v6(text) => (text, default),
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, default),
        };
        let host =
            host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).filter(|it| is_v6(it)).unwrap_or(host);
        let name = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
        let good =
            is_v6(host) || (!host.is_empty() && !host.starts_with(['-', '.']) && host.chars().all(name));
        (good && port > 0).then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// The list of the file, else the variable's, with commas.
fn recipients(table: &Table<'_>) -> Vec<Mailbox> {
    let configured = table.words("to");
    let key = if configured.is_some() { table.key("to") } else { "$TEST_NOTIFICATION_TO".to_owned() };
    let told = || {
        let variable = table.reader.environment.notification_to.as_deref().unwrap_or_default();
        variable.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let texts: Vec<String> = configured.unwrap_or_else(told);
    let mut all = Vec::new();
    for text in texts {
        match text.parse::<Mailbox>() {
            Ok(mailbox) => all.push(mailbox),
            Err(error) => table.reader.problem(&key, format!("{text:?} is no mail address: {error}")),
        }
    }
    all
}

fn read_tls(table: &Table<'_>, host: &str, tls: Option<&str>, ca: Option<&str>) -> Option<MailTls> {
    let parameters = || {
        let mut builder = TlsParameters::builder(host.to_owned());
        if let Some(ca) = ca {
            builder = builder.add_root_certificate(Certificate::from_pem(ca.as_bytes())?);
        }
        builder.build()
    };
    let problem = |error: smtp::Error| table.problem("ca", common::Chain(&error).to_string());
    match tls {
        None | Some("none") => Some(MailTls::None),
        Some("starttls") => parameters().map(MailTls::StartTls).map_err(problem).ok(),
        Some("tls") => parameters().map(MailTls::Tls).map_err(problem).ok(),
        Some(_) => {
            table.problem("tls", "expected \"none\" (the default), \"starttls\" or \"tls\"");
            None
        }
    }
}

impl MailTls {
    pub(in super::super) fn to_client(&self) -> Tls {
        match self {
            Self::None => Tls::None,
            Self::StartTls(parameters) => Tls::Required(parameters.clone()),
            Self::Tls(parameters) => Tls::Wrapper(parameters.clone()),
        }
    }
}

impl fmt::Debug for MailTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailTls({self})")
    }
}

impl fmt::Display for MailTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::StartTls(_) => "starttls",
            Self::Tls(_) => "tls",
        })
    }
}

#[cfg(test)]
mod tests {
    use common::config::Environment;

    use super::super::super::source;
    use super::*;

    fn read(text: &str, to: &str, mx: &str) -> Result<Option<MailSettings>, Vec<String>> {
        let some = |it: &str| (!it.is_empty()).then(|| it.to_owned());
        let environment =
            Environment { notification_to: some(to), notification_mx: some(mx), ..Environment::default() };
        let reader = Reader::new(source(text), environment);
        let settings = MailSettings::read(&reader);
        reader.finish(settings).map_err(|it| it.0.iter().map(ToString::to_string).collect())
    }

    fn summary(text: &str, to: &str, mx: &str) -> String {
        let mut summary = Summary::default();
        MailSettings::summarize(read(text, to, mx).unwrap().as_ref(), &mut summary);
        summary.to_string()
    }

    #[test]
    fn the_variables_of_existing_deployments_are_enough() {
        assert_eq!(summary("", "", ""), "[mail]\n  server: -\n");
        assert_eq!(summary("", "a@b.example", ""), "[mail]\n  server: -\n", "as the old programs have it");
        let expected = "[mail]\n  server: mx.example:25\n  tls: none\n  to: a@b.example, c@d.example\n  \
                        from: Flotilla <noreply@b.example>\n  retry-seconds: 120\n";
        assert_eq!(summary("", "a@b.example, c@d.example", "mx.example"), expected);
        let file = "[mail]\nserver = \"[::1]:2525\"\nto = [\"Ops <ops@x.example>\"]\nfrom = \"bot@x.example\"\ntls = \"starttls\"\n\
                    retry-seconds = 3\n";
        let expected = "[mail]\n  server: [::1]:2525\n  tls: starttls\n  to: Ops <ops@x.example>\n  \
                        from: Flotilla <bot@x.example>\n  retry-seconds: 3\n";
        assert_eq!(summary(file, "a@b.example", "mx.example"), expected);
    }

    #[test]
    fn a_server_has_a_name_and_a_port() {
        let of = |text| Server::read(text, 25).map(|it| it.to_string());
        for (text, server) in [
            ("mx", "mx:25"),
            ("mx.example:587", "mx.example:587"),
            ("127.0.0.1:1025", "127.0.0.1:1025"),
            ("::1", "[::1]:25"),
        ] {
            assert_eq!(of(text).as_deref(), Some(server));
        }
        for text in ["", ":25", "mx:", "mx:0", "mx:x", "smtp://mx", "-mx", "a b", "[mx]:25"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn every_problem_is_told() {
        let problems = read(
            "[mail]\nserver = \"smtp://mx\"\nto = [\"nobody\"]\nfrom = \"x\"\ntls = \"yes\"\nretry-seconds = -1\nwho = 1\n",
            "",
            "",
        )
        .unwrap_err()
        .join("\n");
        for key in ["server", "to", "from", "retry-seconds", "who"] {
            assert!(problems.contains(&format!("mail.{key}: ")), "{key}: {problems}");
        }
        let nobody = read("", "", "mx").unwrap_err();
        assert!(nobody[0].starts_with("mail.to: is missing") && nobody.len() == 1, "{nobody:?}");
        let tls =
            read("[mail]\nserver = \"mx\"\nto = [\"a@b.example\"]\ntls = \"yes\"\n", "", "").unwrap_err();
        assert!(tls[0].contains("mail.tls: expected"), "{tls:?}");
        let ca =
            "[mail]\nserver = \"mx\"\nto = [\"a@b.example\"]\ntls = \"tls\"\nca = \"-----BEGIN nonsense\"\n";
        assert!(read(ca, "", "").unwrap_err()[0].contains("mail.ca: "));
    }
}
